// @ts-check
// Keys of a page with a filter: find, rows or cards one by one, pages.

import { onKey } from "./keys.js";
import "./stretch.js";

/** The stop that has the focus, or contains it, and its neighbour. @param {number} by */
function step(by) {
  const stops = [...document.querySelectorAll("[data-stop]")];
  const now = stops.findIndex((each) => each.contains(document.activeElement));
  const next = stops[now < 0 ? (by > 0 ? 0 : stops.length - 1) : now + by];
  const target = next?.querySelector("a, button:not(:disabled)");
  if (target instanceof HTMLElement || target instanceof SVGElement) target.focus();
}

/** @param {string} selector @param {"click" | "focus"} does */
function use(selector, does) {
  const found = document.querySelector(selector);
  if (found instanceof HTMLElement) found[does]();
  return found !== null;
}

onKey((event) => {
  const here = document.activeElement?.closest("[data-stop]");
  let isMeant = true;
  if (event.key === "j") step(1);
  else if (event.key === "k") step(-1);
  else if (event.key === "/") isMeant = use("input[type=search]", "focus");
  else if (event.key === "n") isMeant = use("a[rel=next]", "click");
  else if (event.key === "N") isMeant = use("a[rel=prev]", "click");
  else if (event.key === "p" && here) {
    const practise = here.querySelector("button[data-practise]");
    if (practise instanceof HTMLElement) practise.click();
  } else isMeant = false;
  if (isMeant) event.preventDefault();
});
