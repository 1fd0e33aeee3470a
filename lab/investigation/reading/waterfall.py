"""Everything that a waterfall shows of a trace, row by row, computed once. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lab.domain.critical_path import Stretch, critical_path
from lab.domain.marks import (
    Seal,
    clocks_apart_ms,
    cut_by,
    is_silent_callee,
    is_wire_or_callee,
    seal_of,
    why,
)
from lab.domain.reference import Operation, OperationStats, ReferenceStats
from lab.domain.rows import Row, extent_ns, rows
from lab.domain.trace import Span, Status, Trace
from lab.frozen import dataclass
from lab.investigation.reading.span_words import operation


@dataclass(frozen=True, slots=True)
class SpanMarks:
    """What a span's row says beyond what the span says itself; times in ms.

    ``operation`` is its name, and of a call also the route or the statement.
    ``usual`` is its operation in the reference, ``times`` how many times the median it
    took. ``fails_itself`` tells an error of its own from one that a child handed up.
    ``critical`` are the stretches in which everybody waited for it, earliest first.
    ``is_new`` where traces like this one tell of before, and none has it; ``is_silent_callee``
    where whom it called usually sends spans and sent none for this call.
    """

    operation: str
    self_ms: float
    usual: OperationStats | None
    times: float | None
    fails_itself: bool
    critical: tuple[Stretch, ...]
    cut_by: Span | None
    clocks_apart_ms: float
    is_wire_or_callee: bool
    is_silent_callee: bool
    is_new: bool


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A trace ready to be drawn.

    ``descendants`` counts, for each row, the rows below it; they follow it directly.
    ``services`` are in the order in which they first appear: a colour by place is the same
    for every reader and never shared by two neighbours, which one by name is not.
    """

    trace: Trace
    rows: tuple[Row, ...]
    marks: Mapping[str, SpanMarks]
    descendants: tuple[int, ...]
    services: tuple[str, ...]
    start_ns: int
    end_ns: int
    seal: Seal
    seal_reason: str

    def below(self, own: Mapping[str, int]) -> tuple[int, ...]:
        """For each row the sum, over it and all rows below it, of its span's number in ``own``."""
        sums = [
            own.get(row.item.span_id, 0) if isinstance(row.item, Span) else 0 for row in self.rows
        ]
        for n in reversed(range(len(sums))):
            parent = self.rows[n].parent
            if parent is not None:
                sums[parent] += sums[n]
        return tuple(sums)


def waterfall(trace: Trace, reference: ReferenceStats) -> Waterfall:
    """The rows of ``trace`` with all their marks, compared with ``reference``."""
    found = tuple(rows(trace, wires=True))
    start_ns, end_ns = extent_ns(trace)
    seal = seal_of(trace)
    return Waterfall(
        trace=trace,
        rows=found,
        marks=_marks(trace, reference),
        descendants=_descendants(found),
        services=tuple(
            dict.fromkeys(row.item.service for row in found if isinstance(row.item, Span))
        ),
        start_ns=start_ns,
        end_ns=end_ns,
        seal=seal,
        seal_reason=why(trace, seal, reference.speakers),
    )


def _marks(trace: Trace, reference: ReferenceStats) -> Mapping[str, SpanMarks]:
    own_errors = {span.span_id for span in trace.deepest_errors()}
    cut = cut_by(trace)
    critical: dict[str, list[Stretch]] = {}
    for stretch in reversed(critical_path(trace)):
        critical.setdefault(stretch.span_id, []).append(stretch)
    marks: dict[str, SpanMarks] = {}
    for span in trace:
        usual = reference.for_span(span)
        marks[span.span_id] = SpanMarks(
            operation=operation(trace, span),
            self_ms=trace.self_time_ms(span),
            usual=usual,
            times=usual.times(span.duration_ms) if usual else None,
            fails_itself=span.status is Status.ERROR and span.span_id in own_errors,
            critical=tuple(critical.get(span.span_id, ())),
            cut_by=cut.get(span.span_id),
            clocks_apart_ms=clocks_apart_ms(trace, span),
            is_wire_or_callee=is_wire_or_callee(trace, span),
            is_silent_callee=is_silent_callee(trace, span, reference.speakers),
            is_new=reference.is_new(span, trace),
        )
    return marks


def _descendants(found: Sequence[Row]) -> tuple[int, ...]:
    counts = [0] * len(found)
    for n in reversed(range(len(found))):
        parent = found[n].parent
        if parent is not None:
            counts[parent] += counts[n] + 1
    return tuple(counts)


@dataclass
class Flame:
    """All runs of one operation below the same callers, as one box of a flame graph; in ms.

    ``total_ms`` is the self time of its spans and of all below them, so that boxes below never
    are wider than the one above, however much ran at once; ``begins_ms`` is where it stands.
    """

    depth: int
    parent: int | None
    spans: Sequence[Span]
    self_ms: float
    total_ms: float
    begins_ms: float = 0.0


def flame_graph(trace: Trace) -> Sequence[Flame]:
    """The boxes, callers first: a trace of 40 equal calls has one box for them."""
    boxes = _boxes(trace)
    for box in reversed(boxes):
        if box.parent is not None:
            boxes[box.parent].total_ms += box.total_ms
    reached: dict[int | None, float] = {}
    for n, box in enumerate(boxes):
        box.begins_ms = reached.get(box.parent, 0.0)
        reached[box.parent] = box.begins_ms + box.total_ms
        reached[n] = box.begins_ms
    return boxes


def _boxes(trace: Trace) -> list[Flame]:
    boxes: list[Flame] = []
    tops = trace.tops
    waiting: list[tuple[int, int | None, list[Span]]] = [(0, None, each) for each in _alike(tops)]
    while waiting:
        depth, parent, spans = waiting.pop()
        own_ms = sum(trace.self_time_ms(span) for span in spans)
        boxes.append(Flame(depth, parent, spans, own_ms, own_ms))
        below = [child for span in spans for child in trace.children(span)]
        waiting += [(depth + 1, len(boxes) - 1, each) for each in _alike(below)]
    return boxes


def _alike(spans: Sequence[Span]) -> list[list[Span]]:
    """The runs of each operation, the last that begins first, as a stack wants them."""
    found: dict[Operation, list[Span]] = {}
    for span in spans:
        found.setdefault(Operation.of(span), []).append(span)
    return list(found.values())[::-1]
