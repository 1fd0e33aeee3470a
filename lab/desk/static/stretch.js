// @ts-check
// A part of the time, chosen on drawings over time by dragging or by keys, and asked for by a form.
// A click needs no script: each second of a drawing is a link.

import { onKey } from "./keys.js";

const SVG = "http://www.w3.org/2000/svg";
const DRAGGED_PX = 5;

/**
 * A drawing, and the rectangle that shows what is chosen.
 * @typedef {{svg: SVGSVGElement, brush: SVGRectElement, top: number, base: number,
 *   lowMs: number, highMs: number}} Plot
 */

/** @param {SVGSVGElement} svg @returns {Plot} */
function plot(svg) {
  const brush = document.createElementNS(SVG, "rect");
  brush.setAttribute("class", "brush");
  brush.setAttribute("width", "0");
  svg.append(brush);
  const { top, base, lowMs, highMs } = svg.dataset;
  return { svg, brush, top: Number(top), base: Number(base), lowMs: Number(lowMs), highMs: Number(highMs) };
}

/** @param {number} value @param {number} least @param {number} most */
function within(value, least, most) {
  return Math.min(most, Math.max(least, value));
}

/** Choose on the drawings in `root`, whose axis its data describe; `form` has the fields to fill. */
export class Stretch {
  /** @param {HTMLElement} root @param {HTMLFormElement} form */
  constructor(root, form) {
    this.root = root;
    this.form = form;
    this.startS = Number(root.dataset.startS);
    this.endS = Number(root.dataset.endS);
    this.stepS = Number(root.dataset.stepS);
    this.says = document.getElementById(root.dataset.says ?? "");
    /** @type {{from: number, to: number} | null} */
    this.chosen = null;
    this.plots = [...root.querySelectorAll("svg[data-plot]")].map((each) => plot(/** @type {SVGSVGElement} */ (each)));
    for (const each of this.plots) this.listen(each);
    root.tabIndex = 0;
    onKey((event) => {
      if (document.activeElement === root) this.press(event);
      else if (event.key === "s") root.focus();
    });
  }

