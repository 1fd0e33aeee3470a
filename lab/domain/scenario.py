"""A scenario: who loads the shop, what is hurt, and what the truth about it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from enum import StrEnum
from typing import Final

from lab.domain.bound import Bound, Unit, parse
from lab.domain.evidence import Sample
from lab.domain.fault import Conditions, Dice, Fault
from lab.domain.instrumentation import Instrumentation, Sight
from lab.domain.join import Join
from lab.domain.journal import Step
from lab.domain.load import LoadShape, RequestFilter, Window
from lab.domain.mechanism import Mechanism, Scope
from lab.domain.observation import Observation
from lab.domain.predicate import Predicate
from lab.domain.record_check import RecordCheck, SpanCheck
from lab.domain.reference import ReferenceStats
from lab.domain.symptom import Symptom
from lab.domain.trace import Span, Trace
from lab.domain.twin import Tier, Twin
from lab.domain.variation import Plan, Variation, changes
from lab.frozen import dataclass

MOST_AFFECTED: Final = parse(">= 80%")
"""The share of affected traces a truth must be found in, where a case does not say."""

HALF_AFFECTED: Final = parse(">= 50%")
"""The share of affected traces a decoy must be found in, where a case does not say."""


WARMUP_S: Final = 3.0
"""Load after a restart of services and before the window: fills pools and caches."""


class Origin(StrEnum):
    """Why it began with a culprit that neither fails first nor holds the lost time itself.

    Each word has a test of its own, so that it excuses no messenger.
    """

    NUMBER = "number"
    """Each call is as ever and there are more of them: its own, or those of the step it is."""
    ELSEWHERE = "elsewhere"
    """It stands in another trace, where nothing handed the harm up to it."""
    NO_SPAN = "no-span"
    """The other half of the call left no span here, though it used to."""
    CUT_OFF = "cut-off"
    """It gave up on work that went on: what it called ended after it."""
    AFTERWARDS = "afterwards"
    """Its own span was over when the time was lost, in a gap right behind it."""


@dataclass(frozen=True, slots=True)
class Alternative:
    """One form the culprit takes; ``in_traces`` bounds in how many affected traces it must.

    ``began`` says why the harm began with it, where its own failure or time do not show it.
    """

    predicate: Predicate
    in_traces: Bound | None = None
    began: Origin | None = None


@dataclass(frozen=True, slots=True)
class Accomplice:
    """A second culprit without whom there would be no case; both must be named."""

    mechanism: Mechanism
    culprit: tuple[Alternative, ...]


@dataclass(frozen=True, slots=True)
class Equal:
    """Another answer that is as good: without it, too, there would be no case; ``why`` says so."""

    mechanism: Mechanism
    culprit: tuple[Alternative, ...]
    why: str


@dataclass(frozen=True, slots=True)
class Truth:
    """Which span did it, and how.

    Either ``culprit`` holds alternatives, any of which is the culprit, or ``nobody``
    holds the evidence that clears everyone, all of which a trace must show.
    ``victims`` names spans on the path that are no ancestors of the culprit, ``joins``
    the traces in which it may be found beside a request's own. ``equals`` are answers that
    are as good; the proof does not ask for them.
    """

    mechanism: Mechanism
    scope: Scope = Scope.ALL
    culprit: tuple[Alternative, ...] = ()
    nobody: tuple[Predicate, ...] = ()
    accomplice: Accomplice | None = None
    share: Bound = MOST_AFFECTED
    victims: tuple[Predicate, ...] = ()
    joins: tuple[Join, ...] = ()
    equals: tuple[Equal, ...] = ()

    @property
    def is_nobody(self) -> bool:
        """Whether everything worked and nobody is to be accused."""
        return not self.culprit

    @property
    def mechanisms(self) -> frozenset[Mechanism]:
        """The mechanism, and the accomplice's where there is one."""
        also = {self.accomplice.mechanism} if self.accomplice else set()
        return frozenset({self.mechanism} | also)

    def mechanisms_of(
        self, span: Span, trace: Trace, reference: ReferenceStats
    ) -> tuple[Mechanism, ...]:
        """How ``span`` did it, the culprit's word first; none where it did not."""
        parties: list[tuple[Mechanism, tuple[Alternative, ...]]] = [(self.mechanism, self.culprit)]
        if self.accomplice is not None:
            parties.append((self.accomplice.mechanism, self.accomplice.culprit))
        parties += [(each.mechanism, each.culprit) for each in self.equals]
        return tuple(
            mechanism for mechanism, forms in parties if _is_one_of(forms, span, trace, reference)
        )

    def equal_of(self, span: Span, trace: Trace, reference: ReferenceStats) -> Equal | None:
        """The other answer that ``span`` is; None where it is the culprit, or no answer."""
        if self.is_culprit(span, trace, reference):
            return None
        found = (each for each in self.equals if _is_one_of(each.culprit, span, trace, reference))
        return next(found, None)

    def is_culprit(self, span: Span, trace: Trace, reference: ReferenceStats) -> bool:
        """Whether ``span`` did it."""
        return _is_one_of(self.culprit, span, trace, reference)

    def is_accomplice(self, span: Span, trace: Trace, reference: ReferenceStats) -> bool:
        """Whether ``span`` is the accomplice's."""
        return _is_one_of(self._accomplices, span, trace, reference)

    def culprits_in(self, trace: Trace, reference: ReferenceStats) -> tuple[Span, ...]:
        """The spans of ``trace``, and of what is joined to it, that did it; no accomplice's."""
        return _all_of(self.culprit, trace, reference)

    def accomplices_in(self, trace: Trace, reference: ReferenceStats) -> tuple[Span, ...]:
        """The accomplice's spans in ``trace`` and in what is joined to it."""
        return _all_of(self._accomplices, trace, reference)

    def equals_in(self, trace: Trace, reference: ReferenceStats) -> tuple[Span, ...]:
        """The spans of ``trace``, and of what is joined to it, that are answers as good."""
        return tuple(
            span for each in self.equals for span in _all_of(each.culprit, trace, reference)
        )

    @property
    def _accomplices(self) -> tuple[Alternative, ...]:
        return self.accomplice.culprit if self.accomplice else ()

    def matches(self, trace: Trace, reference: ReferenceStats) -> bool:
        """Whether ``trace`` shows the truth: all culprits, or all that clears everyone."""
        if self.is_nobody:
            return all(each.matching(trace, reference) for each in self.nobody)
        if not self.culprits_in(trace, reference):
            return False
        return self.accomplice is None or bool(self.accomplices_in(trace, reference))


