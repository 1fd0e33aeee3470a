"""Predicates and measured checks as a scenario writes them."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from lab.domain.bound import Bound, Unit
from lab.domain.evidence import Sample
from lab.domain.journal import Step
from lab.domain.load import RequestFilter, Window
from lab.domain.predicate import PRESENT, Predicate
from lab.domain.record_check import SpanShareCheck, SpanTimingCheck, SpanValuesCheck
from lab.domain.scenario import (
    OccupancyCheck,
    RequestCheck,
    RequestStatistic,
    SpanCountCheck,
    SpanDurationCheck,
    SpanFitCheck,
    SpanGroupsCheck,
    SpanSeenCheck,
    SpanTime,
)
from lab.scenario_file.values import (
    ActorName,
    AnyBound,
    AttributeTest,
    Count,
    CountBound,
    DurationBound,
    Entry,
    KindWord,
    Ms,
    OwnDurationBound,
    PeerName,
    Refused,
    RequestStatisticWord,
    RouteName,
    SampleWord,
    Seconds,
    ServiceName,
    ShareBound,
    SpanStatisticWord,
    SpanTimeWord,
    StatusWord,
    StepWord,
    TenantName,
    Text,
    TimingWord,
    WindowWord,
)

MOST_RELATIONS: Final = 3
"""Inside each other: a child's parent's child's … would visit a wide trace without end."""


class PredicateEntry(Entry):
    """What a span must be; every field that is given must fit."""

    service: ServiceName | None = None
    name: Text | None = None
    kind: KindWord | None = None
    status: StatusWord | None = None
    peer: PeerName | None = Field(None, description="Whom the span calls.")
    exception: Text | None = Field(
        None, description="The type of a recorded exception, whole or its last part."
    )
    attributes: dict[Text, AttributeTest] = Field({}, description="Attribute: its value.")
    has_attributes: list[Text] = Field([], description="Attributes it has, whatever they say.")
    no_attributes: list[Text] = Field([], description="Attributes it does not have at all.")
    event: Text | None = Field(None, description="The name of an event on it.")
    message: Annotated[Text, Field(min_length=1)] | None = Field(
        None, description="What stands in its status message or in that of an exception on it."
    )
    duration: DurationBound | None = None
    self_time: DurationBound | None = Field(
        None, description="The duration less that of its children."
    )
    wire_time: OwnDurationBound | None = Field(
        None, description="A client span's duration less that of its server half."
    )
    ends_after_parent: OwnDurationBound | None = Field(
        None, description="By how much it outlives its parent."
    )
    repeats: CountBound | None = Field(
        None, description="How often its operation runs under its parent one after another."
    )
    at_once: CountBound | None = Field(
        None,
        description="How many spans like it, itself included, overlap with it, here and in joined "
        "traces; like it are those of the same names and attributes, whatever they took.",
    )
    links: CountBound | None = Field(None, description="How many links to other spans it has.")
    root: bool | None = Field(None, strict=True, description="Whether it begins its trace.")
    deepest_error: bool | None = Field(
        None, strict=True, description="Whether it is an error under which no other span is one."
    )
    parent: PredicateEntry | None = None
    ancestor: PredicateEntry | None = None
    child: PredicateEntry | None = None
    no_child: PredicateEntry | None = None
    no_joined: PredicateEntry | None = Field(
        None, description="No such span in what is joined to its trace."
    )
    link: PredicateEntry | None = Field(
        None, description="Such a span at the end of one of its links, here or in joined traces."
    )

    @model_validator(mode="after")
    def _not_too_deep(self) -> PredicateEntry:
        if self._depth() > MOST_RELATIONS:
            raise Refused(f"expected at most {MOST_RELATIONS} relations inside each other")
        return self

    def _depth(self) -> int:
        beside = (self.no_joined, self.link)
        related = (self.parent, self.ancestor, self.child, self.no_child, *beside)
        return max((1 + each._depth() for each in related if each), default=0)

    def predicate(self) -> Predicate:
        """As the domain has it."""
        return Predicate(
            service=self.service,
            name=self.name,
            kind=self.kind,
            status=self.status,
            peer=self.peer,
            exception=self.exception,
            attributes=dict.fromkeys(self.has_attributes, PRESENT) | self.attributes,
            no_attributes=tuple(self.no_attributes),
            event=self.event,
            message=self.message,
            duration=self.duration,
            self_time=self.self_time,
            wire_time=self.wire_time,
            ends_after_parent=self.ends_after_parent,
            repeats=self.repeats,
            at_once=self.at_once,
            links=self.links,
            root=self.root,
            deepest_error=self.deepest_error,
            parent=self.parent.predicate() if self.parent else None,
            ancestor=self.ancestor.predicate() if self.ancestor else None,
            child=self.child.predicate() if self.child else None,
            no_child=self.no_child.predicate() if self.no_child else None,
            no_joined=self.no_joined.predicate() if self.no_joined else None,
            link=self.link.predicate() if self.link else None,
        )


