"""A trace as a list shows it: told by its root, and by what all of its spans come to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from lab.domain.rows import extent_ns
from lab.domain.trace import Span, Status, Trace

MOST_LINKED: Final = 1000
"""Of the traces that one links to; more are not told."""


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """What one wants to know of a trace before it is opened; small, and without its spans.

    ``service`` and ``name`` are of its root, or of the first root where it has several;
    ``start_ns`` and ``duration_ms`` of all its spans. ``errors`` failed, ``own_errors`` of them
    by themselves. ``unfinished`` have no end. ``services`` are in the order in which they
    appear; ``linked`` are the ids of the traces that its spans link to.
    """

    trace_id: str
    service: str
    name: str
    start_ns: int
    duration_ms: float
    spans: int
    errors: int
    own_errors: int
    unfinished: int
    is_whole: bool
    services: tuple[str, ...]
    linked: tuple[str, ...] = ()

    @property
    def place_in_time(self) -> tuple[bool, int, str]:
        """What a list in order of time is sorted by; a trace without any start comes last."""
        return not self.start_ns, self.start_ns, self.trace_id


def head_of(trace: Trace) -> Span:
    """The span that a trace is called by: its root, else what has the best claim to be one."""
    nameless = [span for span in trace.roots if span.parent_id is None]
    found: Span = next(iter((*nameless, *trace.roots, *trace)))
    return found


def summary_of(trace: Trace) -> TraceSummary:
    """The summary of a trace that has spans."""
    head = head_of(trace)
    start_ns, end_ns = extent_ns(trace)
    linked = dict.fromkeys(link.trace_id for span in trace for link in span.links)
    linked.pop(trace.trace_id, None)
    return TraceSummary(
        trace_id=trace.trace_id,
        service=head.service,
        name=head.name,
        start_ns=start_ns,
        duration_ms=(end_ns - start_ns) / 1e6,
        spans=len(trace.by_id),
        errors=sum(span.status is Status.ERROR for span in trace),
        own_errors=len(trace.deepest_errors()),
        unfinished=sum(span.is_unfinished for span in trace),
        is_whole=trace.is_whole,
        services=tuple(dict.fromkeys(span.service for span in trace)),
        linked=tuple(linked)[:MOST_LINKED],
    )
