// The waterfall's page: loads a trace, keeps its state in the address, answers keys and clicks.

import { duration } from "./format.js";
import { Grid } from "./grid.js";
import { Model } from "./model.js";

/** @template {Element} T */
function one(/** @type {string} */ selector, /** @type {new () => T} */ kind) {
  const found = document.querySelector(selector);
  if (!(found instanceof kind)) throw new Error(`the page lacks ${selector}`);
  return found;
}

const page = one("#waterfall", HTMLElement);
const details = one("#details", HTMLElement);
const find = one("#find", HTMLInputElement);
const show = one("#show", HTMLSelectElement);
const foundText = one("#found", HTMLElement);
const keys = one("#keys", HTMLDialogElement);
const scroller = one("#grid", HTMLElement);

const response = await fetch(page.dataset.document ?? "");
if (!response.ok) {
  const said = `The desk could not give this trace's rows (it answered ${response.status}). Reload to ask again.`;
  const note = { className: "note error", role: "alert", textContent: said };
  page.before(Object.assign(document.createElement("p"), note));
  throw new Error(said);
}
const model = new Model(await response.json());

// --- state, in the address ---

const state = new URLSearchParams(location.search);
model.query = find.value = state.get("q") ?? "";
show.value = state.get("show") ?? "";
model.show = /** @type {import("./model.js").Show} */ (show.value);
model.wires = state.get("wire") !== "no";
for (const index of (state.get("closed") ?? "").split(".").filter(Boolean)) model.closed.add(Number(index));
page.classList.toggle("with-path", state.get("path") === "yes");
model.update();

page.hidden = false;
const grid = new Grid(model, scroller, one("#rows", HTMLElement));
const openDetails = state.get("details") === "yes" || (state.has("span") && !state.has("details"));
drawAxis();
tellFound();
pressed();

let writing = 0;
function remember() {
  clearTimeout(writing);
  writing = setTimeout(() => {
    const row = model.rows[grid.focused];
    const kept = {
      span: row?.kind === "span" ? row.id : state.get("span"),
      details: details.hidden ? "no" : "yes",
      q: model.query,
      show: model.show,
      wire: model.wires ? "" : "no",
      path: page.classList.contains("with-path") ? "yes" : "",
      closed: [...model.closed].sort((a, b) => a - b).join("."),
    };
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(kept)) if (value) query.set(key, value);
    history.replaceState(null, "", `?${query}`);
  }, 120);
}

grid.onFocus = () => {
  remember();
  if (!details.hidden) void showDetails(grid.focused);
};
grid.onToggle = remember;

// --- details ---

let asked = "";
async function showDetails(/** @type {number} */ index) {
  const row = model.rows[index];
  if (!row?.id || row.kind === "missing") return;
  asked = row.id;
  details.hidden = false;
  const answer = await fetch(`${page.dataset.spans}${row.id}?part=true`);
  const text = await answer.text();
  if (asked !== row.id) return;
  // The desk has escaped every word of the trace; no script in it would run all the same.
  const parsed = new DOMParser().parseFromString(text, "text/html");
  const close = Object.assign(document.createElement("button"), { className: "close", textContent: "Close" });
  close.addEventListener("click", closeDetails);
  details.replaceChildren(close, ...parsed.body.childNodes);
  for (const each of details.querySelectorAll("[data-copy]")) addCopy(each);
  details.scrollTop = 0;
  remember();
}

function closeDetails() {
  details.hidden = true;
  asked = "";
  grid.focus(grid.focused);
  remember();
}

function addCopy(/** @type {Element} */ holder) {
  const text = holder.textContent ?? "";
  const button = document.createElement("button");
  Object.assign(button, { className: "copy", textContent: "copy", ariaLabel: `Copy ${text}` });
  button.addEventListener("click", () => {
    void navigator.clipboard.writeText(text).then(() => (button.textContent = "copied"));
  });
  holder.append(" ", button);
}

details.addEventListener("click", (event) => {
  const link = /** @type {HTMLElement} */ (event.target).closest("[data-span]");
  if (!(link instanceof HTMLElement)) return;
  event.preventDefault();
  grid.focus(model.indexOf(link.dataset.span ?? ""));
});

