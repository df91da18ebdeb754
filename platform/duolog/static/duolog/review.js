// @ts-check
import { all, choose as press, current, move, noted, number, one, open, step } from "./review_sheet.js";

/**
 * The page of review. The server renders each item as a <article class="sheet">; this script shows one of them, keeps the
 * next ones ready, and tells the server what the reviewer says. All that somebody notes down stands in the sheet itself
 * (pressed types, marked lines, the note), so a sheet that is put back is as it was left.
 */
const AUTOSAVE = 600, RENEW = 60_000, CHORD = 1500;
const root = one("#review"), stage = one("#stage"), said = one("#said"), help = one("#help"), every = one("#types");
const search = one("#search"), token = one("[name=csrfmiddlewaretoken]").value, text = root.dataset;

/** @type {HTMLElement[]} Sheets that come next; all are held for this reviewer. */
const ahead = [];
/** @type {Set<number>} Items that were judged or skipped here, and are not to be given again. */
const done = new Set();
/** @type {Promise<unknown>} What is being told to the server: one thing after the other, in the order of the keys. */
let telling = Promise.resolve();
let shownAt = performance.now(), judged = 0, untold = 0, waiting = false, chord = 0, saving = 0;
/** @type {HTMLElement} The sheet that is shown. */
let sheet = one(".sheet", stage);

// --- the server ---------------------------------------------------------------------------------------------

/**
 * Ask the server; rejects with a sentence for people.
 * @param {string} path @param {object} [body] @returns {Promise<string>} the fragment, "" where there is none
 */
async function ask(path, body) {
  const options = body && { method: "POST", body: JSON.stringify(body), headers: { "X-CSRFToken": token }, keepalive: true };
  const answer = await fetch(path + (text.filters ?? ""), options).catch(() => { throw new Error(text.saidOffline); });
  if (answer.redirected) location.reload(); // to where one logs in
  if (answer.ok) return answer.status === 204 ? "" : answer.text();
  const told = await answer.json().catch(() => ({}));
  throw Object.assign(new Error(told.detail ?? `${answer.status} ${answer.statusText}`), { status: answer.status });
}

/** Ask once all that was told before has been answered. @param {() => Promise<void>} work */
const tell = (work) => (telling = telling.then(work, work));

/** @param {string} name @param {HTMLElement} [of] */
const path = (name, of = sheet) => `${of.dataset.at}${name}/`;
/** Items that are not to be given next. */
const held = () => [...done, number(sheet), ...ahead.map(number)];

// --- sheets ---------------------------------------------------------------------------------------------------

/** Make a sheet of a fragment, and load what it leaves for later. @param {string} html */
function parsed(html) {
  const made = document.createElement("template");
  made.innerHTML = html;
  const found = one(".sheet", made.content);
  all("[data-load]", found).forEach((part) => load(part, "load"));
  return found;
}

/** @param {HTMLElement} part @param {"load" | "lazy"} how */
async function load(part, how) {
  const from = part.dataset[how];
  delete part.dataset[how];
  if (from) part.innerHTML = await ask(from).catch((error) => { part.textContent = error.message; return part.innerHTML; });
}

