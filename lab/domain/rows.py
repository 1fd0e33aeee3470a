"""A trace as rows, one below the other: spans, gaps, time on the wire, and what never came.

Terminal and desk read a trace by these rows, so that both show the same. A list of traces has
one row of it, its summary.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from lab.domain.reference import Operation
from lab.domain.trace import AttributeValue, Kind, Span, Status, Trace
from lab.frozen import dataclass

GAP_SHARE: Final = 0.1
"""Time without a span is drawn from this share of the root's duration on."""

OUTLIVES_MS: Final = 1.0
"""A child that ends this much after its parent is worth a remark; less is the network's."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch inside ``parent`` in which none of its children ran."""

    parent: Span
    start_ns: int
    end_ns: int

    @property
    def length_ms(self) -> float:
        """How long nothing is known, in ms."""
        return (self.end_ns - self.start_ns) / 1e6


@dataclass(frozen=True, slots=True)
class Missing:
    """A parent that spans name and that never came."""

    span_id: str


@dataclass(frozen=True, slots=True)
class Wire:
    """What a call took beyond its ``answer``, the callee's half: the way there and back.

    Its length is a difference of two durations, so it is right however far apart the
    clocks of both sides are; where it lies on the axis is only as right as they are.
    """

    call: Span
    answer: Span
    length_ms: float

    @property
    def start_ns(self) -> int:
        """When the caller sent, by its own clock."""
        return self.call.start_ns

    @property
    def end_ns(self) -> int:
        """When the caller had its answer, by its own clock."""
        return self.call.end_ns

    @property
    def stretches_ns(self) -> tuple[tuple[int, int], ...]:
        """The way there and the way back, as far as the clocks let them be told apart."""
        there = self.call.start_ns, min(self.answer.start_ns, self.call.end_ns)
        back = max(self.answer.end_ns, self.call.start_ns), self.call.end_ns
        return tuple((start, end) for start, end in (there, back) if end > start)


