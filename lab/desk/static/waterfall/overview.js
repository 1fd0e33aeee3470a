// The whole trace in a strip: what is seen of it is framed, and a drag sees another stretch.

/** @typedef {import("./model.js").Model} Model */

/** A drag of fewer pixels is a click. */
const CLICK = 4;

export class Overview {
  /** Told which stretch is wanted, in ms. @type {(from: number, to: number) => void} */
  onLook = () => {};
  /** Where a drag began and where it is, as parts of the whole. @type {[number, number] | null} */
  #dragged = null;

  /**
   * @param {Model} model
   * @param {HTMLCanvasElement} canvas
   */
  constructor(model, canvas) {
    this.model = model;
    this.canvas = canvas;
    canvas.addEventListener("pointerdown", (event) => this.#start(event));
    canvas.addEventListener("pointermove", (event) => this.#move(event));
    canvas.addEventListener("pointerup", () => this.#end());
    canvas.addEventListener("pointercancel", () => this.#drop());
    canvas.addEventListener("dblclick", () => this.onLook(0, this.#whole));
    // After the frame of which this is told: rows are seen before the strip with all of them.
    new ResizeObserver(() => void setTimeout(() => this.draw())).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.draw());
  }

  get #whole() {
    return this.model.trace.length || 1;
  }

  #at(/** @type {PointerEvent} */ event) {
    const box = this.canvas.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / (box.width || 1)));
  }

  #start(/** @type {PointerEvent} */ event) {
    this.canvas.setPointerCapture(event.pointerId);
    this.#dragged = [this.#at(event), this.#at(event)];
  }

  #move(/** @type {PointerEvent} */ event) {
    if (!this.#dragged) return;
    this.#dragged = [this.#dragged[0], this.#at(event)];
    this.draw();
  }

  #drop() {
    this.#dragged = null;
    this.draw();
  }

  /** A drag sees what was dragged over; a click moves what is seen there. */
  #end() {
    if (!this.#dragged) return;
    const [one, other] = this.#dragged;
    this.#dragged = null;
    const [from, to] = this.model.view;
    if (Math.abs(other - one) * this.canvas.clientWidth >= CLICK) {
      this.onLook(Math.min(one, other) * this.#whole, Math.max(one, other) * this.#whole);
    } else {
      const half = (to - from) / 2;
      this.onLook(one * this.#whole - half, one * this.#whole + half);
    }
  }

  draw() {
    const { canvas, model } = this;
    const scale = window.devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const brush = canvas.getContext("2d");
    if (!brush || !width) return;
    brush.scale(scale, scale);
    const style = getComputedStyle(canvas);
    /** @type {Map<string, string>} */
    const known = new Map();  // Thousands of bars have a few colours.
    const colour = (/** @type {string} */ name) => {
      if (!known.has(name)) known.set(name, style.getPropertyValue(name));
      return known.get(name) ?? "";
    };
    const step = height / Math.max(1, model.rows.length);
    model.rows.forEach((row, n) => {
      if (row.kind !== "span" || row.untimed === "no start") return;
      brush.fillStyle = row.error === "own" ? colour("--error") : colour(`--hue-${model.service(row).hue}`);
      const x = (width * (row.at ?? 0)) / this.#whole;
      brush.fillRect(x, n * step, Math.max(1, (width * (row.took ?? 0)) / this.#whole), Math.max(1, step * 0.8));
    });
    this.#frame(brush, width, height, colour("--ink"), colour("--paper"));
  }

  /**
   * @param {CanvasRenderingContext2D} brush
   * @param {number} width
   * @param {number} height
   * @param {string} ink
   * @param {string} paper
   */
  #frame(brush, width, height, ink, paper) {
    const parts = this.#dragged ?? this.model.view.map((each) => each / this.#whole);
    const [left, right] = [width * Math.min(...parts), width * Math.max(...parts)];
    brush.globalAlpha = 0.7;
    brush.fillStyle = paper;
    brush.fillRect(0, 0, left, height);
    brush.fillRect(right, 0, width - right, height);
    brush.globalAlpha = 1;
    brush.strokeStyle = ink;
    if (left > 0 || right < width) brush.strokeRect(left + 0.5, 0.5, Math.max(1, right - left - 1), height - 1);
  }
}