/** Show a sheet. @param {HTMLElement} next @param {number} since when its key was pressed */
function show(next, since) {
  waiting = false;
  stage.replaceChildren((sheet = next));
  shownAt = performance.now();
  history.replaceState(null, "", sheet.dataset.at + (text.filters ?? ""));
  document.title = document.title.replace(/#\d+/, `#${number(sheet)}`);
  /** @type {any} */ (window).htmx?.process(sheet);
  move(sheet, Number(sheet.dataset.start), "center");
  sheet.focus({ preventScroll: true });
  window.scrollTo(0, 0);
  requestAnimationFrame(() => setTimeout(() => performance.measure("shown", { start: since })));
}

/** Go on to the next sheet, at once where there is one. @param {number} since */
function advance(since) {
  const next = ahead.shift();
  if (next) return show(next, since);
  waiting = true;
  sheet.dataset.stale = "";
  say(text.saidWaiting);
  fill();
}

/** Take in what the server answers with: a sheet to come, or "": nothing else waits. @param {string} html */
function arrived(html) {
  if (html) ahead.push(parsed(html));
  const next = waiting && ahead.shift();
  if (next) { say(""); show(next, performance.now()); }
  else if (waiting) { say(text.saidNone); leave(CHORD); }
  if (html && !ahead.length) fill();
}

/** See to it that a sheet is ready. */
const fill = () => tell(async () => {
  if (!ahead.length) await ask(text.next ?? "", { skip: held() }).then(arrived, (error) => warn(error));
});

/** Go to the queue once all is told, unless a sheet is shown again meanwhile. @param {number} [pause] */
const leave = (pause = 0) => tell(async () => {
  await new Promise((resolve) => setTimeout(resolve, pause));
  if (waiting || !pause) location.assign(text.queue ?? "/");
});

// --- what people see ------------------------------------------------------------------------------------------

/** @param {string | undefined} words */
function say(words) { said.className = "grow"; said.textContent = words ?? ""; }

/** Tell that something was not kept, and lead on. @param {Error} error @param {HTMLElement} [about] */
function warn(error, about) {
  said.className = "grow alert";
  said.textContent = error.message;
  if (!about) return;
  const way = Object.assign(document.createElement("a"), { className: "button", href: about.dataset.at });
  way.textContent = about === sheet ? text.saidNext : text.saidLook;
  if (about === sheet) way.dataset.do = "leave";
  said.append(way);
}

// --- what people do -------------------------------------------------------------------------------------------

/** Keep what stands in a sheet; tells where the item has changed meanwhile. @param {HTMLElement} of */
const keep = (of) => tell(async () => {
  if (!open(of) || done.has(number(of))) return;
  await ask(path("draft", of), noted(of)).catch((error) => {
    if (error.status === 409) of.dataset.stale = "";
    if (of === sheet) warn(error, error.status === 409 ? of : undefined);
  });
});
function changed() { clearTimeout(saving); const of = sheet; saving = window.setTimeout(() => keep(of), AUTOSAVE); }

/** Choose a type, or none. @param {string} name @param {boolean} [always] */
function choose(name, always = false) {
  press(sheet, name, all("[data-type]", every).find((each) => each.dataset.type === name)?.textContent ?? name, always);
  changed();
}

/** Say what the item is, and go on; the server hears of it while the next one is looked at. @param {boolean} anomalous */
function judge(anomalous) {
  if (!open(sheet)) return;
  const since = performance.now(), of = sheet, told = noted(of);
  const verdict = { ...told, type: anomalous ? told.type : "", anomalous, seconds: (since - shownAt) / 1000 };
  clearTimeout(saving);
  done.add(number(of));
  untold += 1;
  tell(() => ask(path("judge", of), { ...verdict, skip: held() }).finally(() => { untold -= 1; }).then((html) => {
    tally(1);
    say(`#${number(of)}: ${text.saidKept}`);
    arrived(html);
  }, (error) => {
    if (error.status) return warn(error, of), void fill();
    done.delete(number(of)); // unreachable: put it back before the reviewer
    delete of.dataset.stale;
    if (sheet !== of) ahead.unshift(sheet);
    show(of, performance.now());
    warn(error);
  }));
  advance(since);
}

const undo = () => tell(() => ask(path("undo"), {}).then((html) => {
  const back = parsed(html);
  done.delete(number(back));
  if (open(sheet) && number(sheet) !== number(back)) ahead.unshift(sheet);
  show(back, performance.now());
  tally(-1);
  say(`#${number(back)}: ${text.saidUndone}`);
}, (error) => warn(error)));

function skip() {
  const of = sheet;
  clearTimeout(saving);
  done.add(number(of));
  tell(() => ask(path("skip", of), { skip: held() }).then(arrived, (error) => warn(error)));
  advance(performance.now());
}

function mark() {
  const line = open(sheet) ? current(sheet) : null;
  if (!line) return;
  const on = line.classList.toggle("marked");
  say(`${line.dataset.line}: ${on ? text.saidMarked : text.saidUnmarked}`);
  changed();
}

/** @param {number} more */
function tally(more) {
  judged = Math.max(0, judged + more);
  one("#count").textContent = judged ? `${judged} ${text.saidJudged}` : "";
}

/** Open or close a part that is loaded when it is first looked at. @param {string} name */
function part(name) {
  const found = one(`[data-part=${name}]`, sheet);
  if (!found) return;
  found.open = !found.open;
  if (found.open) found.scrollIntoView({ block: "nearest" });
}

function types() { if (open(sheet)) { search.value = ""; narrow(); every.showModal(); search.focus(); } }

/** Leave the types that hold what is searched for; offer what none is called as a new one. */
function narrow() {
  const wanted = search.value.trim().toLowerCase();
  let exact = !wanted;
  for (const each of all("[data-type]", every)) {
    const name = `${each.textContent} ${each.dataset.type}`.toLowerCase();
    each.hidden = !name.includes(wanted);
    exact ||= each.dataset.type.toLowerCase() === wanted;
  }
  one("[data-new]", every).hidden = exact;
  one("[data-new] b", every).textContent = search.value.trim();
}

/** @type {Record<string, () => void>} By the name of a button. */
const deeds = {
  normal: () => judge(false), anomalous: () => judge(true), undo, skip, mark, types, help: () => help.showModal(),
  queue: () => leave(), leave: () => { done.add(number(sheet)); say(""); advance(performance.now()); },
};
/** @type {Record<string, () => void>} By key. */
const keys = {
  n: deeds.normal, a: deeds.anomalous, Enter: deeds.anomalous, u: undo, s: skip, l: mark, " ": mark, 0: types, "?": deeds.help,
  j: () => step(sheet, "nextElementSibling", ".line"), k: () => step(sheet, "previousElementSibling", ".line"),
  h: () => step(sheet, "nextElementSibling", ":is(.heat-4,.heat-5,.heat-6,.heat-7,.heat-8,.heat-9,.heat-10)"),
  c: () => one("textarea", sheet)?.focus(), e: () => one(".note", sheet)?.focus(), m: () => one("[data-do=mute]", sheet)?.click(),
  x: () => part("experts"), o: () => part("raw"), g: () => { chord = Date.now(); },
};

document.addEventListener("keydown", (event) => {
  const on = /** @type {HTMLElement} */ (event.target);
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.key === "Escape" && on.matches("textarea, .note")) return sheet.focus();
  if (event.key === "Enter" && on.matches(".note")) return event.preventDefault(), sheet.focus();
  if (on.matches("input, textarea, select, [contenteditable]") || help.open || every.open) return;
  if (["Enter", " "].includes(event.key) && on.closest("button, a, summary")) return;
  const digit = /^[1-9]$/.test(event.key) && all("[data-type]", sheet)[Number(event.key) - 1];
  if (event.key === "q" && Date.now() - chord < CHORD) deeds.queue();
  else if (digit) choose(digit.dataset.type);
  else if (keys[event.key]) keys[event.key]();
  else return;
  event.preventDefault();
});

