// @ts-check
/**
 * One item on the page of review, as the server rendered it: what stands in its sheet, its lines and its types. Nothing
 * here knows of the server or of other sheets.
 */

/** What there is one of; `any`, as its kind is known by who asks. @param {string} which @param {ParentNode} [within] @returns {any} */
export const one = (which, within = document) => within.querySelector(which);
/** @param {string} which @param {ParentNode} within @returns {any[]} */
export const all = (which, within) => [...within.querySelectorAll(which)];

/** The number of its item. @param {HTMLElement} sheet */
export const number = (sheet) => Number(sheet.dataset.item);
/** Whether a verdict can be given. @param {HTMLElement} sheet */
export const open = (sheet) => sheet.dataset.mode !== "look" && !("stale" in sheet.dataset);

/** What somebody noted down. @param {HTMLElement} sheet */
export const noted = (sheet) => ({
  round: Number(sheet.dataset.round),
  type: one("[data-type][aria-pressed=true]", sheet)?.dataset.type ?? "",
  lines: all(".line.marked", sheet).map((line) => Number(line.dataset.line) - 1),
  note: one(".note", sheet)?.value ?? "",
});

/** The line that the cursor is on. @param {HTMLElement} sheet */
export const current = (sheet) => one(".line[aria-current]", sheet);

/** Move the cursor to a line. @param {HTMLElement} sheet @param {number} to @param {ScrollLogicalPosition} [block] */
export function move(sheet, to, block = "nearest") {
  const line = one(`#line-${to}`, sheet);
  if (!line) return;
  current(sheet)?.removeAttribute("aria-current");
  line.setAttribute("aria-current", "true");
  if (block === "nearest" || matchMedia("(min-width: 64rem)").matches) line.scrollIntoView({ block });
}

/**
 * Step to a neighbouring line of a kind; to the first such one where there is none below, unless any line will do.
 * @param {HTMLElement} sheet @param {"nextElementSibling" | "previousElementSibling"} way @param {string} which
 */
export function step(sheet, way, which) {
  let line = current(sheet)?.[way];
  while (line && !line.matches(which)) line = line[way];
  line ??= which === ".line" ? null : one(which, sheet);
  if (line) move(sheet, Number(line.dataset.line));
}

/** Choose a type, or none; `title` is what one is called that has no button. @param {HTMLElement} sheet @param {string} name @param {string} title @param {boolean} always */
export function choose(sheet, name, title, always) {
  const buttons = all("[data-type]", sheet);
  if (!buttons.length) return;
  let chosen = buttons.find((each) => each.dataset.type === name);
  if (!chosen) {
    chosen = buttons[0].cloneNode();
    chosen.dataset.type = name;
    chosen.textContent = title;
    buttons[buttons.length - 1].after(chosen);
  }
  const pressed = always || chosen.getAttribute("aria-pressed") !== "true";
  [...buttons, chosen].forEach((each) => each.setAttribute("aria-pressed", "false"));
  chosen.setAttribute("aria-pressed", String(pressed));
  one(".chosen", sheet).textContent = pressed ? chosen.lastChild.textContent.trim() : "";
}
