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
    """The traces as a program reads them, on the clock of the requests.

    ``window`` and ``into_window_s``, seconds from its start, are None between two windows.
    """
    return [
        {
            "trace_id": trace.trace_id,
            **_placed(evidence, first_span(trace).start_ns / 1e9),
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


def _placed(evidence: Evidence, at_s: float) -> dict[str, Any]:
    for window, word in WINDOW_WORDS.items():
        stretch = evidence.windows.get(window)
        if stretch is not None and at_s in stretch:
            return {"window": word, "into_window_s": round(at_s - stretch.start_s, 3)}
    return {"window": None, "into_window_s": None}
