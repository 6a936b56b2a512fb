// The parts that Swagger leaves to the page: its dark colours, and names for readers of screens.
const dark = matchMedia("(prefers-color-scheme: dark)");
const swagger = /** @type {HTMLElement} */ (document.querySelector("#swagger-ui"));

function chooseColours() {
  document.documentElement.classList.toggle("dark-mode", dark.matches);
}

/** Swagger draws anew what is opened, chosen or answered. */
function nameParts() {
  for (const field of swagger.querySelectorAll(":is(select, textarea, input):not([aria-label])")) {
    const parameter = field.closest("tr")?.getAttribute("data-param-name");
    field.setAttribute("aria-label", parameter ?? (field.matches("select") ? "Example or media type" : "Body"));
  }
  for (const heading of swagger.querySelectorAll("h3.opblock-tag")) heading.setAttribute("aria-level", "2");
  for (const heading of swagger.querySelectorAll("h4")) heading.setAttribute("aria-level", "3");
  for (const heading of swagger.querySelectorAll("h5")) heading.setAttribute("aria-level", "4");
  for (const code of swagger.querySelectorAll("pre")) code.tabIndex = 0; // to be scrolled by keys
  for (const table of swagger.querySelectorAll("table[role=region]:not([aria-label])")) {
    table.setAttribute("aria-label", `Answers of ${table.closest(".opblock")?.id}`);
  }
  for (const part of swagger.querySelectorAll(".information-container, .scheme-container")) {
    part.setAttribute("role", "region");
    part.setAttribute("aria-label", part.matches(".information-container") ? "About" : "Your token");
  }
}

dark.addEventListener("change", chooseColours);
chooseColours();
new MutationObserver(nameParts).observe(swagger, { childList: true, subtree: true });