root.addEventListener("click", (event) => {
  const on = /** @type {HTMLElement} */ (event.target);
  const deed = deeds[/** @type {any} */ (on.closest("[data-do]"))?.dataset.do];
  if (deed) return event.preventDefault(), deed();
  const link = on.closest("a[href^='#line-']");
  if (link) return event.preventDefault(), move(sheet, Number(link.getAttribute("href")?.slice(6)), "center");
  const kind = /** @type {HTMLElement | null} */ (on.closest("[data-type], [data-new]"));
  if (kind) {
    choose(kind.dataset.type ?? search.value.trim(), every.open);
    return every.close();
  }
  const line = /** @type {HTMLElement | null} */ (on.closest(".line"));
  if (!line || getSelection()?.toString()) return;
  if (line === current(sheet) || on.matches(".no")) { move(sheet, Number(line.dataset.line)); mark(); } else move(sheet, Number(line.dataset.line));
});

root.addEventListener("submit", (event) => {
  const form = /** @type {HTMLElement} */ (event.target), field = form.querySelector("textarea");
  if (!form.matches(".remark") || !field) return;
  event.preventDefault();
  tell(() => ask(path("comment"), { note: field.value }).then((html) => {
    one(".comments", form.parentElement ?? root).innerHTML = html;
    field.value = "";
    sheet.focus();
  }, (error) => warn(error)));
});
root.addEventListener("keydown", (event) => {
  const on = /** @type {HTMLElement} */ (event.target);
  if (event.key === "Enter" && on.matches("textarea") && (event.ctrlKey || event.metaKey)) on.closest("form")?.requestSubmit();
  if (event.key !== "Enter" || on !== search) return;
  event.preventDefault();
  one(".options > :not([hidden])", every)?.click();
});
root.addEventListener("input", (event) => (event.target === search ? narrow() : /** @type {HTMLElement} */ (event.target).matches(".note") && changed()));
root.addEventListener("toggle", (event) => {
  const part = /** @type {HTMLDetailsElement} */ (event.target), lazy = one("[data-lazy]", part);
  if (lazy && part.open) load(lazy, "lazy");
}, true);

window.addEventListener("beforeunload", (event) => untold && event.preventDefault());
const renew = () => document.visibilityState === "visible" && [sheet, ...ahead].forEach(keep);
setInterval(renew, RENEW);
document.addEventListener("visibilitychange", () => (document.visibilityState === "hidden" ? keep(sheet) : renew()));

// The first sheet came with the page.
all("[data-load]", sheet).forEach((part) => load(part, "load"));
move(sheet, Number(sheet.dataset.start), "center");
sheet.focus({ preventScroll: true });
keep(sheet);
if (open(sheet)) fill();
