"""A trace beside the healthy one that is most like it, row by row. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import median
from typing import Any, Final

from lab.domain.evidence import Evidence
from lab.domain.load import Window
from lab.domain.reference import Operation
from lab.domain.rows import wire_of
from lab.domain.trace import Span, Status, Trace
from lab.frozen import dataclass
from lab.investigation.reading.requests import outcome_of
from lab.investigation.reading.span_words import operation_without_statement

STEADY: Final = 0.05
"""A change by less than this share of the healthy time is none."""

SLIGHT: Final = 0.01
"""And so is one by less than this share of the greatest change of a row."""


@dataclass(frozen=True, slots=True)
class PairedRow:
    """A span and the healthy span that does the same; one of both is None where it has none.

    With ``is_wire`` it is the way there and back of both calls: ``self_ms`` then is that time,
    and the calls' own rows are without it; there is none where one side does not tell it apart.
    ``is_below_missing`` where a row above it is missing here already. ``repeats`` are the spans
    of further rows that are told with it as one.
    """

    depth: int
    here: Span | None
    healthy: Span | None
    self_ms: float | None
    healthy_self_ms: float | None
    is_wire: bool = False
    is_below_missing: bool = False
    repeats: tuple[Span, ...] = ()

    @property
    def spans(self) -> tuple[Span, ...]:
        """Those of all rows that it tells."""
        return self.either, *self.repeats

    @property
    def count(self) -> int:
        """How many rows it tells."""
        return len(self.spans)

    @property
    def either(self) -> Span:
        """The span itself, or the healthy one that has no counterpart here."""
        found = self.here or self.healthy
        assert found is not None
        return found

    @property
    def change_ms(self) -> float:
        """By how much its self time is longer than the healthy one's; missing counts as 0."""
        return (self.self_ms or 0.0) - (self.healthy_self_ms or 0.0)

    @property
    def is_paired(self) -> bool:
        """Whether both sides have it, and both failed or neither did."""
        if self.self_ms is None or self.healthy_self_ms is None:
            return False
        return self.is_wire or self.either.status is (self.healthy or self.either).status


@dataclass(frozen=True, slots=True)
class Comparison:
    """A trace and its healthy twin, ``rows`` in the order of the tree."""

    here: Trace
    healthy: Trace
    rows: tuple[PairedRow, ...]

    @property
    def by_change(self) -> tuple[PairedRow, ...]:
        """The same rows, the greatest change of self time first."""
        return tuple(sorted(self.rows, key=_by_change))

    def folded(self, *, in_tree_order: bool) -> Sequence[PairedRow]:
        """The rows without repeats, the greatest change first, or as the tree has them."""
        rows = without_repeats(self.rows)
        return rows if in_tree_order else sorted(rows, key=_by_change)

    def says(self, row: PairedRow, words: Callable[[Trace, Span], str]) -> str:
        """What a row's span does, in ``words``; of repeats that differ, their name."""
        trace = self.here if row.here else self.healthy
        return _alike((words(trace, each) for each in row.spans), row.either.name)

    def changed(self, rows: Sequence[PairedRow]) -> tuple[Sequence[PairedRow], Sequence[PairedRow]]:
        """Those of ``rows`` that changed, and those that all but did not, or say it once more."""
        slight_ms = SLIGHT * max((abs(row.change_ms) for row in self.rows), default=0.0)
        parts: tuple[list[PairedRow], list[PairedRow]] = [], []
        for row in rows:
            least_ms = max(slight_ms, STEADY * (row.healthy_self_ms or 0.0))
            is_steady = row.is_paired and abs(row.change_ms) <= least_ms
            parts[is_steady or row.is_below_missing].append(row)
        return parts


def _by_change(row: PairedRow) -> float:
    return -abs(row.change_ms)


def without_repeats(rows: Sequence[PairedRow]) -> Sequence[PairedRow]:
    """The rows, with those that only one side has as one of each operation; in their first place.

    Of forty calls where there was one, thirty-nine have no counterpart, and all say the same; but
    those that failed stand apart from those that did not.
    """
    found: defaultdict[object, list[PairedRow]] = defaultdict(list)
    for row in rows:
        sides = row.self_ms is None, row.healthy_self_ms is None
        key: object = id(row)
        if any(sides):
            failed = not row.is_wire and row.either.status is Status.ERROR
            key = Operation.of(row.either), failed, row.is_wire, row.is_below_missing, sides
        found[key].append(row)
    return [_together(alike) for alike in found.values()]


