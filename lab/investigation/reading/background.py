"""The traces of a case that no request began, and what joins them to one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from lab.domain.evidence import Evidence
from lab.domain.trace import AttributeValue, Span, Trace
from lab.investigation.reading.requests import WINDOW_WORDS

MOST_SHARING: Final = 3
"""A text that more requests have names none of them; then they must run at one time as well."""

_NAMES_ONE: Final = re.compile(r"(?!tenant_id$|db\.connection\.id$)(?:.*[._])?(?:id|key|uuid)")
"""Attributes that name one of many; a tenant and a connection are many requests' own."""

_Bearers = Mapping[tuple[str, AttributeValue], Mapping[str, Sequence[Span]]]
"""Attribute and value → the spans that bear it, by trace id."""


def background_traces(evidence: Evidence) -> tuple[Trace, ...]:
    """All of them, in order of time."""
    ids = (trace_id for trace_id in evidence.traces if trace_id not in evidence.request_of)
    found = (evidence.traces[trace_id] for trace_id in ids)
    return tuple(sorted(found, key=lambda trace: first_span(trace).start_ns))


def background_rows(evidence: Evidence, traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """The traces as a program reads them, on the clock of the requests.

    ``window`` and ``into_window_s``, seconds from its start, are None between two windows.
    ``joined`` are the requests that kept spans say it belongs to, those that it links to first
    and then the nearest in time: ``by`` is *link* or the attribute that both have, ``after_s``
    how long after the request the trace began.
    """
    begun = [each for each in evidence.traces if traces and each in evidence.request_of]
    bearers = _bearers(evidence.traces[each] for each in begun)
    return [
        {
            "trace_id": trace.trace_id,
            **_placed(evidence, first_span(trace).start_ns / 1e9),
            "start_unix_s": first_span(trace).start_ns / 1e9,
            "service": first_span(trace).service,
            "name": first_span(trace).name,
            "duration_ms": round(first_span(trace).duration_ms, 3),
            "spans": len(trace.by_id),
            "joined": _joined(evidence, trace, bearers),
        }
        for trace in traces
    ]


def first_span(trace: Trace) -> Span:
    """The one with which the trace begins."""
    return trace.spans[0]


def _joined(evidence: Evidence, trace: Trace, bearers: _Bearers) -> list[dict[str, Any]]:
    start_s = first_span(trace).start_ns / 1e9
    linked = [(each.trace_id, "link") for span in trace for each in span.links]
    found: dict[str, str] = {}
    for trace_id, by in (*linked, *_shared(trace, bearers)):
        if trace_id in evidence.request_of:
            found.setdefault(trace_id, by)
    rows = [
        {"trace_id": each, "by": by, "after_s": round(start_s - begun.start_s, 3)}
        for each, by in found.items()
        for begun in (evidence.request_of[each],)
    ]
    return sorted(rows, key=lambda each: (each["by"] != "link", abs(each["after_s"])))


def _shared(trace: Trace, bearers: _Bearers) -> Iterator[tuple[str, str]]:
    """The traces with the same value: of a text that names few, or at the same time."""
    for (key, value), own in _bearers([trace]).items():
        mine = own[trace.trace_id]
        owners = bearers.get((key, value), {})
        for trace_id, theirs in owners.items():
            names_few = isinstance(value, str) and len(owners) <= MOST_SHARING
            if names_few or any(one.overlaps(each) for one in mine for each in theirs):
                yield trace_id, f"{key}={value}"


def _bearers(traces: Iterable[Trace]) -> _Bearers:
    found: dict[tuple[str, AttributeValue], dict[str, list[Span]]] = {}
    for trace in traces:
        for span in trace:
            for key, value in span.attributes.items():
                if _NAMES_ONE.fullmatch(key):
                    found.setdefault((key, value), {}).setdefault(trace.trace_id, []).append(span)
    return found


def _placed(evidence: Evidence, at_s: float) -> dict[str, Any]:
    for window, word in WINDOW_WORDS.items():
        stretch = evidence.windows.get(window)
        if stretch is not None and at_s in stretch:
            return {"window": word, "into_window_s": round(at_s - stretch.start_s, 3)}
    return {"window": None, "into_window_s": None}
