// @ts-check
// What pages share: when a key is meant for the page, and the list of keys under `?`.

/**
 * Call `answer` for keys that are meant for the page: none that is typed into a field, none
 * that belongs to the browser, none while the list of keys is open.
 * @param {(event: KeyboardEvent) => void} answer
 */
export function onKey(answer) {
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    const isTyped = target instanceof HTMLElement && target.closest("input, select, textarea") !== null;
    if (isTyped || event.ctrlKey || event.metaKey || event.altKey) return;
    if (document.querySelector("dialog[open]")) return;
    answer(event);
  });
}

const keys = document.getElementById("keys");

function show() {
  if (keys instanceof HTMLDialogElement) keys.showModal();
}

for (const each of document.querySelectorAll("button[data-keys]")) each.addEventListener("click", show);

onKey((event) => {
  if (event.key !== "?") return;
  event.preventDefault();
  show();
});
