/** A button on each block of code that copies it, where the browser lets a page do so: by https, or from this machine. */

/** @param {Document|HTMLElement} page */
export function offerCopies(page) {
  for (const block of navigator.clipboard ? page.querySelectorAll("pre") : []) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(block.textContent ?? "");
        button.textContent = "Copied";
      } catch {
        // Not allowed: it is marked, for the reader to copy.
        getSelection()?.selectAllChildren(block);
      }
    });
    const frame = document.createElement("div");
    frame.className = "code";
    block.replaceWith(frame);
    frame.append(block, button);
  }
}

offerCopies(document);
