// One row of the grid as elements. Every text of a trace becomes a text node, never markup.

import { duration, times } from "./format.js";

/** @typedef {import("./model.js").Row} Row */
/** @typedef {import("./model.js").Model} Model */

const DEEPEST = 14;
/** Characters of an operation that are read aloud. */
const SPOKEN = 80;
/** @type {Record<string, string>} */
const KINDS = { server: "▣", client: "→", internal: "·", producer: "⇢", consumer: "⇠" };

/** @param {string} className @param {string} text */
function span(className, text = "", tag = "span") {
  const made = document.createElement(tag);
  made.className = className;
  if (text) made.textContent = text;
  return made;
}

/** What a screen reader says of a row. */
export function spoken(/** @type {Model} */ model, /** @type {Row} */ row, /** @type {number} */ index) {
  if (row.kind === "missing") return `parent ${row.id} never came`;
  if (row.kind === "gap") return `no child ran for ${duration(row.took ?? 0)}`;
  if (row.kind === "wire") return `on the wire to ${row.peer} and back, ${duration(row.took ?? 0)}`;
  const said = [`${model.service(row).name} ${(row.says ?? row.name ?? "").slice(0, SPOKEN)}`];
  const repeats = model.stands(index);
  if (repeats) said.push(`${repeats.count} of them, ${duration(repeats.took)} together`);
  if (row.peer) said.push(`to ${row.peer}`);
  said.push(row.untimed ?? duration(row.took ?? 0));
  if (row.times) said.push(`${times(row.times).slice(1)} times the usual`);
  else if (row.isNew) said.push("new");
  if (row.error) said.push(row.error === "own" ? "fails by itself" : "hands up an error");
  if (row.cutBy) said.push(`cut short by ${row.cutBy}`);
  if (row.outlives) said.push(`outlives its caller by ${duration(row.outlives)}`);
  if (row.silent) said.push("callee sent no span");
  else if (row.open) said.push("wire or callee");
  if (row.logsBelow) said.push(`${row.logsBelow} log lines`);
  return said.join(", ");
}

/**
 * @param {Model} model
 * @param {number} index
 * @param {boolean} found
 */
export function buildRow(model, index, found) {
  const row = /** @type {Row} */ (model.rows[index]);
  const made = span(`row ${row.kind}${found ? " found" : ""}`, "", "div");
  const marks = { role: "row", ariaLevel: String((row.depth ?? 0) + 1), ariaPosInSet: String(row.position) };
  Object.assign(made, marks, { ariaSetSize: String(row.siblings), ariaLabel: spoken(model, row, index) });
  if (row.below) made.ariaExpanded = String(!model.isClosed(index));
  made.dataset.index = String(index);
  if (row.kind === "span") made.classList.add(`hue-${model.service(row).hue}`);
  if (row.critical) made.classList.add("critical");
  made.append(
    nameCell(model, row, index),
    numberCell("c-took", tookText(row)),
    numberCell("c-self", row.kind === "span" && !row.untimed ? duration(row.self ?? 0) : ""),
    usualCell(row),
    timeCell(model, row),
  );
  return made;
}

function tookText(/** @type {Row} */ row) {
  if (row.untimed) return row.untimed;
  return row.took === undefined && row.kind !== "span" ? "" : duration(row.took ?? 0);
}

function numberCell(/** @type {string} */ className, /** @type {string} */ text) {
  const made = span(className, text);
  made.role = "gridcell";
  return made;
}

function usualCell(/** @type {Row} */ row) {
  let text = "";
  if (row.kind === "span") text = row.times ? times(row.times) : row.isNew ? "new" : "";
  const made = numberCell("c-times", text);
  if ((row.times ?? 0) >= 2 || text === "new") made.classList.add("much");
  return made;
}

