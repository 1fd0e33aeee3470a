"""Whether the harm began with the span that a truth names, and was not handed up to it. Pure.

A messenger is in every affected trace as well, and in no healthy one. What tells it from a
culprit is what lies below it: an error that was there first, or the time that was lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from statistics import median
from typing import Final

from lab.domain.bound import parse
from lab.domain.evidence import Evidence, Sample
from lab.domain.journal import Step
from lab.domain.proof import Finding
from lab.domain.reference import Operation, ReferenceStats
from lab.domain.rows import OUTLIVES_MS
from lab.domain.scenario import Alternative, Origin, Scenario, Truth
from lab.domain.trace import Kind, Span, Status, Trace
from lab.frozen import dataclass
from lab.investigation.proof.share import Share

CHECK: Final = "it began there"

MOSTLY: Final = parse(">= 80%")
"""In how many of a culprit's spans it must have begun; a busy machine may spoil a few."""

MOST: Final = 0.5
"""Who holds at least so much of the lost time is the one that lost it."""

_AS_EVER: Final = parse("unchanged")


@dataclass(frozen=True)
class Beginning:
    """Tells where the harm of ``scenario`` began, by what its ``evidence`` shows."""

    scenario: Scenario
    evidence: Evidence

    @cached_property
    def reference(self) -> ReferenceStats:
        """What each operation took before."""
        return self.evidence.reference_stats

    def is_at(self, span: Span, trace: Trace, owner: Trace, began: Origin | None = None) -> bool:
        """Whether it began with ``span``, which stands in ``trace`` of the story of ``owner``.

        Without a word of ``began`` it fails or is slow by itself; each word has its own test.
        """
        match began:
            case None:
                fails_or_slow = span.status is Status.ERROR or self.excess_ms(span) > 0
                return fails_or_slow and self._is_its_own(span, trace)
            case Origin.ELSEWHERE:
                return trace is not owner and self._is_its_own(span, trace)
            case Origin.NUMBER:
                return self._is_more_often(span, trace)
            case Origin.NO_SPAN:
                return not _answers(trace, span) and Operation.of(span) in self._answered
            case Origin.CUT_OFF:
                failed = span.status is Status.ERROR
                return failed and any(_outlives(each, span) for each in trace.children(span))
            case Origin.AFTERWARDS:
                return self._is_right_before_the_gap(span, trace)

    def excess_ms(self, span: Span) -> float:
        """By how much it took longer than before; 0 where that is within an *unchanged* time."""
        usual = self.reference.for_span(span)
        usual_ms = usual.p50_ms if usual else 0.0
        is_slow = _AS_EVER.is_above(span.duration_ms, usual_ms)
        return span.duration_ms - usual_ms if is_slow else 0.0

    def first_errors_below(self, span: Span, trace: Trace) -> tuple[Span, ...]:
        """Its children that failed before it was over, and so may have made it fail.

        A child that outlives its caller failed too late for that, and so did nothing to it.
        A decoy's error counts for nothing where it is the deepest: the scenario says why.
        """
        return tuple(
            child
            for child in trace.children(span)
            if child.status is Status.ERROR
            and not _outlives(child, span)
            and not (self._is_excused(child, trace) and child in trace.deepest_errors())
        )

    def own_excess_ms(self, span: Span, trace: Trace) -> float:
        """How much of its lost time is spent in itself, on its wire, or in a gap of it.

        What a decoy below it spends itself, or an answer that is as good, is counted too.
        """
        excused = (each for each in trace.children(span) if self._is_excused(each, trace))
        return sum(self._self_excess_ms(each, trace) for each in (span, *excused))

    def _is_its_own(self, span: Span, trace: Trace) -> bool:
        if span.status is Status.ERROR and self.first_errors_below(span, trace):
            return False
        excess_ms = self.excess_ms(span)
        return excess_ms == 0 or self.own_excess_ms(span, trace) >= MOST * excess_ms

    def _self_excess_ms(self, span: Span, trace: Trace) -> float:
        usual = self.reference.for_span(span)
        return trace.self_time_ms(span) - (usual.self_p50_ms if usual else 0.0)

    def _is_excused(self, span: Span, trace: Trace) -> bool:
        forms = (form for each in self.scenario.truth.equals for form in each.culprit)
        predicates = (
            *(decoy.predicate for decoy in self.scenario.decoys),
            *(form.predicate for form in forms),
        )
        return any(each.matches(span, trace, self.reference) for each in predicates)

    def _is_more_often(self, span: Span, trace: Trace) -> bool:
        """Whether it runs again and again as it did not before; of a step, what it does.

        What was never seen before cannot be said to have run less often.
        """
        inside = trace.children(span) if span.kind is Kind.INTERNAL else ()
        return any(
            (usual := self._usual_repeats.get(Operation.of(each))) is not None
            and trace.repeats(each) > usual
            for each in (span, *inside)
        )

    def _is_right_before_the_gap(self, span: Span, trace: Trace) -> bool:
        parent = trace.parent(span)
        if parent is None or self.excess_ms(parent) <= 0:
            return False
        later = (child.start_ns for child in trace.children(parent) if child.start_ns > span.end_ns)
        gap_ms = (min([parent.end_ns, *later]) - span.end_ns) / 1e6
        return gap_ms >= MOST * self.excess_ms(parent)

    @cached_property
    def _usual_repeats(self) -> Mapping[Operation, float]:
        counts: dict[Operation, list[int]] = {}
        for trace in self.evidence.whole_traces(Sample.REFERENCE):
            for span in trace:
                counts.setdefault(Operation.of(span), []).append(trace.repeats(span))
        return {operation: median(found) for operation, found in counts.items()}

    @cached_property
    def _answered(self) -> frozenset[Operation]:
        """The calls whose other half was to be seen before."""
        return frozenset(
            Operation.of(span)
            for trace in self.evidence.whole_traces(Sample.REFERENCE)
            for span in trace
            if _answers(trace, span)
        )


