"""One assertion about a set of traces, and what it came to: holds, fails or unknown. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lab.domain.bound import Bound, Form, Unit
from lab.domain.predicate import Predicate
from lab.domain.proof import Outcome
from lab.domain.reference import ReferenceStats
from lab.domain.trace import Span, Trace
from lab.domain.wording import counted
from lab.frozen import dataclass
from lab.testing.source import TraceSet

NONE: Final = "== 0"
SOME: Final = ">= 1"

_LOWER: Final = frozenset({Form.AT_LEAST, Form.ABOVE})
"""Forms that more spans cannot make untrue."""

_MAY_CHANGE: Final = ("no_child", "no_joined", "self_time", "wire_time", "repeats", "deepest_error")
"""Words that a span which still comes can make untrue of one that is there."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a check came to: the spans that match, and in words what was found."""

    outcome: Outcome
    spans: tuple[Span, ...]
    found: str
    why_unknown: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """So many spans match: in all traces together, or in so many ``traces`` each.

    A trace that is not whole may have more such spans than were seen, so what more spans could
    change of it is unknown.
    """

    predicate: Predicate
    count: Bound
    traces: Bound | None = None

    def __str__(self) -> str:
        """For people: ``a span: client GET error; in >= 95% of traces``."""
        where = "" if self.traces is None else f"; in {_of_traces(self.traces)}"
        how_many = {SOME: "a span", NONE: "no span"}.get(str(self.count), f"{self.count} spans")
        return f"{how_many}: {self.predicate}{where}"

    def answer(self, found: TraceSet, reference: ReferenceStats) -> Answer:
        """What it comes to for the traces as they are."""
        matching = {
            trace.trace_id: tuple(
                span for span in trace if self.predicate.matches(span, trace, reference)
            )
            for trace in found.traces
        }
        spans = tuple(span for each in matching.values() for span in each)
        if not found.traces and found.may_grow:
            return Answer(Outcome.UNKNOWN, (), "no span at all", "no trace has come")
        if self.traces is None:
            outcome = self._of_all(found, len(spans), matching)
            told = f"{len(spans)} in {_size(found)}"
        else:
            outcome, showing = self._of_each(found, matching, self.traces)
            told = f"so in {showing} of {counted(len(found.traces), 'trace')}"
        return Answer(outcome, spans, told, _why(found) if outcome is Outcome.UNKNOWN else "")

    def lacking(self, found: TraceSet, reference: ReferenceStats) -> Iterator[Trace]:
        """The traces that do not show it, for whoever looks for the nearest miss."""
        for trace in found.traces:
            count = sum(self.predicate.matches(span, trace, reference) for span in trace)
            if self.count.holds(count) is not Outcome.HOLDS:
                yield trace

    @property
    def wants_fewer(self) -> bool:
        """Whether spans that match are too many, not too few."""
        return self.count.holds(0) is Outcome.HOLDS

    def _of_all(
        self, found: TraceSet, count: int, matching: dict[str, tuple[Span, ...]]
    ) -> Outcome:
        if not found.unfinished:
            return self.count.holds(count)
        sure = sum(
            len(matching[each.trace_id]) for each in found.traces if self._counts(found, each)
        )
        return self._of_at_least(sure)

    def _of_each(
        self, found: TraceSet, matching: dict[str, tuple[Span, ...]], traces: Bound
    ) -> tuple[Outcome, int]:
        outcomes = []
        for trace in found.traces:
            count = len(matching[trace.trace_id])
            if trace.trace_id not in found.unfinished:
                outcomes.append(self.count.holds(count))
            else:
                outcomes.append(self._of_at_least(count if self._counts(found, trace) else 0))
        showing, all_of_them = outcomes.count(Outcome.HOLDS), len(outcomes)
        most = showing + outcomes.count(Outcome.UNKNOWN)
        share = traces.unit is Unit.SHARE
        if share and not all_of_them:
            return Outcome.FAILS, 0
        possible = {traces.holds(n / all_of_them if share else n) for n in range(showing, most + 1)}
        return possible.pop() if len(possible) == 1 else Outcome.UNKNOWN, showing

    def _counts(self, found: TraceSet, trace: Trace) -> bool:
        """Whether the spans of ``trace`` that match do so whatever else of it may come."""
        is_whole = trace.trace_id not in found.unfinished
        return is_whole or all(getattr(self.predicate, word) is None for word in _MAY_CHANGE)

    def _of_at_least(self, count: int) -> Outcome:
        """What it comes to for ``count`` spans or more."""
        if self.count.is_above(count):
            return Outcome.FAILS
        holds = self.count.form in _LOWER and self.count.holds(count) is Outcome.HOLDS
        return Outcome.HOLDS if holds else Outcome.UNKNOWN


def _of_traces(bound: Bound) -> str:
    return f"{bound} of traces" if bound.unit is Unit.SHARE else f"{bound} traces"


def _size(found: TraceSet) -> str:
    return f"{counted(len(found), 'span')} of {counted(len(found.traces), 'trace')}"


def _why(found: TraceSet) -> str:
    trace_id, reason = next(iter(found.unfinished.items()))
    more = len(found.unfinished) - 1
    others = f", and so are {counted(more, 'other')}" if more else ""
    return f"trace {trace_id} is not whole ({reason}){others}"