@dataclass(frozen=True, slots=True)
class Decoy:
    """A span that looks guilty; ``why`` says in one sentence why it is not."""

    predicate: Predicate
    why: str
    share: Bound = HALF_AFFECTED


class SpanStatistic(StrEnum):
    """What many spans' durations are boiled down to."""

    P50 = "p50"
    P95 = "p95"


class SpanTime(StrEnum):
    """Which time of a span is meant; a wire time is that of a call with its answer."""

    DURATION = "duration"
    SELF_TIME = "self_time"
    WIRE_TIME = "wire_time"


class RequestStatistic(StrEnum):
    """What many requests are boiled down to."""

    ERROR_RATE = "error_rate"
    REJECTION_RATE = "rejection_rate"
    SUCCESS_RATE = "success_rate"
    SLOW_RATE = "slow_rate"
    EMPTY_RATE = "empty_rate"
    MIN = "min"
    MEAN = "mean"
    P50 = "p50"
    P95 = "p95"
    COUNT = "count"

    @property
    def unit(self) -> Unit:
        """What it is measured in."""
        if self is RequestStatistic.COUNT:
            return Unit.NUMBER
        return Unit.SHARE if self.value.endswith("_rate") else Unit.DURATION


@dataclass(frozen=True, slots=True)
class SpanCountCheck:
    """In every whole trace of ``sample``, the number of matching spans obeys ``bound``."""

    label: str
    predicate: Predicate
    bound: Bound
    sample: Sample = Sample.AFFECTED
    step: Step = Step.CRIME


@dataclass(frozen=True, slots=True)
class SpanSeenCheck:
    """So many whole traces of ``sample``, or such a share of them, have a matching span."""

    label: str
    predicate: Predicate
    bound: Bound
    sample: Sample = Sample.AFFECTED
    step: Step = Step.CRIME


@dataclass(frozen=True, slots=True)
class SpanDurationCheck:
    """A statistic of the matching spans of ``sample``; its reference is the same one there."""

    label: str
    predicate: Predicate
    statistic: SpanStatistic
    bound: Bound
    sample: Sample = Sample.AFFECTED
    step: Step = Step.CRIME
    time: SpanTime = SpanTime.DURATION


@dataclass(frozen=True, slots=True)
class SpanFitCheck:
    """How far the matching spans' durations follow from one of their numbers, ``against``.

    ``bound`` is on r², the share of their variance that a straight line explains.
    """

    label: str
    predicate: Predicate
    against: str
    bound: Bound
    sample: Sample = Sample.AFFECTED
    step: Step = Step.CRIME


@dataclass(frozen=True, slots=True)
class RequestCheck:
    """A statistic of those of a window's requests that are meant, at the edge.

    A request is slow that took longer than ``slower_than_ms``, and an answer empty whose body
    is of fewer than ``fewer_bytes``.
    """

    label: str
    of: RequestFilter
    statistic: RequestStatistic
    bound: Bound
    window: Window = Window.CRIME
    step: Step = Step.CRIME
    slower_than_ms: float = 0.0
    fewer_bytes: int = 0