Item = Span | Gap | Missing | Wire


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tree, ``depth`` steps from its top.

    ``parent`` is the index of the row above it in the tree; None for a top. ``position``
    of ``siblings`` counts from 1.
    """

    item: Item
    depth: int
    parent: int | None
    position: int
    siblings: int
    outlives_parent_ms: float = 0.0

    @property
    def is_last(self) -> bool:
        """Whether no sibling follows."""
        return self.position == self.siblings


def rows(trace: Trace, *, wires: bool = False) -> Iterator[Row]:
    """Every span once, parents first and siblings by start, with gaps and missing parents.

    With ``wires`` each call whose answer is there has its time on the wire as a row of its
    own. Depth costs no stack: a trace of 100,000 spans in one chain is walked as well.
    """
    least_gap_ns = GAP_SHARE * _measure_ns(trace)
    orphans = _orphans(trace)
    tops = _tops(trace)
    waiting: list[Row] = [
        Row(item, 0, None, n + 1, len(tops)) for n, item in reversed(list(enumerate(tops)))
    ]
    index = 0
    while waiting:
        row = waiting.pop()
        yield Row(
            row.item, row.depth, row.parent, row.position, row.siblings, _outlives(trace, row.item)
        )
        children = _below(trace, row.item, orphans, least_gap_ns, wires=wires)
        for n, child in reversed(list(enumerate(children))):
            waiting.append(Row(child, row.depth + 1, index, n + 1, len(children)))
        index += 1


def _orphans(trace: Trace) -> Mapping[str, Sequence[Span]]:
    """Id of each parent that never came → the spans that name it."""
    orphans: dict[str, list[Span]] = {parent_id: [] for parent_id in trace.missing_parents}
    for span in trace.by_id.values():
        if span.parent_id in orphans:
            orphans[span.parent_id].append(span)
    return orphans


def _tops(trace: Trace) -> Sequence[Item]:
    """Roots, then each parent that never came; they hold all spans, as cycles are cut."""
    return (*trace.roots, *(Missing(span_id) for span_id in sorted(trace.missing_parents)))


def _below(
    trace: Trace,
    item: Item,
    orphans: Mapping[str, Sequence[Span]],
    least_gap_ns: float,
    *,
    wires: bool,
) -> Sequence[Item]:
    if isinstance(item, Missing):
        return orphans[item.span_id]
    if not isinstance(item, Span):
        return ()
    children = trace.children(item)
    wire = wire_of(trace, item) if wires else None
    if wire is not None:
        # What the gaps would say of this call, the wire says better.
        return [wire, *children]
    both: list[Span | Gap] = [*children, *_gaps(item, children, least_gap_ns)]
    return sorted(both, key=lambda each: (each.start_ns == 0, each.start_ns))


def wire_of(trace: Trace, call: Span) -> Wire | None:
    """The time on the wire of a call; None without one answer, or where it was given up on.

    An answer that took longer than its call was given up on, and says nothing of the wire.
    """
    length_ms = trace.wire_time_ms(call)
    if length_ms is None or length_ms < 0:
        return None
    answer = next(each for each in trace.children(call) if each.kind is Kind.SERVER)
    return Wire(call, answer, length_ms)


def _gaps(parent: Span, children: Sequence[Span], least_ns: float) -> Iterator[Gap]:
    """The gaps of a span with children; one without is busy itself, which is no gap."""
    if not children or not parent.is_timed:
        return
    reached = parent.start_ns
    for child in children:
        if child.is_undated:
            continue
        start = min(child.start_ns, parent.end_ns)
        if start - reached >= least_ns and start > reached:
            yield Gap(parent, reached, start)
        # One without an end may have run until that of its parent.
        end_ns = parent.end_ns if child.is_unfinished else child.end_ns
        reached = max(reached, min(end_ns, parent.end_ns))
    if parent.end_ns - reached >= least_ns and parent.end_ns > reached:
        yield Gap(parent, reached, parent.end_ns)


def _outlives(trace: Trace, item: Item) -> float:
    after_ms = trace.ends_after_parent_ms(item) if isinstance(item, Span) else None
    return after_ms if after_ms is not None and after_ms >= OUTLIVES_MS else 0.0


FOLDED_FROM: Final = 5
"""So many that do the same below one parent are read as one row with a number."""


@dataclass(frozen=True, slots=True)
class FoldedRow:
    """A row and the spans for which it stands: itself and its like, or none where it is alone.

    The row is that of the slowest of them, with what is below it.
    """

    row: Row
    alike: tuple[Span, ...] = ()


def folded(found: Sequence[Row]) -> Iterator[FoldedRow]:
    """The rows of a trace, with one in place of `FOLDED_FROM` siblings or more that are alike.

    Alike are spans of one operation that ended alike, with the same below them.
    """
    below: dict[int | None, list[int]] = {}
    for n, row in enumerate(found):
        below.setdefault(row.parent, []).append(n)
    kinds = _kinds(found, below)
    tops = _folded(found, below.get(None, []), kinds)
    waiting: list[tuple[int | None, _Place]] = [(None, each) for each in reversed(tops)]
    index = 0
    while waiting:
        parent, (n, position, siblings, alike) = waiting.pop()
        row = replace(found[n], parent=parent, position=position, siblings=siblings)
        yield FoldedRow(row, alike)
        children = _folded(found, below.get(n, []), kinds)
        waiting += [(index, each) for each in reversed(children)]
        index += 1


_Place = tuple[int, int, int, tuple[Span, ...]]
"""The number of a row, its position and how many siblings it has now, and whom it stands for."""


def _folded(found: Sequence[Row], siblings: Sequence[int], kinds: Sequence[int]) -> list[_Place]:
    alike: dict[int, list[int]] = {}
    for n in siblings:
        alike.setdefault(kinds[n], []).append(n)
    chosen: list[tuple[int, tuple[Span, ...]]] = []
    for n in siblings:
        group = alike[kinds[n]]
        if len(group) < FOLDED_FROM:
            chosen.append((n, ()))
        elif n == group[0]:
            spans = {each: found[each].item for each in group}
            timed = {each: span for each, span in spans.items() if isinstance(span, Span)}
            slowest = max(timed, key=lambda each: timed[each].duration_ms)
            chosen.append((slowest, tuple(timed.values())))
    return [(n, at + 1, len(chosen), spans) for at, (n, spans) in enumerate(chosen)]


def _kinds(found: Sequence[Row], below: Mapping[int | None, Sequence[int]]) -> Sequence[int]:
    """For each row a number that it shares with those that are alike; none shares that of a gap."""
    known: dict[Hashable, int] = {}
    kinds = [0] * len(found)
    for n in reversed(range(len(found))):
        span = found[n].item
        kind: Hashable = n
        if isinstance(span, Span):
            inside = tuple(
                kinds[each] for each in below.get(n, ()) if isinstance(found[each].item, Span)
            )
            events = tuple(event.name for event in span.events)
            kind = Operation.of(span), span.status, span.exceptions, events, inside
        kinds[n] = known.setdefault(kind, len(known))
    return kinds


def extent_ns(trace: Trace) -> tuple[int, int]:
    """When the first span started and the last one ended; what has no start is left out."""
    dated = [span for span in trace if not span.is_undated]
    if not dated:
        return 0, 0
    start = min(span.start_ns for span in dated)
    return start, max(max(span.start_ns, span.end_ns) for span in dated)


def _measure_ns(trace: Trace) -> int:
    """The root's duration; the whole extent where there is not one root."""
    if len(trace.roots) == 1:
        root = trace.roots[0]
        if root.is_timed:
            return max(0, root.end_ns - root.start_ns)
    start, end = extent_ns(trace)
    return end - start