class LabelledEntry(Entry):
    """What every check has."""

    label: Text = Field(min_length=1, description="What is shown when it fails.")
    step: StepWord = Step.CRIME


class SpanCountEntry(LabelledEntry):
    """In every trace of the sample, so many spans match."""

    measure: Literal["span-count"]
    of: PredicateEntry
    bound: CountBound
    sample: SampleWord = Sample.AFFECTED

    def check(self) -> SpanCountCheck:
        """As the domain has it."""
        return SpanCountCheck(self.label, self.of.predicate(), self.bound, self.sample, self.step)


class SpanSeenEntry(LabelledEntry):
    """So many traces of the sample, or such a share of them, have a matching span."""

    measure: Literal["span-seen"]
    of: PredicateEntry
    bound: AnyBound
    sample: SampleWord = Sample.AFFECTED

    @field_validator("bound")
    @classmethod
    def _counts(cls, value: Bound) -> Bound:
        if value.unit is Unit.DURATION:
            raise Refused(f"expected a number or a share of traces, got '{value}'")
        return value

    def check(self) -> SpanSeenCheck:
        """As the domain has it."""
        return SpanSeenCheck(self.label, self.of.predicate(), self.bound, self.sample, self.step)


class SpanDurationEntry(LabelledEntry):
    """A statistic of the durations of all matching spans of the sample."""

    measure: Literal["span-duration"]
    of: PredicateEntry
    time: SpanTimeWord = Field(
        SpanTime.DURATION, description="wire_time: of calls whose answer is there."
    )
    statistic: SpanStatisticWord
    bound: DurationBound
    sample: SampleWord = Sample.AFFECTED

    def check(self) -> SpanDurationCheck:
        """As the domain has it."""
        return SpanDurationCheck(
            self.label,
            self.of.predicate(),
            self.statistic,
            self.bound,
            self.sample,
            self.step,
            self.time,
        )


class SpanTimingEntry(LabelledEntry):
    """When matching spans of the sample start, or with what period their bunches come."""

    measure: Literal["span-timing"]
    of: PredicateEntry
    timing: TimingWord = Field(
        description="first, last: after the window began; period: from bunch to bunch, the median."
    )
    apart: Annotated[Ms, Field(gt=0)] = Field(
        1000.0, description="So long after the span before it, one begins another bunch."
    )
    bound: OwnDurationBound
    sample: SampleWord = Sample.AFFECTED
    window: WindowWord = Window.CRIME

    def check(self) -> SpanTimingCheck:
        """As the domain has it."""
        return SpanTimingCheck(
            self.label,
            self.of.predicate(),
            self.timing,
            self.bound,
            self.apart,
            self.sample,
            self.window,
            self.step,
        )


class SpanValuesEntry(LabelledEntry):
    """How many different values an attribute has in the matching spans of the sample."""

    measure: Literal["span-values"]
    of: PredicateEntry
    attribute: Text = Field(min_length=1)
    bound: CountBound
    sample: SampleWord = Sample.AFFECTED

    def check(self) -> SpanValuesCheck:
        """As the domain has it."""
        return SpanValuesCheck(
            self.label, self.of.predicate(), self.attribute, self.bound, self.sample, self.step
        )


class SpanShareEntry(LabelledEntry):
    """What share of its root's duration a trace's matching spans take together, at the median."""

    measure: Literal["span-share"]
    of: PredicateEntry
    bound: ShareBound
    sample: SampleWord = Sample.AFFECTED

    def check(self) -> SpanShareCheck:
        """As the domain has it."""
        return SpanShareCheck(self.label, self.of.predicate(), self.bound, self.sample, self.step)


