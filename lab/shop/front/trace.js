// Spans that begin in a browser: made here, carried on by two headers, sent as OTLP/HTTP JSON.
//
// Standards: Trace Context (https://www.w3.org/TR/trace-context/#traceparent-header),
// Baggage (https://www.w3.org/TR/baggage/#header-content) and the JSON encoding of OTLP
// (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding): ids are hex, kinds
// and codes are numbers, and 64-bit integers are strings.

/** @typedef {string | number | boolean} Value */
/** @typedef {{ name: string, atMs: number, attributes: Record<string, Value> }} Happening */

export const KIND = Object.freeze({ internal: 1, client: 3 });

const ERROR = 2;
/** The clock of `performance` stands still while a machine sleeps; beyond this it is set anew. */
const DRIFT_MS = 100;

/** Milliseconds since the page began, of a moment, as Unix nanoseconds in a string. */
export function unixNanos(/** @type {number} */ atMs) {
  const drift = Date.now() - (performance.timeOrigin + performance.now());
  const origin = performance.timeOrigin + (Math.abs(drift) > DRIFT_MS ? drift : 0);
  // A double holds microseconds of our century exactly enough, but no nanoseconds.
  return `${Math.round((origin + atMs) * 1000)}000`;
}

/** So many random bytes in hex; never all zero, which both standards forbid. */
function identity(/** @type {number} */ bytes) {
  const digits = Array.from(crypto.getRandomValues(new Uint8Array(bytes)), (byte) =>
    byte.toString(16).padStart(2, "0"),
  ).join("");
  return /^0+$/.test(digits) ? digits.replace(/0$/, "1") : digits;
}

/** One span; times are milliseconds since the page began, as `performance.now()` gives them. */
export class Span {
  traceId = identity(16);
  spanId = identity(8);
  parentId = "";
  failed = false;
  /** @type {Record<string, Value>} */
  attributes = {};
  /** @type {Happening[]} */
  events = [];

  /**
   * @param {string} name
   * @param {number} kind
   * @param {number} startMs
   * @param {Span | null} parent
   */
  constructor(name, kind, startMs, parent = null) {
    this.name = name;
    this.kind = kind;
    this.startMs = startMs;
    this.endMs = startMs;
    if (parent) {
      this.parentId = parent.spanId;
      this.traceId = parent.traceId;
    }
  }

  event(/** @type {string} */ name, atMs = performance.now(), attributes = {}) {
    this.events.push({ name, atMs, attributes });
  }

  end(atMs = performance.now()) {
    this.endMs = Math.max(atMs, this.startMs);
  }

  /** The headers that make whoever is called go on with this trace. */
  headers(/** @type {Record<string, string>} */ baggage) {
    const carried = Object.entries(baggage)
      .filter(([, value]) => value)
      .map(([key, value]) => `${key}=${encodeURIComponent(value)}`)
      .join(",");
    return {
      traceparent: `00-${this.traceId}-${this.spanId}-01`,
      ...(carried ? { baggage: carried } : {}),
    };
  }
}

/** @returns {{ key: string, value: object }[]} */
function attributes(/** @type {Record<string, Value>} */ given) {
  return Object.entries(given).map(([key, value]) => {
    if (typeof value === "boolean") return { key, value: { boolValue: value } };
    if (typeof value === "string") return { key, value: { stringValue: value } };
    const whole = Number.isInteger(value);
    return { key, value: whole ? { intValue: String(value) } : { doubleValue: value } };
  });
}

/** The body of an OTLP export request that holds these spans. */
export function exportRequest(
  /** @type {Span[]} */ spans,
  /** @type {Record<string, Value>} */ resource,
) {
  return {
    resourceSpans: [
      {
        resource: { attributes: attributes(resource) },
        scopeSpans: [
          {
            scope: { name: "storefront" },
            spans: spans.map((span) => ({
              traceId: span.traceId,
              spanId: span.spanId,
              ...(span.parentId ? { parentSpanId: span.parentId } : {}),
              name: span.name,
              kind: span.kind,
              startTimeUnixNano: unixNanos(span.startMs),
              endTimeUnixNano: unixNanos(span.endMs),
              attributes: attributes(span.attributes),
              events: span.events.map((event) => ({
                name: event.name,
                timeUnixNano: unixNanos(event.atMs),
                attributes: attributes(event.attributes),
              })),
              status: span.failed ? { code: ERROR } : {},
            })),
          },
        ],
      },
    ],
  };
}

/** Sends spans to a Collector; a shop sells on where nobody takes them. */
export async function send(
  /** @type {string} */ url,
  /** @type {Span[]} */ spans,
  /** @type {Record<string, Value>} */ resource,
) {
  if (!url) return;
  try {
    await fetch(`${url}/v1/traces`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(exportRequest(spans, resource)),
      // It goes on when the customer leaves the page.
      keepalive: true,
    });
  } catch (problem) {
    console.warn("spans were not taken", problem);
  }
}