def _together(rows: Sequence[PairedRow]) -> PairedRow:
    first, *others = rows
    if not others:
        return first
    here, healthy = (
        None if None in times else sum(filter(None, times))
        for times in ([row.self_ms for row in rows], [row.healthy_self_ms for row in rows])
    )
    repeats = tuple(row.either for row in others)
    return replace(first, self_ms=here, healthy_self_ms=healthy, repeats=repeats)


def _alike(told: Iterable[str], otherwise: str) -> str:
    words = set(told)
    return words.pop() if len(words) == 1 else otherwise


def twin_rows(comparison: Comparison, *, in_tree_order: bool) -> list[dict[str, Any]]:
    """The pairs as a program reads them; ids are None where a side has no such span."""
    return [
        {
            "service": row.either.service,
            "name": row.either.name,
            "depth": row.depth,
            "is_wire": row.is_wire,
            "span_id": row.here.span_id if row.here else None,
            "healthy_span_id": row.healthy.span_id if row.healthy else None,
            "self_ms": row.self_ms,
            "healthy_self_ms": row.healthy_self_ms,
            "change_ms": round(row.change_ms, 6),
        }
        for row in (comparison.rows if in_tree_order else comparison.by_change)
    ]


def compare(evidence: Evidence, trace: Trace) -> Comparison | None:
    """``trace`` beside its healthy twin; None where the reference has none of its route."""
    twin = healthy_twin(evidence, trace)
    return None if twin is None else Comparison(trace, twin, tuple(pair_rows(trace, twin)))


def healthy_twin(evidence: Evidence, trace: Trace) -> Trace | None:
    """The whole reference trace of the same route that is nearest to ``trace``.

    Of a trace that no request began it is one of its kind: with the same root, from before.
    Nearest is, in this order: that of a request which went well, the fewest operations that one
    has and the other has not, the same tenant, the latency nearest to the route's median, and
    the lower trace id.
    """
    route = _route(evidence, trace)
    alike = [
        each
        for each in (*evidence.kept_in(Window.REFERENCE), *evidence.background_before())
        if _route(evidence, each) == route and each.trace_id != trace.trace_id
    ]
    if not alike:
        return None
    usual_ms = median(each.roots[0].duration_ms for each in alike)
    wanted, tenant = _operations(trace), _tenant(evidence, trace)

    def distance(each: Trace) -> tuple[bool, int, bool, float, str]:
        others = _operations(each)
        apart = (wanted - others).total() + (others - wanted).total()
        off_ms = abs(each.roots[0].duration_ms - usual_ms)
        return (
            not _went_well(evidence, each),
            apart,
            _tenant(evidence, each) != tenant,
            off_ms,
            each.trace_id,
        )

    return min(alike, key=distance)


def _route(evidence: Evidence, trace: Trace) -> object:
    """The request's route; of a trace that no request began, what its root does."""
    request = evidence.request_of.get(trace.trace_id)
    if request is not None:
        return request.route
    return Operation.of(trace.roots[0]) if trace.roots else None


def _tenant(evidence: Evidence, trace: Trace) -> str | None:
    request = evidence.request_of.get(trace.trace_id)
    return request.tenant if request else None


def _went_well(evidence: Evidence, trace: Trace) -> bool:
    request = evidence.request_of.get(trace.trace_id)
    return request is None or outcome_of(request) == "ok"


def _operations(trace: Trace) -> Counter[Operation]:
    return Counter(Operation.of(span) for span in trace)


def pair_rows(here: Trace, healthy: Trace) -> Iterator[PairedRow]:
    """Every span of both once, parents first, and below a call its wire.

    The n-th run of an operation below a pair is paired with the n-th of the other side;
    below a span without a counterpart nothing has one.
    """
    tops = _pairs(here.tops, healthy.tops)
    waiting = [(0, False, *pair) for pair in reversed(tops)]
    while waiting:
        depth, is_below, one, other = waiting.pop()
        sides = (here, one), (healthy, other)
        wires = [_wire_ms(*side) for side in sides]
        if one is not None and other is not None and None in wires:
            wires = [None, None]  # What one side does not tell apart stays in both calls' own.
        own = [_self_ms(*side, wire) for side, wire in zip(sides, wires, strict=True)]
        yield PairedRow(depth, one, other, own[0], own[1], is_below_missing=is_below)
        is_missing = one is None
        if wires != [None, None]:
            yield PairedRow(depth + 1, one, other, wires[0], wires[1], True, is_missing)
        below = _pairs(here.children(one) if one else (), healthy.children(other) if other else ())
        waiting += [(depth + 1, is_missing, *pair) for pair in reversed(below)]


