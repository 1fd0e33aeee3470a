// @ts-check
// One key opens, or closes, the tables of all charts.

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof HTMLElement && target.closest("input, select, textarea") !== null;
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "t" || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
  const tables = document.querySelectorAll("details.values");
  const open = ![...tables].every((each) => each instanceof HTMLDetailsElement && each.open);
  for (const each of tables) if (each instanceof HTMLDetailsElement) each.open = open;
});
