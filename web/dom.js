/** Small words for the DOM. */

/**
 * The element of the page with this id. Throws TypeError where the page has none of that kind: a fault of ours.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function element(id, kind) {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new TypeError(`the page has no ${kind.name} with the id ${id}`);
  return found;
}

/** @param {string} id */
export const button = (id) => element(id, HTMLButtonElement);

/**
 * A copy of one of the page's symbols.
 * @param {string} name
 */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

/**
 * Show a switch: `off` is the pressed, red state.
 * @param {HTMLButtonElement} control
 * @param {boolean} on
 * @param {string} symbol
 * @param {string} words
 */
export function showSwitch(control, on, symbol, words) {
  control.setAttribute("aria-pressed", String(!on));
  control.querySelector("use")?.setAttribute("href", on ? `#${symbol}` : `#${symbol}-off`);
  const label = control.querySelector("span");
  if (label) label.textContent = words;
  else control.setAttribute("aria-label", words);
}