// --- what is found ---

function search() {
  model.query = find.value;
  model.show = /** @type {import("./model.js").Show} */ (show.value);
  model.update();
  grid.redraw();
  tellFound();
  remember();
}

function tellFound() {
  const hits = model.query.trim() ? `${model.matches.length} found` : "";
  const shown = model.show ? `${model.visible.length} of ${model.rows.length} rows` : "";
  foundText.textContent = [hits, shown].filter(Boolean).join(", ");
}

find.addEventListener("input", search);
show.addEventListener("change", search);
one("#tools", HTMLFormElement).addEventListener("submit", (event) => {
  event.preventDefault();
  step(model.matches, false);
});
find.addEventListener("keydown", (event) => {
  if (event.key === "Escape" || event.key === "ArrowDown") {
    event.preventDefault();
    grid.focus(grid.focused);
  }
});

function step(/** @type {number[]} */ among, /** @type {boolean} */ backwards) {
  grid.focus(model.next(among, grid.focused, backwards));
  show.value = model.show;
  tellFound();
}

// --- keys ---

function assist(/** @type {string} */ name) {
  void fetch(`${page.dataset.assists}${encodeURIComponent(name)}`, { method: "POST" });
}

function spanId() {
  const row = model.rows[grid.focused];
  return row?.kind === "span" || row?.kind === "wire" ? row.id : undefined;
}

/** @type {Record<string, () => void>} */
const COMMANDS = {
  "/": () => find.select(),
  n: () => step(model.matches, false),
  N: () => step(model.matches, true),
  e: () => jumpToError(false),
  E: () => jumpToError(true),
  p: () => {
    if (page.classList.toggle("with-path")) assist("critical path");
    pressed();
    remember();
  },
  w: () => {
    model.wires = !model.wires;
    model.update();
    grid.redraw();
    pressed();
    remember();
  },
  l: () => void showDetails(grid.focused).then(() => focusOn("#span-logs")),
  c: () => location.assign(page.dataset.twin ?? ""),
  a: () => spanId() && location.assign(`${page.dataset.accuse}${spanId()}`),
  Enter: () => void showDetails(grid.focused).then(() => details.focus()),
  "?": () => keys.showModal(),
};

function jumpToError(/** @type {boolean} */ backwards) {
  assist("own-error jump");
  step(model.ownErrors, backwards);
}

function focusOn(/** @type {string} */ selector) {
  const target = details.querySelector(selector);
  if (target instanceof HTMLElement) target.focus();
}

function pressed() {
  for (const button of document.querySelectorAll("#tools [data-key]")) {
    const on = { p: page.classList.contains("with-path"), w: model.wires };
    const key = /** @type {HTMLElement} */ (button).dataset.key;
    if (key === "p" || key === "w") button.setAttribute("aria-pressed", String(on[key]));
  }
}

scroller.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const command = COMMANDS[event.key];
  if (command) command();
  else if (!grid.key(event)) return;
  event.preventDefault();
});
details.addEventListener("keydown", (event) => {
  if (event.key === "Escape") closeDetails();
});
scroller.addEventListener("click", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  if (target.closest("#rows [role=row]") && !target.classList.contains("twist")) void showDetails(grid.focused);
});
for (const button of document.querySelectorAll("#tools [data-key]")) {
  button.addEventListener("click", () => COMMANDS[/** @type {HTMLElement} */ (button).dataset.key ?? ""]?.());
}

// --- start ---

function drawAxis() {
  const axis = one("#axis", HTMLElement);
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const tick = Object.assign(document.createElement("span"), {
      className: part % 0.5 ? "tick fine" : "tick",
      textContent: duration(part * model.trace.length),
      ariaHidden: "true",
    });
    tick.style.left = `${100 * part}%`;
    axis.append(tick);
  }
}

const wanted = state.get("span");
const start = wanted ? model.indexOf(wanted) : 0;
if (wanted && start < 0) foundText.textContent = `This trace has no span ${wanted}.`;
grid.focus(Math.max(0, start), { quietly: !wanted });
if (openDetails && start >= 0) void showDetails(grid.focused);
page.dataset.ready = "yes";
