// The waterfall's page: loads a trace, keeps its state in the address, answers keys and clicks.

import { duration } from "./format.js";
import { Grid } from "./grid.js";
import { Model } from "./model.js";
import { Overview } from "./overview.js";

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
const depth = one("#depth", HTMLSelectElement);
const scroller = one("#grid", HTMLElement);
const plain = one("#plain", HTMLElement);

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
model.folded = state.get("repeats") === "fold";
model.depth = Math.max(0, Number(state.get("depth")) || 0);
for (const index of (state.get("closed") ?? "").split(".").filter(Boolean)) model.toggled.add(Number(index));
const seen = (state.get("view") ?? "").split("-").map(Number);
if (seen.length === 2 && seen.every(Number.isFinite)) model.look(Number(seen[0]), Number(seen[1]));
page.classList.toggle("with-path", state.get("path") === "yes");
model.update();

// The server's rows stay until these stand in their place.
scroller.hidden = false;
const grid = new Grid(model, scroller, one("#rows", HTMLElement));
plain.remove();
const overview = new Overview(model, one("#overview", HTMLCanvasElement));
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
      repeats: model.folded ? "fold" : "",
      depth: model.depth || "",
      view: model.isWhole ? "" : model.view.map((each) => Number(each.toFixed(3))).join("-"),
      closed: [...model.toggled].sort((a, b) => a - b).join("."),
    };
    const query = new URLSearchParams();
    for (const [key, value] of Object.entries(kept)) if (value) query.set(key, String(value));
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

// --- what is seen of the time ---

function look(/** @type {number} */ from, /** @type {number} */ to) {
  model.look(from, to);
  grid.redraw();
  overview.draw();
  drawAxis();
  remember();
}
overview.onLook = look;

/** Closer by this factor, round the middle of the focused span where it is in sight. */
function zoom(/** @type {number} */ factor) {
  const [from, to] = model.view;
  const row = model.rows[grid.focused];
  const middle = (row?.at ?? 0) + (row?.took ?? 0) / 2;
  const round = row?.kind === "span" && middle >= from && middle <= to ? middle : (from + to) / 2;
  look(round - (round - from) / factor, round + (to - round) / factor);
}

/** To the side by this part of what is seen. */
function pan(/** @type {number} */ part) {
  const [from, to] = model.view;
  look(from + part * (to - from), to + part * (to - from));
}

function fitSpan() {
  const row = model.rows[grid.focused];
  if (row?.kind !== "span" || !row.took) return;
  look((row.at ?? 0) - row.took * 0.05, (row.at ?? 0) + row.took * 1.05);
}

function openTo(/** @type {number} */ levels) {
  model.openTo(levels);
  depth.value = [...depth.options].some((each) => each.value === String(levels)) && levels ? String(levels) : "";
  refresh();
}

/** Work out and draw anew what is shown. */
function refresh() {
  model.update();
  grid.redraw();
  pressed();
  tellFound();
  remember();
}

// --- what is found ---

function search() {
  model.query = find.value;
  model.show = /** @type {import("./model.js").Show} */ (show.value);
  refresh();
}

function tellFound() {
  const hits = model.query.trim() ? `${model.matches.length} found` : "";
  const shown = model.show ? `${model.visible.length} of ${model.rows.length} rows` : "";
  foundText.textContent = [hits, shown].filter(Boolean).join(", ");
}

find.addEventListener("input", search);
show.addEventListener("change", search);
depth.addEventListener("change", () => openTo(Number(depth.value)));
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
    refresh();
  },
  r: () => {
    model.folded = !model.folded;
    model.unfolded.clear();
    refresh();
  },
  "+": () => zoom(2),
  "=": () => zoom(2),
  "-": () => zoom(0.5),
  f: () => look(0, model.trace.length || 1),
  z: fitSpan,
  g: () => location.assign(page.dataset.flame ?? ""),
  l: () => void showDetails(grid.focused).then(() => focusOn("#span-logs")),
  c: () => location.assign(page.dataset.twin ?? ""),
  a: () => spanId() && location.assign(`${page.dataset.accuse}${spanId()}`),
  Enter: () => void showDetails(grid.focused).then(() => details.focus()),
  "?": () => keys.showModal(),
};

function jumpToError(/** @type {boolean} */ backwards) {
  if (!model.ownErrors.length) {
    foundText.textContent = "No span fails by itself.";
    return;
  }
  assist("own-error jump");
  step(model.ownErrors, backwards);
}

function focusOn(/** @type {string} */ selector) {
  const target = details.querySelector(selector);
  if (target instanceof HTMLElement) target.focus();
}

function pressed() {
  for (const button of document.querySelectorAll("#tools [data-key]")) {
    const on = { p: page.classList.contains("with-path"), w: model.wires, r: model.folded };
    const key = /** @type {HTMLElement} */ (button).dataset.key;
    if (key === "p" || key === "w" || key === "r") button.setAttribute("aria-pressed", String(on[key]));
  }
}

document.addEventListener("keydown", (event) => {
  const target = /** @type {HTMLElement} */ (event.target);
  const isOurs = target === document.body || target.id === "main" || scroller.contains(target);
  if (!isOurs || event.ctrlKey || event.metaKey || event.altKey) return;
  const command = COMMANDS[event.key];
  if (command) command();
  else if (/^[0-9]$/.test(event.key)) openTo(Number(event.key));
  else if (event.shiftKey && event.key === "ArrowLeft") pan(-0.25);
  else if (event.shiftKey && event.key === "ArrowRight") pan(0.25);
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
  const [from, to] = model.view;
  for (const old of axis.querySelectorAll(".tick")) old.remove();
  for (const part of [0, 0.25, 0.5, 0.75, 1]) {
    const tick = Object.assign(document.createElement("span"), {
      className: part % 0.5 ? "tick fine" : "tick",
      textContent: duration(from + part * (to - from)),
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
if (model.depth) depth.value = String(model.depth);
if (openDetails && start >= 0) void showDetails(grid.focused);
else details.hidden = true;
page.dataset.ready = "yes";
