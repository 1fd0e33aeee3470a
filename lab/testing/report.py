"""What a failed assertion prints: the trace as a tree, with what came nearest marked in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from itertools import islice
from typing import Final

from lab.domain.predicate import NearMiss
from lab.domain.reference import ReferenceStats
from lab.domain.rows import Gap, Missing, Row, Wire, rows
from lab.domain.trace import Kind, Span, Status, Trace
from lab.domain.wording import abridged, counted, duration, visible
from lab.terminal.guides import with_guides
from lab.testing.check import SOME, Answer, Check
from lab.testing.source import TraceSet

MOST_ROWS: Final = 80
_MOST_TRACES: Final = 3
_LONGEST_NAME: Final = 100
_UNNAMED: Final = "unknown_service"

Place = tuple[str, str]
"""A trace's id and a span's: the second alone is not unique among traces."""
_LONGEST_CLAUSE: Final = 160


def told(check: Check, answer: Answer, found: TraceSet, reference: ReferenceStats) -> str:
    """Why ``check`` does not hold: expected, found, and the traces that show it."""
    lines = [f"expected {check}", f"found {answer.found}"]
    if answer.why_unknown:
        lines.append(f"so nobody knows: {answer.why_unknown}")
    lacking = tuple(check.lacking(found, reference)) or found.traces
    marks: dict[Place, str] = {}
    too_many = check.traces is None and check.count.is_above(len(answer.spans))
    miss = None if too_many or check.wants_fewer else nearest(check, lacking, reference)
    if miss is not None:
        marks[_place(miss.span)] = "; ".join(_clauses(miss))
        lines.append(f"nearest is span {miss.span.span_id}, {title(miss.span)}:")
        lines += [f"  {each}" for each in _clauses(miss)]
        lacking = tuple(sorted(lacking, key=lambda trace: trace.trace_id != miss.span.trace_id))
    shown = lacking[:1] if marks else lacking[:_MOST_TRACES]
    if str(check.count) != SOME:
        ids = {trace.trace_id for trace in shown}
        marks |= {_place(span): "matches" for span in answer.spans if span.trace_id in ids}
    return "\n".join([*lines, *trees(shown, found, marks)])


def nearest(check: Check, traces: Iterable[Trace], reference: ReferenceStats) -> NearMiss | None:
    """The span of ``traces``, which do not show what is expected, that comes nearest to it.

    Of those that lack as much, the one whose name is most like the one that is wanted.
    """
    wanted = check.predicate.name or ""

    def distance(miss: NearMiss) -> tuple[tuple[int, int], float]:
        return miss.distance, -SequenceMatcher(None, wanted, miss.span.name).ratio()

    misses = (
        miss
        for trace in traces
        for miss in check.predicate.nearest_misses(trace, reference, MOST_ROWS)
    )
    return min(misses, key=distance, default=None)


def title(span: Span) -> str:
    """A span in one line: who, what, how it ended."""
    # What the SDK calls a service that nobody named says nothing.
    words = [] if span.service.startswith(_UNNAMED) else [_short(span.service)]
    words += [] if span.kind is Kind.INTERNAL else [span.kind.value]
    words += [_short(span.name) or "(no name)"]
    words += [f"→ {_short(span.peer)}"] if span.peer else []
    words += ["✖ error"] if span.status is Status.ERROR else []
    words += ["✔ ok"] if span.status is Status.OK else []
    words += [f"! {_short(each)}" for each in span.exceptions]
    return " ".join(word for word in words if word)


def trees(shown: tuple[Trace, ...], found: TraceSet, marks: Mapping[Place, str]) -> Iterator[str]:
    """The traces of ``shown`` as trees, and how many of ``found`` are not among them."""
    for trace in shown[:_MOST_TRACES]:
        reason = found.unfinished.get(trace.trace_id)
        yield ""
        yield f"trace {trace.trace_id}" + (f", not whole: {visible(reason)}" if reason else "")
        yield from _tree(trace, marks)
    if more := len(found.traces) - len(shown[:_MOST_TRACES]):
        yield f"\n… and {counted(more, 'trace')} more"


def _tree(trace: Trace, marks: Mapping[Place, str]) -> Iterator[str]:
    shown = 0
    for row, guides, _ in with_guides(islice(rows(trace), MOST_ROWS)):
        yield f"  {guides}{_line(trace, row, marks)}"
        shown += isinstance(row.item, Span)
    if more := len(trace.by_id) - shown:
        yield f"  … and {counted(more, 'span')} more"


def _line(trace: Trace, row: Row, marks: Mapping[Place, str]) -> str:
    match row.item:
        case Missing(span_id):
            return f"? parent {span_id} never came"
        case Gap() | Wire() as gap:
            return f"░ no span for {duration(gap.length_ms)}"
        case span:
            times = duration(span.duration_ms)
            if trace.children(span):
                times += f", self {duration(trace.self_time_ms(span))}"
            mark = marks.get(_place(span))
            return f"{title(span)}  {times}" + (f"  ◀ {mark}" if mark else "")


def _place(span: Span) -> Place:
    return span.trace_id, span.span_id


def _clauses(miss: NearMiss) -> tuple[str, ...]:
    return tuple(visible(abridged(str(each), _LONGEST_CLAUSE)) for each in miss.failed)


def _short(text: str) -> str:
    return abridged(visible(text.replace("\n", " ")), _LONGEST_NAME)
