"""The same crime under more and less instrumentation: what is left to see of its culprit. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from lab.domain.bound import parse
from lab.domain.case import Case
from lab.domain.instrumentation import Instrumentation, Sight
from lab.domain.proof import Outcome, ProofVerdict
from lab.domain.reference import ReferenceStats
from lab.domain.scenario import Scenario
from lab.domain.trace import Kind, Status, Trace
from lab.frozen import dataclass
from lab.investigation.proof.affected import affected_traces

MOST: Final = parse("> 50%")
"""Of the affected traces: so many must show what a scenario expects of a level."""


@dataclass(frozen=True)
class Seen:
    """What the affected traces of one level show; ``spans`` is how many one has, in the middle."""

    case: Case
    counts: Mapping[Sight, int]
    spans: float

    @property
    def level(self) -> Instrumentation:
        """The level it was run at."""
        return self.case.instrumentation

    @property
    def total(self) -> int:
        """How many affected traces were looked at."""
        return sum(self.counts.values())

    @property
    def expected(self) -> Sight | None:
        """What the scenario says of this level, if it says anything."""
        return self.case.scenario.instrumentation.get(self.level)

    def share(self, sight: Sight) -> float | None:
        """The share of affected traces that show it; None of none at all."""
        return self.counts.get(sight, 0) / self.total if self.total else None

    @property
    def outcome(self) -> Outcome:
        """Whether most traces show what is expected; unknown where the run itself is in doubt.

        Full instrumentation must also prove the case.
        """
        verdict = self.case.proof.verdict
        if verdict is ProofVerdict.INCOMPLETE:
            return Outcome.UNKNOWN
        if verdict is ProofVerdict.REFUTED:
            return Outcome.FAILS
        if self.expected is None:
            return Outcome.HOLDS
        return MOST.holds(self.share(self.expected))


def seen_in(case: Case) -> Seen:
    """What every whole trace of an affected request of ``case`` shows of the culprit."""
    reference = case.evidence.reference_stats
    traces = affected_traces(case.scenario, case.evidence, reference)
    counts = Counter(sight_of(case.scenario, trace, reference) for trace in traces)
    return Seen(case, counts, median([len(trace.spans) for trace in traces] or [0]))


def sight_of(scenario: Scenario, trace: Trace, reference: ReferenceStats) -> Sight:
    """What ``trace`` shows of the scenario's culprit.

    A call that the culprit's service makes is red for what others answered, on healthy days
    too; only what the service does itself may stand above the culprit.
    """
    if scenario.truth.matches(trace, reference):
        return Sight.CULPRIT
    services = {each.predicate.service for each in scenario.truth.culprit}
    may_hold_it = {Kind.SERVER, Kind.INTERNAL, Kind.CONSUMER}
    red = any(
        span.status is Status.ERROR and span.service in services and span.kind in may_hold_it
        for span in trace
    )
    return Sight.ANCESTOR if red else Sight.GAP


def verdict_of(levels: Sequence[Seen]) -> ProofVerdict:
    """What all levels came to."""
    outcomes = {seen.outcome for seen in levels}
    if Outcome.FAILS in outcomes:
        return ProofVerdict.REFUTED
    return ProofVerdict.INCOMPLETE if Outcome.UNKNOWN in outcomes else ProofVerdict.PROVEN


def nameable(levels: Sequence[Seen]) -> str:
    """From which level on the culprit can be named, in a sentence; least instrumented first."""
    found = [(seen, seen.counts.get(Sight.CULPRIT, 0)) for seen in levels]
    named = [(seen, count) for seen, count in found if count]
    if not named:
        return "The culprit cannot be named at any of these levels."
    first, count = named[0]
    where = f"at {first.level}" + (" alone" if len(named) == 1 else "")
    if MOST.holds(first.share(Sight.CULPRIT)) is Outcome.HOLDS:
        return f"The culprit can be named {where}."
    usually = [
        seen.level for seen, _ in named if MOST.holds(seen.share(Sight.CULPRIT)) is Outcome.HOLDS
    ]
    then = f"; in most, at {usually[0]}" if usually else ""
    return f"The culprit can be named {where} in {count} of {first.total} traces{then}."
