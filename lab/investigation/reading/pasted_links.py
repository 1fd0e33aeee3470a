"""From what a learner pasted, whatever page it came from, to the trace and span it speaks of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from lab.domain.evidence import Evidence
from lab.domain.replay import Replay
from lab.domain.trace import Span, Trace
from lab.errors import UsageError
from lab.investigation.reading.ids import resolve_span, resolve_trace

SHAPES: Final = (
    "an address of Grafana's Explore or Drilldown, or of this desk",
    "a traceparent: 00-<trace id>-<span id>-01",
    "two ids, trace and span, or how they begin",
)
"""What `read_paste` understands, for people."""

LONGEST: Final = 16 * 1024

_TRACEPARENT: Final = re.compile(
    r"(?:traceparent\s*[:=]\s*)?[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}"
)
"""https://www.w3.org/TR/trace-context/#traceparent-header"""

_IDS: Final = re.compile(r"(?P<trace>[0-9a-f]{1,32})…?(?:[\s,;:/.]+(?P<span>[0-9a-f]{1,16})…?)?")
_TRACE_KEYS: Final = ("trace_id", "traceId", "traceID")
_SPAN_KEYS: Final = ("span_id", "spanId", "spanID", "span")
_OWN_PATH: Final = re.compile(r"/traces?/(?P<trace>[0-9a-f]{1,32})(?:/|$)")
_TRACE_ID: Final = re.compile(r"[0-9a-f]{16,32}")


@dataclass(frozen=True, slots=True)
class Pasted:
    """Lower-case hex, each whole or how it begins; ``span`` is None where only a trace is named."""

    trace: str
    span: str | None


def read_paste(text: str) -> Pasted:
    """What ``text`` speaks of; UsageError says which shapes are understood."""
    wanted = text.strip().strip("\"'`<>")
    if not wanted or len(wanted) > LONGEST:
        raise _unreadable(text)
    found = _from_address(wanted) if "://" in wanted or wanted.startswith("/") else None
    if found is None:
        word = wanted.lower()
        match = _TRACEPARENT.fullmatch(word) or _IDS.fullmatch(word)
        found = Pasted(match["trace"], match["span"]) if match else None
    if found is None:
        raise _unreadable(text)
    return found


def resolve_paste(
    evidence: Evidence, text: str, replays: Sequence[Replay] = ()
) -> tuple[Trace, Span | None]:
    """The trace and span of the case that ``text`` speaks of; UsageError for none or several.

    A span id alone is enough where one trace of the case has it. Ids may be those that one
    of ``replays`` gave them.
    """
    pasted = read_paste(text)
    if pasted.span is None:
        alone = [
            (trace, trace.by_id[pasted.trace])
            for trace in evidence.traces.values()
            if pasted.trace in trace.by_id
        ]
        if len(alone) == 1:
            return alone[0]
    trace = resolve_trace(evidence, pasted.trace, replays)
    return trace, None if pasted.span is None else resolve_span(trace, pasted.span, replays)


def resolve_suspect(
    evidence: Evidence, text: str, replays: Sequence[Replay] = ()
) -> tuple[str, str]:
    """Trace and span id of an accused span; UsageError where only a trace is named."""
    trace, span = resolve_paste(evidence, text, replays)
    if span is None:
        raise UsageError(f"expected a span of trace {trace.trace_id}, got the trace alone")
    return trace.trace_id, span.span_id


def _from_address(address: str) -> Pasted | None:
    try:
        parts = urlsplit(address)
        query = parse_qs(parts.query, max_num_fields=200)
    except ValueError:
        return None
    span = _first(query, _SPAN_KEYS)
    trace = _first(query, _TRACE_KEYS)
    own = _OWN_PATH.search(parts.path)
    if trace is None and own:
        trace = own["trace"]
    if trace is not None:
        return Pasted(trace, span)
    for state in (*query.get("panes", ()), *query.get("left", ()), *query.get("right", ())):
        found = _from_explore(state)
        if found is not None:
            return found
    return None


def _from_explore(state: str) -> Pasted | None:
    """Explore keeps its panes as JSON in the address, a span's id in ``panelsState.trace``."""
    try:
        panes = json.loads(state)
    except (ValueError, RecursionError):
        return None
    for pane in _panes(panes):
        panel = _mapping(_mapping(pane.get("panelsState")).get("trace"))
        span = panel.get("spanId")
        queries = pane.get("queries")
        for query in queries if isinstance(queries, list) else []:
            trace = str(_mapping(query).get("query", "")).strip().strip('"').lower()
            if _TRACE_ID.fullmatch(trace):
                return Pasted(trace, span.lower() if isinstance(span, str) and span else None)
    return None


def _panes(state: Any) -> Iterator[Mapping[str, Any]]:
    """One pane by itself (until Grafana 9), or several by their ids."""
    found = _mapping(state)
    if "queries" in found:
        yield found
        return
    for pane in found.values():
        yield _mapping(pane)


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _first(query: Mapping[str, list[str]], names: tuple[str, ...]) -> str | None:
    """The first of these that holds hex digits; a variable Grafana did not fill holds ``${…}``."""
    for name in names:
        for value in query.get(name, ()):
            if re.fullmatch(r"[0-9a-fA-F]{1,32}", value):
                return value.lower()
    return None


def _unreadable(text: str) -> UsageError:
    shown = text.strip()
    shown = shown if len(shown) <= 60 else shown[:60] + "…"
    return UsageError(f"expected {'; or '.join(SHAPES)}; got {shown!r}")
