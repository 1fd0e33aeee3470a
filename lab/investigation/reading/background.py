"""The traces of a case that no request began, and what joins them to one. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from lab.domain.evidence import Evidence
from lab.domain.trace import AttributeValue, Span, Trace
from lab.investigation.reading.requests import WINDOW_WORDS

MOST_SHARING: Final = 3
"""A text that more requests have names none of them; then they must run at one time as well."""

_NAMES_ONE: Final = re.compile(r"(?:.*[._])?(?:id|key|uuid)")
_LEFT_OUT: Final = frozenset({"tenant_id", "db.connection.id"})
"""Ids of what many requests have in common."""

_Fact = tuple[str, AttributeValue]


@dataclass(frozen=True, slots=True)
class Joined:
    """A request's trace that another belongs to: ``by`` is *link*, or an attribute both have.

    ``after_s`` is how long after the request it began, in seconds; below 0 before it.
    """

    trace_id: str
    by: str
    after_s: float


def background_traces(evidence: Evidence, limit: int | None = None) -> tuple[Trace, ...]:
    """The first ``limit`` of them, or all, in order of time."""
    found = [
        evidence.traces[trace_id]
        for trace_id in evidence.traces
        if trace_id not in evidence.request_of
    ]
    found.sort(key=lambda trace: first_span(trace).start_ns)
    return tuple(found[:limit])


def background_rows(evidence: Evidence, traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """The traces as a program reads them, on the clock of the requests.

    ``window`` and ``into_window_s``, seconds from its start, are None between two windows.
    ``joined`` are the requests that kept spans say it belongs to, the nearest in time first.
    """
    joined = _joined(evidence, traces)
    return [
        {
            "trace_id": trace.trace_id,
            **_placed(evidence, first_span(trace).start_ns / 1e9),
            "start_unix_s": first_span(trace).start_ns / 1e9,
            "service": first_span(trace).service,
            "name": first_span(trace).name,
            "duration_ms": round(first_span(trace).duration_ms, 3),
            "spans": len(trace.by_id),
            "joined": [asdict(each) for each in joined[trace.trace_id]],
        }
        for trace in traces
    ]


def first_span(trace: Trace) -> Span:
    """The one with which the trace begins."""
    return trace.spans[0]


def _joined(evidence: Evidence, traces: Sequence[Trace]) -> Mapping[str, Sequence[Joined]]:
    """Of each trace the requests it is joined to, each once."""
    asked = {fact for trace in traces for fact, _ in _facts(trace)}
    bearers: dict[_Fact, dict[str, list[Span]]] = {}
    for trace_id in evidence.traces if traces else ():
        if trace_id in evidence.request_of:
            for fact, span in _facts(evidence.traces[trace_id]):
                if fact in asked:
                    bearers.setdefault(fact, {}).setdefault(trace_id, []).append(span)
    return {trace.trace_id: _joins_of(evidence, trace, bearers) for trace in traces}


def _joins_of(
    evidence: Evidence, trace: Trace, bearers: Mapping[_Fact, Mapping[str, Sequence[Span]]]
) -> Sequence[Joined]:
    found: dict[str, Joined] = {}
    start_s = first_span(trace).start_ns / 1e9
    for trace_id, by in (*_links(evidence, trace), *_shared(trace, bearers)):
        after_s = round(start_s - evidence.request_of[trace_id].start_s, 3)
        found.setdefault(trace_id, Joined(trace_id, by, after_s))
    return sorted(found.values(), key=lambda each: (each.by != "link", abs(each.after_s)))


def _links(evidence: Evidence, trace: Trace) -> Iterator[tuple[str, str]]:
    for span in trace:
        for link in span.links:
            if link.trace_id in evidence.request_of:
                yield link.trace_id, "link"


def _shared(
    trace: Trace, bearers: Mapping[_Fact, Mapping[str, Sequence[Span]]]
) -> Iterator[tuple[str, str]]:
    """The traces with the same value: of a text that names few, or at the same time."""
    for (key, value), mine in _facts(trace):
        owners = bearers.get((key, value), {})
        names_few = isinstance(value, str) and len(owners) <= MOST_SHARING
        for trace_id, theirs in owners.items():
            if names_few or any(mine.overlaps(each) for each in theirs):
                yield trace_id, f"{key}={value}"


def _facts(trace: Trace) -> Iterable[tuple[_Fact, Span]]:
    return [
        ((key, value), span)
        for span in trace
        for key, value in span.attributes.items()
        if _NAMES_ONE.fullmatch(key) and key not in _LEFT_OUT
    ]


def _placed(evidence: Evidence, at_s: float) -> dict[str, Any]:
    for window, word in WINDOW_WORDS.items():
        stretch = evidence.windows.get(window)
        if stretch is not None and at_s in stretch:
            return {"window": word, "into_window_s": round(at_s - stretch.start_s, 3)}
    return {"window": None, "into_window_s": None}
