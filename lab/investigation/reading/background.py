"""The traces of a case that no request began."""

from __future__ import annotations

from typing import Any

from lab.domain.evidence import Evidence
from lab.domain.trace import Span, Trace
from lab.investigation.reading.requests import WINDOW_WORDS


def background_traces(evidence: Evidence, limit: int | None = None) -> tuple[Trace, ...]:
    """The first ``limit`` of them, or all, in order of time."""
    found = [trace for key, trace in evidence.traces.items() if key not in evidence.request_of]
    found.sort(key=lambda trace: first_span(trace).start_ns)
    return tuple(found[:limit])


def background_rows(evidence: Evidence, traces: tuple[Trace, ...]) -> list[dict[str, Any]]:
    """The traces as a program reads them; ``window`` is None between two windows."""
    return [
        {
            "trace_id": trace.trace_id,
            "window": _window(evidence, first_span(trace)),
            "start_unix_s": first_span(trace).start_ns / 1e9,
            "service": first_span(trace).service,
            "name": first_span(trace).name,
            "duration_ms": round(first_span(trace).duration_ms, 3),
            "spans": len(trace.by_id),
        }
        for trace in traces
    ]


def first_span(trace: Trace) -> Span:
    """The one with which the trace begins."""
    return trace.spans[0]


def _window(evidence: Evidence, span: Span) -> str | None:
    at_s = span.start_ns / 1e9
    inside = [
        word
        for window, word in WINDOW_WORDS.items()
        if window in evidence.windows and at_s in evidence.windows[window]
    ]
    return inside[0] if inside else None
