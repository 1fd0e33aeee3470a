// Numbers as a person reads them, in the words of `lab/domain/wording.py`.

/**
 * Three digits and a unit: `0.45ms`, `12.3ms`, `480ms`, `1.02s`, `2m05s`.
 *
 * @param {number} ms
 * @returns {string}
 */
export function duration(ms) {
  if (!Number.isFinite(ms)) return "?";
  if (ms < 0) return `-${duration(-ms)}`;
  if (ms < 0.9995) return `${ms.toFixed(2)}ms`;
  if (ms < 99.95) return `${ms.toFixed(1)}ms`;
  if (ms < 999.5) return `${ms.toFixed(0)}ms`;
  if (ms < 99_500) return `${(ms / 1000).toFixed(ms < 9_995 ? 2 : 1)}s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}m${String(seconds % 60).padStart(2, "0")}s`;
}

/** How many times the usual: `×1.4`, `×14`; `×9999+` beyond that. */
export function times(/** @type {number} */ factor) {
  if (factor >= 9999.5) return "×9999+";
  return factor < 9.95 ? `×${factor.toFixed(1)}` : `×${factor.toFixed(0)}`;
}