  /** @param {Plot} each */
  listen(each) {
    /** @type {{x: number, y: number} | null} */
    let began = null;
    let isDrag = false;
    each.svg.addEventListener("dragstart", (event) => event.preventDefault());
    each.svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      began = { x: event.clientX, y: event.clientY };
      isDrag = false;
    });
    each.svg.addEventListener("pointermove", (event) => {
      if (!began) return;
      if (!isDrag && Math.abs(event.clientX - began.x) < DRAGGED_PX) return;
      if (!isDrag) each.svg.setPointerCapture(event.pointerId);
      isDrag = true;
      const [from, to] = [this.second(each, began.x), this.second(each, event.clientX)].sort((a, b) => a - b);
      this.choose(from, to);
      this.level(each, began.y, event.clientY);
    });
    each.svg.addEventListener("pointerup", () => {
      began = null;
      if (isDrag) this.ask();
    });
    each.svg.addEventListener("pointercancel", () => {
      began = null;
      this.clear();
    });
    each.svg.addEventListener("click", (event) => {
      if (isDrag) event.preventDefault();
    }, true);
  }

  /** @param {Plot} each @param {number} clientX */
  second(each, clientX) {
    const box = each.svg.getBoundingClientRect();
    const share = within((clientX - box.left) / box.width, 0, 1);
    return this.startS + share * (this.endS - this.startS);
  }

  /**
   * How high and how low a drag reached, where the drawing has a field for it.
   * @param {Plot} each @param {number} oneY @param {number} otherY
   */
  level(each, oneY, otherY) {
    if (!each.lowMs) return;
    const box = each.svg.getBoundingClientRect();
    const [high, low] = [oneY - box.top, otherY - box.top].sort((a, b) => a - b).map((y) => within(y, each.top, each.base));
    if (low - high < 2 * DRAGGED_PX) {
      this.fill("min_ms", "");
      this.fill("max_ms", "");
      this.show(each, each.top, each.base);
      return;
    }
    const ms = (/** @type {number} */ y) => each.lowMs * (each.highMs / each.lowMs) ** ((each.base - y) / (each.base - each.top));
    this.fill("min_ms", String(Number(ms(low).toPrecision(3))));
    this.fill("max_ms", String(Number(ms(high).toPrecision(3))));
    this.show(each, high, low);
  }

  /** @param {number} from @param {number} to seconds of the axis */
  choose(from, to) {
    this.chosen = { from, to };
    this.fill("from_s", String(Number(from.toFixed(2))));
    this.fill("to_s", String(Number(to.toFixed(2))));
    for (const each of this.plots) this.show(each, each.top, each.base);
  }

  clear() {
    this.chosen = null;
    for (const name of ["from_s", "to_s"]) this.fill(name, "");
    for (const each of this.plots) each.brush.setAttribute("width", "0");
    if (this.says) this.says.textContent = "";
  }

  /** @param {Plot} each @param {number} top @param {number} base */
  show(each, top, base) {
    if (!this.chosen) return;
    const percent = (/** @type {number} */ at) => (100 * (at - this.startS)) / (this.endS - this.startS);
    each.brush.setAttribute("x", `${percent(this.chosen.from)}%`);
    each.brush.setAttribute("width", `${percent(this.chosen.to) - percent(this.chosen.from)}%`);
    each.brush.setAttribute("y", String(top));
    each.brush.setAttribute("height", String(base - top));
  }

  /** @param {string} name @param {string} value */
  fill(name, value) {
    const field = this.form.elements.namedItem(name);
    if (field instanceof HTMLInputElement) field.value = value;
  }

  ask() {
    this.form.requestSubmit();
  }

  /** @param {KeyboardEvent} event */
  press(event) {
    const { key } = event;
    if (key === "Enter" && this.chosen) this.ask();
    else if (key === "Escape") this.clear();
    else if (["ArrowLeft", "ArrowRight", "Home", "End"].includes(key)) this.move(key, event.shiftKey);
    else return;
    event.preventDefault();
  }

  /** One step on, or with shift one step more. @param {string} key @param {boolean} isMore */
  move(key, isMore) {
    const last = Math.max(this.startS, this.endS - this.stepS);
    const now = this.chosen ?? { from: this.startS - this.stepS, to: this.startS };
    const by = key === "ArrowLeft" ? -this.stepS : this.stepS;
    if (isMore && this.chosen) {
      this.choose(now.from, within(now.to + by, now.from + this.stepS, this.endS));
    } else {
      const wanted = key === "Home" ? this.startS : key === "End" ? last : now.from + by;
      const from = within(wanted, this.startS, last);
      this.choose(from, Math.min(this.endS, from + this.stepS));
    }
    this.tell();
  }

  /** Say what was chosen, and of a single step what the drawings have there. */
  tell() {
    if (!this.says || !this.chosen) return;
    const { from, to } = this.chosen;
    const step = Math.round((from - this.startS) / this.stepS);
    const isOne = to - from < 1.5 * this.stepS;
    const told = this.plots.map((each) => each.svg.querySelectorAll("rect.slot")[step]?.textContent ?? "");
    // Each begins with the time, which is said once.
    const values = told.map((each, n) => (n ? each.replace(/^.*?: /, "") : each));
    this.says.textContent = isOne ? values.join(", ") : `from ${Number(from.toFixed(2))} s to ${Number(to.toFixed(2))} s`;
  }
}

for (const root of document.querySelectorAll("[data-stretch]")) {
  const form = document.getElementById(root instanceof HTMLElement ? (root.dataset.stretch ?? "") : "");
  if (root instanceof HTMLElement && form instanceof HTMLFormElement) new Stretch(root, form);
}