/** @param {Model} model @param {Row} row @param {number} index */
function nameCell(model, row, index) {
  const made = span("c-name");
  made.role = "gridcell";
  const depth = row.depth ?? 0;
  made.style.setProperty("--depth", String(Math.min(depth, DEEPEST)));
  if (depth > DEEPEST) made.append(span("deep", String(depth)));
  const twist = span("twist", row.below ? (model.isClosed(index) ? "▸" : "▾") : "");
  made.append(twist);
  if (row.kind === "missing") made.append(span("said", `? parent ${row.id} never came`));
  if (row.kind === "gap") made.append(span("said", "░ no child ran"));
  if (row.kind === "wire") made.append(span("said", `⇄ on the wire to ${row.peer} and back`));
  if (row.kind !== "span") return made;
  if (row.error) made.append(span(`sign ${row.error}`, row.error === "own" ? "✖" : "↥"));
  made.append(
    span("does", KINDS[row.does ?? ""] ?? "·"),
    span("service", model.service(row).name || "?"),
    operation(row),
  );
  if (row.peer) made.append(span("peer", row.peer));
  const repeats = model.stands(index);
  if (repeats) made.append(span("chip repeats", `×${repeats.count}, ${duration(repeats.took)} together`));
  for (const [shown, text] of chips(row, model.isClosed(index))) if (shown) made.append(span("chip", text));
  return made;
}

function operation(/** @type {Row} */ row) {
  const made = span("op", row.says || row.name || "(no name)");
  if (row.says) made.title = row.says;
  return made;
}

/**
 * @param {Row} row
 * @param {boolean} closed
 * @returns {[unknown, string][]}
 */
function chips(row, closed) {
  const own = row.logs?.length ?? 0;
  const below = (row.logsBelow ?? 0) - own;
  return [
    [row.silent, "∅ callee sent no span"],
    [row.open && !row.silent, "wire or callee"],
    [row.cutBy, "┤ cut short"],
    [row.outlives, "⟩ outlives"],
    [row.skew, "▲ clock"],
    [row.links, "⇢ link"],
    [own, `● ${own}`],
    [closed && below, `● ${below} below`],
  ];
}

/** @param {Model} model @param {Row} row */
function timeCell(model, row) {
  const made = span("c-time");
  made.role = "gridcell";
  const [from, to] = model.view;
  /** Put a mark where it belongs, cut off at both ends of what is seen; null where it is beyond. */
  /** @param {string} className @param {number} at @param {number} [length] */
  const put = (className, at, length) => {
    const start = Math.max(at, from);
    const end = Math.min(at + (length ?? 0), to);
    if (start > to || end < from) return null;
    const mark = span(className);
    mark.style.left = `${(100 * (start - from)) / (to - from)}%`;
    if (length !== undefined) mark.style.width = `${(100 * Math.max(0, end - start)) / (to - from)}%`;
    made.append(mark);
    return mark;
  };
  for (const [at, length] of row.stretches ?? []) put("t-stretch", at, length);
  if (row.kind !== "span") return made;
  const at = row.at ?? 0;
  const took = row.took ?? 0;
  if (row.usual) ghost(row.usual, at, put);
  if (row.usual && at + row.usual[0] > to && at <= to) made.append(beyond(row.usual));
  if (row.untimed === "no start") return made;
  put(`t-bar${row.untimed ? " unfinished" : ""}${row.error ? ` ${row.error}` : ""}${row.cutBy ? " cut" : ""}`, at, took);
  if (row.outlives) put("t-after", at + Math.max(0, took - row.outlives), Math.min(took, row.outlives));
  for (const [start, length] of row.critical ?? []) put("t-path", start, length);
  for (const moment of row.events ?? []) put("t-event", moment);
  for (const moment of row.logs ?? []) put("t-log", moment);
  return made;
}

/**
 * @param {[number, number]} usual
 * @param {number} at
 * @param {(className: string, at: number, length: number) => HTMLElement | null} put
 */
function ghost([p50, p95], at, put) {
  const mark = put("t-ghost", at + p50, Math.max(0, p95 - p50));
  if (mark) mark.title = `usually ${duration(p50)} to ${duration(p95)}`;
}

/** Its usual end lies right of what is seen. */
function beyond(/** @type {[number, number]} */ [p50, p95]) {
  const mark = span("t-beyond", "▸");
  mark.title = `usually ${duration(p50)} to ${duration(p95)}, beyond what is seen`;
  return mark;
}