class SpanFitEntry(LabelledEntry):
    """How well a straight line over one of their attributes explains the spans' durations."""

    measure: Literal["fit"]
    of: PredicateEntry
    against: Text = Field(description="The attribute: a number, such as bytes or rows.")
    r2: CountBound = Field(description="The share of the variance that the line explains, 0 to 1.")
    sample: SampleWord = Sample.AFFECTED

    def check(self) -> SpanFitCheck:
        """As the domain has it."""
        return SpanFitCheck(
            self.label, self.of.predicate(), self.against, self.r2, self.sample, self.step
        )


class GroupedEntry(LabelledEntry):
    """Spans of the crime in groups, by one of their attributes."""

    of: PredicateEntry
    by: Text = Field(min_length=1, description="The attribute whose value makes a group.")
    hit: PredicateEntry = Field(description="A group is hit where most of its spans fit this too.")


class SpanGroupsEntry(GroupedEntry):
    """So many groups are hit, and a span is as its group is."""

    measure: Literal["groups"]
    bound: CountBound = Field(description="How many groups are hit.")
    purity: ShareBound = Field(description="The share of spans that are as their group is.")

    def check(self) -> SpanGroupsCheck:
        """As the domain has it."""
        return SpanGroupsCheck(
            self.label,
            self.of.predicate(),
            self.by,
            self.hit.predicate(),
            self.bound,
            self.purity,
            self.step,
        )


class OccupancyEntry(GroupedEntry):
    """As many requests suffer as the groups that are hit can make suffer: n ÷ (held × rate)."""

    measure: Literal["occupancy"]
    route: RouteName
    slower_than: Ms = Field(description="A request that took longer suffered.")
    held: Annotated[Seconds, Field(gt=0)] = Field(
        description="How long a request keeps one that is hit."
    )
    bound: ShareBound = Field(description="The measured share, as a share of the expected one.")

    def check(self) -> OccupancyCheck:
        """As the domain has it."""
        return OccupancyCheck(
            label=self.label,
            predicate=self.of.predicate(),
            by=self.by,
            hit=self.hit.predicate(),
            of=RequestFilter(self.route),
            slower_than_ms=self.slower_than,
            held_s=self.held,
            bound=self.bound,
            step=self.step,
        )


class RequestEntry(LabelledEntry):
    """A statistic of a window's requests, as their actors saw them."""

    measure: Literal["requests"]
    route: RouteName | None = Field(None, description="Default: all routes together.")
    actor: ActorName | None = Field(None, description="Default: all actors together.")
    tenant: TenantName | None = Field(None, description="Default: all tenants together.")
    statistic: RequestStatisticWord
    slower_than: Ms | None = Field(
        None, description="Of slow_rate: a request that took longer is slow."
    )
    fewer_bytes: Annotated[Count, Field(gt=0)] | None = Field(
        None, description="Of empty_rate: an answer of fewer bytes is empty."
    )
    bound: AnyBound
    window: WindowWord = Window.CRIME

    @model_validator(mode="after")
    def _unit_fits(self) -> RequestEntry:
        unit = self.statistic.unit
        if self.bound.unit not in {None, unit}:
            raise Refused(f"expected a bound on a {unit} for {self.statistic}, got '{self.bound}'")
        return self

    @model_validator(mode="after")
    def _told_what_is_meant(self) -> RequestEntry:
        for field, statistic in (
            ("slower_than", RequestStatistic.SLOW_RATE),
            ("fewer_bytes", RequestStatistic.EMPTY_RATE),
        ):
            if (getattr(self, field) is None) is (self.statistic is statistic):
                raise Refused(f"expected {field} with {statistic} and with nothing else")
        return self

    def check(self) -> RequestCheck:
        """As the domain has it."""
        return RequestCheck(
            label=self.label,
            of=RequestFilter(self.route, self.actor, self.tenant),
            statistic=self.statistic,
            bound=self.bound,
            window=self.window,
            step=self.step,
            slower_than_ms=self.slower_than or 0.0,
            fewer_bytes=self.fewer_bytes or 0,
        )


CheckEntry = Annotated[
    SpanCountEntry
    | SpanSeenEntry
    | SpanDurationEntry
    | SpanTimingEntry
    | SpanValuesEntry
    | SpanShareEntry
    | SpanFitEntry
    | SpanGroupsEntry
    | OccupancyEntry
    | RequestEntry,
    Field(discriminator="measure"),
]