MOST_LINKED: Final = 1000
"""Of the traces that one links to; more are not told."""


class TraceSummary(NamedTuple):
    """What one wants to know of a trace before it is opened; small, and without its spans.

    A tuple, for a list reads ten thousand of them, each in a fifth of the time that way.
    ``service`` and ``name`` are of its root, or of the first root where it has several;
    ``start_ns`` and ``duration_ms`` of all its spans. ``errors`` failed, ``own_errors`` of them
    by themselves. ``unfinished`` have no end. ``services`` are in the order in which they
    appear; ``linked`` are the ids of the traces that its spans link to. ``root_ms`` is what the
    root took, None where none came, and ``status`` what it answered (`answer_of`).
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
    root_ms: float | None = None
    status: int = 200

    @property
    def place_in_time(self) -> tuple[bool, int, str]:
        """What a list in order of time is sorted by; a trace without any start comes last."""
        return not self.start_ns, self.start_ns, self.trace_id


def head_of(trace: Trace) -> Span:
    """The span that a trace is called by: its root, else what has the best claim to be one."""
    nameless = [span for span in trace.roots if span.parent_id is None]
    found: Span = next(iter((*nameless, *trace.roots, *trace)))
    return found


STATUS_CODES: Final = ("http.response.status_code", "http.status_code")
"""OpenTelemetry's conventions for HTTP, as they are and as they were before version 1.21."""

_STATUS_CODE: Final = re.compile(r"[1-5][0-9]{2}")


def status_told(attributes: Mapping[str, AttributeValue]) -> str:
    """The HTTP status that these attributes of a span tell, as a text; empty where they do not."""
    return next((str(attributes[key]) for key in STATUS_CODES if key in attributes), "")


def answer_of(span: Span) -> int:
    """The HTTP status that a span answered with; of any other 500 where it failed, else 200."""
    told = status_told(span.attributes)
    code = int(told) if _STATUS_CODE.fullmatch(told) else 200
    return 500 if span.status is Status.ERROR and code < 400 else code


def summary_of(trace: Trace) -> TraceSummary:
    """The summary of a trace that has spans."""
    head = head_of(trace)
    start_ns, end_ns = extent_ns(trace)
    linked = dict.fromkeys(link.trace_id for span in trace for link in span.links)
    linked.pop(trace.trace_id, None)
    took_ms = head.duration_ms if head.is_timed else (end_ns - start_ns) / 1e6
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
        root_ms=took_ms if head.parent_id is None else None,
        status=answer_of(head),
    )
