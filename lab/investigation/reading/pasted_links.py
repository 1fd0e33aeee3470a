"""From what a learner pasted, whatever page it came from, to the trace and span it speaks of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from lab.domain import ids
from lab.domain.evidence import Evidence
from lab.domain.replay import Replay
from lab.domain.trace import Span, Trace
from lab.errors import UsageError
from lab.frozen import dataclass
from lab.investigation.reading.ids import resolve_span, resolve_trace

SHAPES: Final = (
    "an address of Grafana's Explore or Drilldown, Jaeger, Datadog or this desk",
    "a traceparent: 00-<trace id>-<span id>-01",
    "two ids, trace and span, or how they begin",
)
"""What `read_paste` understands, for people."""

LONGEST: Final = 16 * 1024

_TRACEPARENT: Final = re.compile(
    r"(?:traceparent\s*[:=]\s*)?[0-9a-f]{2}-(?P<trace>[0-9a-f]{32})-(?P<span>[0-9a-f]{16})-[0-9a-f]{2}"
)
"""https://www.w3.org/TR/trace-context/#traceparent-header"""

_IDS: Final = re.compile(
    r"(?P<trace>[0-9a-f]{1,32})…?(?:[\s,;:/.]+(?P<span>[0-9a-f]{1,16}|[0-9]{17,20})…?)?"
)
_TRACE_KEYS: Final = ("trace_id", "traceId", "traceID")
_SPAN_KEYS: Final = ("span_id", "spanId", "spanID", "span")
_TRACE_PATH: Final = re.compile(r"/traces?/(?P<trace>[0-9a-f]{1,32})(?:/|$)", re.IGNORECASE)
"""Of the desk, of Jaeger and of Datadog."""

_SPAN_PATH: Final = re.compile(r"/spans/(?P<span>[0-9a-f]{1,20})(?:/|$)", re.IGNORECASE)
_TRACE_ID: Final = re.compile(r"[0-9a-f]{1,32}")
_SOUGHT: Final = re.compile(r"[0-9a-f]{8,16}|[0-9]{17,20}", re.IGNORECASE)
"""A span in Jaeger's ``uiFind``, which as well holds whatever word somebody looked for."""


@dataclass(frozen=True, slots=True)
class Pasted:
    """Lower-case hex, or decimal, each whole or how it begins.

    ``span`` is None where only a trace is named.
    """

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
            (trace, trace.by_id[span_id])
            for trace in evidence.traces.values()
            for span_id in trace.by_id
            if ids.is_whole(pasted.trace, span_id)
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
    trace = _first(query, _TRACE_KEYS) or _in_path(_TRACE_PATH, parts.path)
    if trace is not None:
        span = _first(query, _SPAN_KEYS) or _in_path(_SPAN_PATH, parts.path)
        return Pasted(trace, span or _sought(query))
    found = [
        pane
        for state in (*query.get("panes", ()), *query.get("left", ()), *query.get("right", ()))
        for pane in _from_explore(state)
    ]
    with_span = (pane for pane in found if pane.span is not None)
    return next(with_span, found[0] if found else None)


def _in_path(pattern: re.Pattern[str], path: str) -> str | None:
    found = pattern.search(path)
    return found[1].lower() if found else None


def _sought(query: Mapping[str, list[str]]) -> str | None:
    words = (word for text in query.get("uiFind", ()) for word in text.split())
    return next((word.lower() for word in words if _SOUGHT.fullmatch(word)), None)


def _from_explore(state: str) -> Iterator[Pasted]:
    """Explore keeps its panes as JSON in the address, a span's id in ``panelsState.trace``."""
    try:
        panes = json.loads(state)
    except (ValueError, RecursionError):
        return
    for pane in _panes(panes):
        panel = _mapping(_mapping(pane.get("panelsState")).get("trace"))
        span = panel.get("spanId")
        queries = pane.get("queries")
        for query in queries if isinstance(queries, list) else []:
            trace = str(_mapping(query).get("query", "")).strip().strip('"').lower()
            if _TRACE_ID.fullmatch(trace):
                yield Pasted(trace, span.lower() if isinstance(span, str) and span else None)


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
    values = (value for name in names for value in query.get(name, ()))
    return next((each.lower() for each in values if re.fullmatch("[0-9a-fA-F]{1,32}", each)), None)


def _unreadable(text: str) -> UsageError:
    shown = text.strip()
    shown = shown if len(shown) <= 60 else shown[:60] + "…"
    return UsageError(f"expected {'; or '.join(SHAPES)}; got {shown!r}")
