/** Lines of prices and notices, written into the elements of a page. */

/** @typedef {import("./live.js").Line} Line */
/** @typedef {import("./marks.js").Notice} Notice */
/**
 * The elements of a line; `why` is the link to what its price was made of.
 * @typedef {Record<"line"|"name"|"purity"|"unit"|"amount"|"change"|"marks", HTMLElement> &
 *   {age: HTMLTimeElement, why?: HTMLAnchorElement}} Parts
 */

/** Writes a line into its elements. @param {Parts} parts @param {Line} line */
export function fill(parts, line) {
  const { age, change, marks, why } = parts;
  for (const name of /** @type {const} */ (["name", "purity", "unit", "amount", "change", "marks", "age"])) {
    write(parts[name], line[name]);
  }
  parts.line.dataset.trust = line.trust;
  change.dataset.direction = line.direction;
  // A page that shows this in an element of ours styles it by `::part(stale)` and the like.
  marks.part.value = `marks ${line.trust}`;
  age.dateTime = line.quotedAt;
  if (!why) return;
  write(why, line.origin);
  why.hidden = !line.why;
  if (line.why && why.href !== line.why) why.href = line.why;
}

/** Shows notices. Screen readers speak each change, so there is one only with their text. @param {HTMLElement} list @param {Notice[]} notices */
export function showNotices(list, notices) {
  const said = JSON.stringify(notices);
  if (list.dataset.said === said) return;
  list.dataset.said = said;
  list.replaceChildren(...notices.map(noticeItem));
}

/** @param {Notice} notice */
function noticeItem([tone, headline, text]) {
  const item = document.createElement("p");
  const strong = document.createElement("strong");
  strong.textContent = headline;
  item.className = "notice";
  item.part.value = `notice ${tone}`;
  item.dataset.tone = tone;
  item.append(strong, ` ${text}`);
  return item;
}

/**
 * Sets an element's text only where it differs, so that a reader can select and copy it meanwhile.
 * @param {Element} element @param {string} text
 */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
