// An accessible tree grid that keeps at most some dozens of its rows in the document.
//
// Pattern: https://www.w3.org/WAI/ARIA/apg/patterns/treegrid/, rows first. One row is in the
// tab order, the focused one, and it is never taken out of the document while it has focus.

import { buildRow } from "./row.js";

/** @typedef {import("./model.js").Model} Model */

/** Rows kept beyond each edge of what is seen, so that a scroll finds them drawn. */
const MARGIN = 12;
const PAGE = 10;

export class Grid {
  /** Index of the row that has, or would get, the focus. */
  focused = 0;
  /** Told when another row is focused. @type {(index: number) => void} */
  onFocus = () => {};
  /** Told when rows were opened or closed. */
  onToggle = () => {};
  /** @type {Map<number, HTMLElement>} */
  #mounted = new Map();
  #height = 28;
  #drawing = 0;

  /**
   * @param {Model} model
   * @param {HTMLElement} scroller
   * @param {HTMLElement} body
   */
  constructor(model, scroller, body) {
    this.model = model;
    this.scroller = scroller;
    this.body = body;
    scroller.addEventListener("scroll", () => this.#soon(), { passive: true });
    new ResizeObserver(() => this.#resized()).observe(scroller);
    body.addEventListener("mousedown", (event) => this.#pressed(event));
    body.addEventListener("focusin", (event) => {
      const row = /** @type {HTMLElement} */ (event.target).closest("[role=row]");
      if (row instanceof HTMLElement) this.#take(Number(row.dataset.index));
    });
    this.#resized();
  }

  /** Draw everything anew, after the model has changed. */
  redraw() {
    const hadFocus = this.body.contains(document.activeElement);
    for (const row of this.#mounted.values()) row.remove();
    this.#mounted.clear();
    if ((this.model.places[this.focused] ?? -1) < 0) this.focused = this.#nearestShown(this.focused);
    this.#draw();
    if (hadFocus) this.#mounted.get(this.focused)?.focus({ preventScroll: true });
  }

  /** Give a row the focus, wherever it is; it is opened up where something hides it. */
  focus(/** @type {number} */ index, { quietly = false } = {}) {
    if (index < 0 || index >= this.model.rows.length) return;
    if ((this.model.places[index] ?? -1) < 0) {
      this.model.reveal(index);
      this.redraw();
      this.onToggle();
    }
    this.#take(index);
    this.#scrollTo(index);
    this.#draw();
    if (!quietly) this.#mounted.get(index)?.focus({ preventScroll: true });
  }

  /** Answer one of the pattern's keys; false where it is none of them. */
  key(/** @type {KeyboardEvent} */ event) {
    const { visible, places } = this.model;
    const place = places[this.focused] ?? 0;
    /** @type {Record<string, number>} */
    const to = {
      ArrowDown: place + 1,
      ArrowUp: place - 1,
      PageDown: place + PAGE,
      PageUp: place - PAGE,
      Home: 0,
      End: visible.length - 1,
    };
    const wanted = to[event.key];
    if (wanted !== undefined) {
      this.focus(visible[Math.min(Math.max(wanted, 0), visible.length - 1)] ?? -1);
      return true;
    }
    if (event.key === "ArrowRight") this.#into(place);
    else if (event.key === "ArrowLeft") this.#outOf();
    else return false;
    return true;
  }

  #into(/** @type {number} */ place) {
    if (!this.model.rows[this.focused]?.below) return;
    if (this.model.isClosed(this.focused)) this.toggle(this.focused);
    else if (this.model.parent(this.model.visible[place + 1] ?? -1) === this.focused) {
      this.focus(/** @type {number} */ (this.model.visible[place + 1]));
    }
  }

  #outOf() {
    if (this.model.rows[this.focused]?.below && !this.model.isClosed(this.focused)) {
      this.toggle(this.focused);
    } else this.focus(this.model.parent(this.focused));
  }

  toggle(/** @type {number} */ index) {
    this.model.toggle(index);
    this.model.update();
    this.redraw();
    this.onToggle();
  }

  #pressed(/** @type {MouseEvent} */ event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const row = target.closest("[role=row]");
    if (!(row instanceof HTMLElement)) return;
    const index = Number(row.dataset.index);
    if (target.classList.contains("twist") && this.model.rows[index]?.below) {
      event.preventDefault();
      this.focus(index);
      this.toggle(index);
    }
  }

  #take(/** @type {number} */ index) {
    const changed = this.focused !== index;
    if (changed) this.#mounted.get(this.focused)?.setAttribute("tabindex", "-1");
    this.focused = index;
    this.#mounted.get(index)?.setAttribute("tabindex", "0");
    if (changed) this.onFocus(index);
  }

  #nearestShown(/** @type {number} */ index) {
    for (let up = index; up >= 0; up = this.model.parent(up)) {
      if ((this.model.places[up] ?? -1) >= 0) return up;
    }
    return this.model.visible[0] ?? 0;
  }

  #scrollTo(/** @type {number} */ index) {
    const top = (this.model.places[index] ?? 0) * this.#height;
    const seen = this.scroller.clientHeight - this.body.offsetTop;
    if (top < this.scroller.scrollTop) this.scroller.scrollTop = top;
    else if (top + this.#height > this.scroller.scrollTop + seen) {
      this.scroller.scrollTop = top + this.#height - seen;
    }
  }

  #resized() {
    const wanted = parseFloat(getComputedStyle(this.scroller).getPropertyValue("--row"));
    if (wanted && wanted !== this.#height) {
      this.#height = wanted;
      this.redraw();
    } else this.#draw();
  }

  #soon() {
    if (this.#drawing) return;
    this.#drawing = requestAnimationFrame(() => {
      this.#drawing = 0;
      this.#draw();
    });
  }

  #draw() {
    const { visible, places } = this.model;
    this.body.style.height = `${visible.length * this.#height}px`;
    const first = Math.floor(this.scroller.scrollTop / this.#height) - MARGIN;
    const last = first + Math.ceil(this.scroller.clientHeight / this.#height) + 2 * MARGIN;
    const wanted = new Set(visible.slice(Math.max(0, first), last));
    if (visible.length) wanted.add(this.focused);
    for (const [index, row] of this.#mounted) {
      if (wanted.has(index) || row === document.activeElement) continue;
      row.remove();
      this.#mounted.delete(index);
    }
    const found = new Set(this.model.matches);
    for (const index of wanted) {
      if (this.#mounted.has(index) || (places[index] ?? -1) < 0) continue;
      const row = buildRow(this.model, index, found.has(index));
      row.style.top = `${/** @type {number} */ (places[index]) * this.#height}px`;
      row.tabIndex = index === this.focused ? 0 : -1;
      this.#mounted.set(index, row);
      this.#insert(row, index);
    }
  }

  /** In the order of the tree, which is the order a screen reader goes. */
  #insert(/** @type {HTMLElement} */ row, /** @type {number} */ index) {
    for (let next = this.body.lastElementChild; next; next = next.previousElementSibling) {
      if (Number(/** @type {HTMLElement} */ (next).dataset.index) < index) {
        next.after(row);
        return;
      }
    }
    this.body.prepend(row);
  }
}
