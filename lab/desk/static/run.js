// @ts-check
// Follows a run by server-sent events; the page without script looks again every two seconds.

/**
 * @typedef {{event: string, step?: string, says?: string,
 *   requests_per_s?: number, error_rate?: number, p95_ms?: number, text?: string}} RunEvent
 */

const card = document.querySelector("[data-run]");
const says = document.getElementById("run-says");
const load = document.getElementById("run-load");

/** @param {RunEvent} event */
function show(event) {
  if (event.event === "phase" && says) {
    // A step is told once: its remaining time would be read aloud again and again.
    if (says.dataset.step !== event.step) {
      says.textContent = event.says ?? "";
      if (load) load.textContent = "";
    }
    says.dataset.step = event.step;
    for (const each of document.querySelectorAll("[data-step]")) {
      if (!(each instanceof HTMLLIElement)) continue;
      if (each.dataset.step === event.step) each.setAttribute("aria-current", "step");
      else each.removeAttribute("aria-current");
    }
  }
  if (event.event === "load" && load) {
    const rate = Math.round(event.requests_per_s ?? 0);
    const errors = Math.round(100 * (event.error_rate ?? 0));
    load.textContent = `${rate} requests/s, ${errors} % errors, p95 ${Math.round(event.p95_ms ?? 0)} ms`;
  }
  if (event.event === "note" && says) says.textContent = event.text ?? "";
}

if (card instanceof HTMLElement) {
  const source = new EventSource(`/runs/${card.dataset.run}/events`);
  source.onmessage = (message) => {
    /** @type {RunEvent} */
    const event = JSON.parse(message.data);
    show(event);
    if (event.event === "ended") {
      source.close();
      // The server knows what there is to say at the end, and says it without script as well.
      location.reload();
    }
  };
}
