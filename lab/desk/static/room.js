// @ts-check
// One key opens, or closes, the tables of all charts.

import { onKey } from "./keys.js";
import "./stretch.js";

onKey((event) => {
  if (event.key !== "t") return;
  const tables = document.querySelectorAll("details.values");
  const open = ![...tables].every((each) => each instanceof HTMLDetailsElement && each.open);
  for (const each of tables) if (each instanceof HTMLDetailsElement) each.open = open;
});
