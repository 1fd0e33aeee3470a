// A trace as rows: which of them are shown, found, open. Knows nothing of the page.

/**
 * One row as the server sends it; what is left out is false, zero or empty. Times are in
 * milliseconds since the trace's first span, `parent` and `service` count from 1.
 *
 * @typedef {object} Row
 * @property {"span" | "wire" | "gap" | "missing"} kind
 * @property {string} [id]
 * @property {number} [depth]
 * @property {number} [parent]
 * @property {number} position
 * @property {number} siblings
 * @property {number} [below] rows below it, which follow it directly
 * @property {number} [service]
 * @property {string} [name]
 * @property {string} [says] what it does in more words than its name: a route, a statement
 * @property {string} [does] OpenTelemetry's span kind
 * @property {string} [peer]
 * @property {number} [at]
 * @property {number} [took]
 * @property {"unfinished" | "no start"} [untimed] which of its times nobody wrote down
 * @property {number} [self]
 * @property {"own" | "child"} [error]
 * @property {[number, number]} [usual] p50 and p95 before the incident
 * @property {number} [times]
 * @property {[number, number][]} [critical] start and length of each stretch
 * @property {[number, number][]} [stretches] of a gap, or of the wire
 * @property {string} [cutBy]
 * @property {number} [skew]
 * @property {number} [outlives]
 * @property {boolean} [open] its time went on the wire or at a callee of which no span came
 * @property {boolean} [silent] that callee usually sends spans
 * @property {boolean} [isNew] nobody did this before the incident
 * @property {number[]} [events]
 * @property {number[]} [logs]
 * @property {number} [logsBelow]
 * @property {number} [links]
 * @property {string} [words]
 */

/** @typedef {{ traceId: string, length: number, logs: number, services: { name: string, hue: number }[], rows: Row[] }} Trace */

/**
 * First row of repeats → how many there are, and how long they took together; and row index → the
 * first row of its repeats, -1 where it is none or stands alone.
 *
 * @typedef {{ told: Map<number, { count: number, took: number }>, leads: Int32Array }} Repeats
 */

/** @typedef {"" | "found" | "errors" | "critical" | "slow"} Show */

/** From this many times the usual on, a span counts as slow. */
const SLOW = 2;

/** So many equal siblings are repeats that can be folded. */
const REPEATS = 3;

/** What is seen at once is never less than this part of the trace. */
const NARROWEST = 1e-4;

export class Model {
  show = /** @type {Show} */ ("");
  wires = true;
  query = "";
  /** How many levels are open; 0 opens all. */
  depth = 0;
  /** Indices of the rows that are not as `depth` has them. @type {Set<number>} */
  toggled = new Set();
  /** Whether repeats are one row. */
  folded = false;
  /** First row of each fold that was opened again. @type {Set<number>} */
  unfolded = new Set();
  /** What of the trace is seen, in ms: from, to. @type {[number, number]} */
  view;
  /** Worked out when somebody folds them. @type {Repeats | null} */
  #repeats = null;
  /** Indices of the rows on the page, top to bottom. @type {number[]} */
  visible = [];
  /** Row index → its place in `visible`, -1 where it is hidden. */
  places = new Int32Array(0);
  /** Indices of the rows that are found, in order. @type {number[]} */
  matches = [];
  /** @type {Map<string, number>} */
  #byId = new Map();
  /** What is looked in, row by row; made when somebody looks for something. @type {string[]} */
  #texts = [];

  constructor(/** @type {Trace} */ trace) {
    this.trace = trace;
    this.rows = trace.rows;
    this.view = [0, trace.length || 1];
    this.rows.forEach((row, n) => {
      if (row.kind === "span" && row.id) this.#byId.set(row.id, n);
    });
    this.update();
  }

  service(/** @type {Row} */ row) {
    return this.trace.services[(row.service ?? 0) - 1] ?? { name: "?", hue: 0 };
  }

  indexOf(/** @type {string} */ spanId) {
    return this.#byId.get(spanId) ?? -1;
  }

  parent(/** @type {number} */ index) {
    return (this.rows[index]?.parent ?? 0) - 1;
  }

  isClosed(/** @type {number} */ index) {
    const row = this.rows[index];
    const byDepth = this.depth > 0 && (row?.depth ?? 0) >= this.depth - 1;
    return Boolean(row?.below) && byDepth !== this.toggled.has(index);
  }

  toggle(/** @type {number} */ index) {
    if (!this.toggled.delete(index)) this.toggled.add(index);
  }

  /** Open so many levels, and no other row; 0 opens all. */
  openTo(/** @type {number} */ depth) {
    this.depth = depth;
    this.toggled.clear();
  }

  /** How many repeats a row stands for now; nothing where it stands for itself alone. */
  stands(/** @type {number} */ index) {
    return this.folded && !this.unfolded.has(index) ? this.repeats.told.get(index) : undefined;
  }