def _wire_ms(trace: Trace, span: Span | None) -> float | None:
    wire = wire_of(trace, span) if span else None
    return wire.length_ms if wire else None


def _self_ms(trace: Trace, span: Span | None, wire_ms: float | None) -> float | None:
    """Without its children, and without the wire, which has a row of its own."""
    return max(0.0, trace.self_time_ms(span) - (wire_ms or 0.0)) if span else None


def _pairs(ones: Sequence[Span], others: Sequence[Span]) -> list[tuple[Span | None, Span | None]]:
    """In the order of ``ones``; what only the other side has follows what it follows there."""
    left = _by_operation(others)
    paired: dict[str, Span] = {}
    pairs: list[tuple[Span | None, Span | None]] = []
    for one in ones:
        queue = left.get(Operation.of(one))
        other = queue.popleft() if queue else None
        if other is not None:
            paired[other.span_id] = one
        pairs.append((one, other))
    place_of = {one.span_id: n for n, one in enumerate(ones)}
    placed: list[tuple[tuple[float, int], tuple[Span | None, Span | None]]] = [
        ((n, 0), pair) for n, pair in enumerate(pairs)
    ]
    after = -1.0
    for n, other in enumerate(others):
        if other.span_id in paired:
            after = place_of[paired[other.span_id].span_id]
        else:
            placed.append(((after, n + 1), (None, other)))
    placed.sort(key=lambda each: each[0])
    return [pair for _, pair in placed]


def _by_operation(spans: Sequence[Span]) -> Mapping[Operation, deque[Span]]:
    found: defaultdict[Operation, deque[Span]] = defaultdict(deque)
    for span in spans:
        found[Operation.of(span)].append(span)
    return found


# --- several traces side by side ----------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Runs:
    """What the runs of one operation came to in one trace; times in ms, summed."""

    count: int
    errors: int
    took_ms: float
    self_ms: float


@dataclass(frozen=True, slots=True)
class BesideRow:
    """An operation below its callers, and its `Runs` in each trace; None where it has none.

    ``says`` is what it does, with the route where all its runs have the same.
    """

    depth: int
    operation: Operation
    says: str
    runs: tuple[Runs | None, ...]


@dataclass(slots=True)
class _Node:
    spans: list[list[Span]]
    below: dict[Operation, _Node]


def side_by_side(traces: Sequence[Trace]) -> Iterator[BesideRow]:
    """Every operation of any of the traces once below its callers, parents first.

    In the order of the first trace that has it; runs of one operation below one path of callers
    count together, however often they repeat.
    """
    top = _Node([], {})
    for at, trace in enumerate(traces):
        waiting = [(top, span) for span in reversed(trace.tops)]
        while waiting:
            above, span = waiting.pop()
            node = above.below.setdefault(Operation.of(span), _Node([[] for _ in traces], {}))
            node.spans[at].append(span)
            waiting += [(node, child) for child in reversed(trace.children(span))]
    unread = [(0, each) for each in reversed(top.below.items())]
    while unread:
        depth, (operation, node) = unread.pop()
        sides = tuple(zip(traces, node.spans, strict=True))
        told = (
            operation_without_statement(trace, span) for trace, spans in sides for span in spans
        )
        runs = tuple(_runs(*each) for each in sides)
        yield BesideRow(depth, operation, _alike(told, operation.name), runs)
        unread += [(depth + 1, each) for each in reversed(node.below.items())]


def _runs(trace: Trace, spans: Sequence[Span]) -> Runs | None:
    if not spans:
        return None
    return Runs(
        count=len(spans),
        errors=sum(each.status is Status.ERROR for each in spans),
        took_ms=sum(each.duration_ms for each in spans),
        self_ms=sum(trace.self_time_ms(each) for each in spans),
    )