def origin_findings(
    scenario: Scenario, evidence: Evidence, affected: Sequence[Trace]
) -> Iterator[Finding]:
    """That it began with each form of the culprit that is there, and of the accomplice.

    A form that no trace shows has nothing to judge; whether it must occur, others ask.
    """
    beginning = Beginning(scenario, evidence)
    for name, form in _forms(scenario.truth):
        found = Share.count(
            _places(form, affected, beginning.reference),
            _judged(beginning, form.began),
            "spans of the culprit",
        )
        if found.total:
            yield found.finding(Step.CRIME, name, MOSTLY)


_Place = tuple[Span, Trace, Trace]


def _judged(beginning: Beginning, began: Origin | None) -> Callable[[_Place], bool]:
    return lambda place: beginning.is_at(*place, began)


def _forms(truth: Truth) -> Iterator[tuple[str, Alternative]]:
    several = len(truth.culprit) > 1
    for number, form in enumerate(truth.culprit, start=1):
        yield (f"{CHECK}, form {number}" if several else CHECK), form
    for form in truth.accomplice.culprit if truth.accomplice else ():
        yield f"{CHECK}, accomplice", form
    for number, each in enumerate(truth.equals, start=1):
        for form in each.culprit:
            yield f"{CHECK}, equal {number}", form


def _places(
    form: Alternative, affected: Sequence[Trace], reference: ReferenceStats
) -> Iterator[_Place]:
    """Each span of the form once, with its trace and the request's trace it belongs to.

    A trace that a request of its own began speaks for itself where that one is affected.
    """
    seen: set[tuple[str, str]] = set()
    for owner in affected:
        for trace in owner.story:
            for span in trace:
                key = span.trace_id, span.span_id
                if key not in seen and form.predicate.matches(span, trace, reference):
                    seen.add(key)
                    yield span, trace, owner


def _outlives(child: Span, parent: Span) -> bool:
    return child.end_ns - parent.end_ns >= OUTLIVES_MS * 1e6


def _answers(trace: Trace, span: Span) -> bool:
    return span.kind is Kind.CLIENT and any(
        child.kind is Kind.SERVER for child in trace.children(span)
    )