  /** See another stretch of the trace, in ms; what reaches beyond it is cut off. */
  look(/** @type {number} */ from, /** @type {number} */ to) {
    const whole = this.trace.length || 1;
    const length = Math.min(whole, Math.max(to - from, whole * NARROWEST));
    const start = Math.min(Math.max(0, from), whole - length);
    this.view = [start, start + length];
  }

  get isWhole() {
    return this.view[0] <= 0 && this.view[1] >= (this.trace.length || 1);
  }

  get repeats() {
    return (this.#repeats ??= this.#findRepeats());
  }

  /** Siblings that do the same with the same end, three or more of them. @returns {Repeats} */
  #findRepeats() {
    const told = new Map();
    const leads = new Int32Array(this.rows.length).fill(-1);
    /** @type {Map<string, number[]>} */
    const groups = new Map();
    this.rows.forEach((row, n) => {
      if (row.kind !== "span") return;
      const key = JSON.stringify([row.parent, row.service, row.says ?? row.name, row.peer, row.does, row.error]);
      const group = groups.get(key);
      if (group) group.push(n);
      else groups.set(key, [n]);
    });
    for (const group of groups.values()) {
      if (group.length < REPEATS) continue;
      const lead = /** @type {number} */ (group[0]);
      let took = 0;
      for (const n of group) {
        leads[n] = lead;
        took += this.rows[n]?.took ?? 0;
      }
      told.set(lead, { count: group.length, took });
    }
    return { told, leads };
  }

  #isFolded(/** @type {number} */ index) {
    if (!this.folded) return false;
    const lead = this.repeats.leads[index] ?? -1;
    return lead >= 0 && lead !== index && !this.unfolded.has(lead);
  }

  /** Work out anew which rows are found and which are shown. */
  update() {
    const wanted = this.query.trim().toLowerCase();
    this.matches = [];
    if (wanted) {
      if (!this.#texts.length) this.#texts = this.rows.map((row) => this.#text(row).toLowerCase());
      this.#texts.forEach((text, n) => text.includes(wanted) && this.matches.push(n));
    }
    const kept = this.#kept();
    this.visible = [];
    this.places = new Int32Array(this.rows.length).fill(-1);
    for (let n = 0; n < this.rows.length; n++) {
      const row = /** @type {Row} */ (this.rows[n]);
      if ((kept && !kept[n]) || (row.kind === "wire" && !this.wires)) continue;
      const isFolded = this.#isFolded(n);
      if (!isFolded) {
        this.places[n] = this.visible.length;
        this.visible.push(n);
      }
      if (isFolded || this.isClosed(n)) n += row.below ?? 0;
    }
  }

  /** Which rows a choice keeps: those it is about and all above them; null keeps every row. */
  #kept() {
    if (!this.show) return null;
    if (this.show === "found" && !this.query.trim()) return null;
    const found = new Set(this.matches);
    const kept = new Uint8Array(this.rows.length);
    this.rows.forEach((row, n) => {
      if (!this.#isMeant(row, n, found)) return;
      for (let up = n; up >= 0 && !kept[up]; up = this.parent(up)) kept[up] = 1;
    });
    return kept;
  }

  /**
   * @param {Row} row
   * @param {number} n
   * @param {Set<number>} found
   */
  #isMeant(row, n, found) {
    switch (this.show) {
      case "found":
        return found.has(n);
      case "errors":
        return Boolean(row.error) || row.kind === "missing";
      case "critical":
        return Boolean(row.critical);
      default:
        return (row.times ?? 0) >= SLOW || (row.kind === "span" && !row.usual);
    }
  }

  /** Open whatever hides a row, and give up a choice that leaves it out. */
  reveal(/** @type {number} */ index) {
    for (let up = this.parent(index); up >= 0; up = this.parent(up)) if (this.isClosed(up)) this.toggle(up);
    for (let up = index; up >= 0; up = this.parent(up)) {
      if (this.#isFolded(up)) this.unfolded.add(/** @type {number} */ (this.repeats.leads[up]));
    }
    this.update();
    if (this.places[index] === -1) {
      this.show = "";
      if (this.rows[index]?.kind === "wire") this.wires = true;
      this.update();
    }
  }

  /** The next index of `among` after `from`, round the end; -1 where there is none. */
  next(/** @type {number[]} */ among, /** @type {number} */ from, backwards = false) {
    if (!among.length) return -1;
    if (backwards) return among.findLast((n) => n < from) ?? /** @type {number} */ (among.at(-1));
    return among.find((n) => n > from) ?? /** @type {number} */ (among[0]);
  }

  /** The rows that fail by themselves, in order. */
  get ownErrors() {
    return this.rows.flatMap((row, n) => (row.error === "own" ? [n] : []));
  }

  #text(/** @type {Row} */ row) {
    if (row.kind === "span") {
      return `${this.service(row).name} ${row.name} ${row.says ?? ""} ${row.peer ?? ""} ${row.does} ${row.id} ${row.words ?? ""}`;
    }
    return row.kind === "wire" ? `on the wire to ${row.peer}` : "";
  }
}
