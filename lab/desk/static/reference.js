// @ts-check
// Dragging over a chart of brought traces fills the form that says what was healthy.

const form = document.getElementById("healthy");
const start = document.getElementById("f-start");
const end = document.getElementById("f-end");

/** The drawing's own coordinate below a pointer. @param {SVGSVGElement} plot @param {PointerEvent} event */
function place(plot, event) {
  const matrix = plot.getScreenCTM();
  return matrix ? new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix.inverse()).x : 0;
}

/** @param {SVGSVGElement} plot @param {number} lengthS */
function watch(plot, lengthS) {
  const left = Number(plot.dataset.left);
  const right = Number(plot.dataset.right);
  const band = document.createElementNS("http://www.w3.org/2000/svg", "rect");
  band.setAttribute("class", "dragged");
  band.setAttribute("y", String(plot.dataset.top));
  band.setAttribute("height", String(Number(plot.dataset.base) - Number(plot.dataset.top)));
  /** @type {number | null} */
  let from = null;

  /** @param {PointerEvent} event */
  function at(event) {
    return Math.min(right, Math.max(left, place(plot, event)));
  }

  plot.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    from = at(event);
    plot.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  plot.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const to = at(event);
    band.setAttribute("x", String(Math.min(from, to)));
    band.setAttribute("width", String(Math.abs(to - from)));
    plot.append(band);
  });
  plot.addEventListener("pointerup", (event) => {
    if (from === null) return;
    const ends = [from, at(event)].sort((a, b) => a - b);
    from = null;
    if (ends[1] - ends[0] < 2) return band.remove();
    const said = ends.map((x) => `${((x - left) / (right - left) * lengthS).toFixed(3)}s`);
    if (start instanceof HTMLInputElement && end instanceof HTMLInputElement) {
      [start.value, end.value] = said;
      form?.querySelector("button")?.focus();
    }
  });
  plot.addEventListener("pointercancel", () => {
    from = null;
    band.remove();
  });
}

if (form) {
  for (const plot of document.querySelectorAll("svg.plot")) {
    if (plot instanceof SVGSVGElement) watch(plot, Number(form.dataset.length));
  }
}