@dataclass(frozen=True, slots=True)
class SpanGroupsCheck:
    """Whether what a span is like follows from one of its attributes, ``by``.

    The spans of the crime that match ``predicate`` fall into groups with the same value of
    ``by``; a group is *hit* where most of its spans fit ``hit`` as well. ``bound`` is on the
    number of groups that are hit, ``purity`` on the share of spans that are as their
    group is, of hit ones and of the others alike.
    """

    label: str
    predicate: Predicate
    by: str
    hit: Predicate
    bound: Bound
    purity: Bound
    step: Step = Step.CRIME


@dataclass(frozen=True, slots=True)
class OccupancyCheck:
    """Whether as many requests suffer as the groups that are hit can make suffer.

    Each of n hit members serves one request in ``held_s``, so of ``rate`` requests a second
    a share of n ÷ (held × rate) suffers (Little's law). ``bound`` is on the share of ``of``
    that took longer than ``slower_than_ms``, as a share of that. Groups as in
    `SpanGroupsCheck`.
    """

    label: str
    predicate: Predicate
    by: str
    hit: Predicate
    of: RequestFilter
    slower_than_ms: float
    held_s: float
    bound: Bound
    step: Step = Step.CRIME


Check = (
    SpanCountCheck
    | SpanSeenCheck
    | SpanDurationCheck
    | SpanFitCheck
    | SpanGroupsCheck
    | OccupancyCheck
    | RequestCheck
    | RecordCheck
    | SpanCheck
)
"""A bound of a case beyond its symptom and truth; a closed list."""


@dataclass(frozen=True)
class Scenario:
    """Everything a run, its proof and its grading need; read from ``scenarios/<id>/``.

    ``durations_s`` holds the reference, crime and recovery windows, and the transition where
    its warm-up has a length of its own; ``load`` one shape for each window. ``pauses`` says
    whether the load does between warm-up and crime, until nothing is in flight. ``dice`` says when
    a fault that leaves something to chance was thrown fairly. ``briefing_may_name`` maps a
    service of the culprit's to the reason for which title and briefing name it. ``exhibits``
    are what the words of the texts rest on, each a check under the name that they link to;
    its label is what it claims. ``scope_counts``
    says that whom it hit is part of the question although it hit all.
    ``variation`` holds what may differ from run to run, ``plan`` what holds in this one:
    everything else here is as the plan says. What ``is_recorded`` happened by itself, to any
    system, and is not run: it has no load, no durations and no fault. ``instrumentation`` maps
    levels to what is to be seen of the culprit. ``source`` keeps the raw text of every file by
    name, so that a case folder can carry the scenario it was run with.
    """

    id: str
    title: str
    difficulty: int
    skill: str
    load: Mapping[Window, LoadShape]
    durations_s: Mapping[Window, float]
    symptom: Symptom
    truth: Truth
    briefing: str
    debrief: str
    conditions: Conditions = field(default_factory=dict)
    ambient: tuple[Fault, ...] = ()
    faults: tuple[Fault, ...] = ()
    decoys: tuple[Decoy, ...] = ()
    hints: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    exhibits: Mapping[str, Check] = field(default_factory=dict)
    observation: Observation = field(default_factory=Observation)
    briefing_may_name: Mapping[str, str] = field(default_factory=dict)
    min_requests: int = 100
    pauses: bool = True
    is_recorded: bool = False
    scope_counts: bool = False
    dice: Dice | None = None
    tier: Tier = Tier.FULL
    twins: tuple[Twin, ...] = ()
    instrumentation: Mapping[Instrumentation, Sight] = field(default_factory=dict)
    variation: Variation = field(default_factory=Variation)
    plan: Plan = field(default_factory=dict)
    source: Mapping[str, str] = field(default_factory=dict)

    @property
    def judged(self) -> tuple[Check, ...]:
        """All that a proof measures beside symptom and truth; an exhibit is labelled as one."""
        exhibits = (
            replace(check, label=f"exhibit {name}: {check.label}")
            for name, check in self.exhibits.items()
        )
        return (*self.checks, *exhibits)

    @property
    def warmup_s(self) -> float:
        """How long load runs before the crime's window; 0 where nothing is to be warmed up."""
        usual_s = WARMUP_S if self.conditions or self.dice else 0.0
        return self.durations_s.get(Window.TRANSITION, usual_s)

    @property
    def asks_scope(self) -> bool:
        """Whether whom it hit is part of the question, which learners are told beforehand.

        That of some it is must not say that it hit only some: other cases ask it as well.
        """
        return self.scope_counts or self.truth.scope is not Scope.ALL

    @property
    def variant(self) -> str:
        """In what it differs from the scenario as written: ``delay=120ms``, or nothing."""
        return changes(self.plan, self.variation.as_written)


def _is_one_of(
    alternatives: tuple[Alternative, ...], span: Span, trace: Trace, reference: ReferenceStats
) -> bool:
    return any(each.predicate.matches(span, trace, reference) for each in alternatives)


def _all_of(
    alternatives: tuple[Alternative, ...], trace: Trace, reference: ReferenceStats
) -> tuple[Span, ...]:
    return tuple(
        span
        for each in trace.story
        for span in each
        if _is_one_of(alternatives, span, each, reference)
    )
