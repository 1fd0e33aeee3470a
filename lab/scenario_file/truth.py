"""The truth of a scenario, its decoys and its twins, as a scenario writes them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from lab.domain.join import Join
from lab.domain.mechanism import Mechanism, Scope
from lab.domain.scenario import (
    HALF_AFFECTED,
    MOST_AFFECTED,
    Accomplice,
    Alternative,
    Decoy,
    Equal,
    Truth,
)
from lab.domain.twin import Drop, Part, Twin
from lab.domain.variation import SettingValue
from lab.scenario_file.checks import PredicateEntry
from lab.scenario_file.values import (
    CountBound,
    Entry,
    ExpectationWord,
    MechanismWord,
    Ms,
    OriginWord,
    Refused,
    ScopeWord,
    ShareBound,
    Text,
    condition_problem,
    refuse_each,
)

_DROP: Final = r"(conditions|load|(faults|ambient)(\[[0-9]{1,3}\])?)"


def _drop(value: object) -> Drop:
    if not isinstance(value, str) or not re.fullmatch(_DROP, value):
        raise Refused(
            "expected what to leave out: faults, faults[0], ambient, ambient[0], "
            f"conditions or load, got {value!r}"
        )
    part, _, number = value.rstrip("]").partition("[")
    return Drop(Part(part), int(number) if number else None)


DropText = Annotated[
    Drop,
    BeforeValidator(_drop),
    WithJsonSchema({"type": "string", "pattern": f"^{_DROP}$", "examples": ["faults[0]"]}),
]


class TwinEntry(Entry):
    """The same run but for one thing: the culprit (`healed`), or only a decoy (`unchanged`)."""

    name: Text = Field(min_length=1, max_length=60, description="What is left out, in words.")
    drop: list[DropText] = Field([], description="What of the scenario does not happen.")
    set: dict[Text, SettingValue] = Field(
        {}, description="`service.setting: value`, laid over the conditions."
    )
    expect: ExpectationWord = Field(description="What becomes of the symptom.")

    @field_validator("set")
    @classmethod
    def _known_settings(cls, value: dict[str, SettingValue]) -> dict[str, SettingValue]:
        problems = {(name,): condition_problem(name, setting) for name, setting in value.items()}
        refuse_each({place: why for place, why in problems.items() if why})
        return value

    @model_validator(mode="after")
    def _differs(self) -> TwinEntry:
        if not (self.drop or self.set):
            raise Refused("expected drop or set: this twin differs in nothing")
        return self

    def twin(self) -> Twin:
        """As the domain has it."""
        return Twin(self.name, self.expect, tuple(self.drop), dict(self.set))


def drop_problem(drop: Drop, has: Mapping[Part, int]) -> str | None:
    """Why a scenario that has so much of each part cannot do without ``drop``; None if it can."""
    if (drop.number or 0) < has[drop.part]:
        return None
    what = "a load that changes" if drop.part is Part.LOAD else f"{has[drop.part]} of {drop.part}"
    if not has[drop.part]:
        what = f"no {what.removeprefix('a ').removeprefix('0 of ')}"
    return f"expected something the scenario has, got {drop}: it has {what}"


class AlternativeEntry(PredicateEntry):
    """One form the culprit takes."""

    in_traces: CountBound | None = Field(
        None, description="In how many affected traces this form must occur."
    )
    began: OriginWord | None = Field(
        None,
        description="Why the harm began with it, where it is neither the first that failed nor "
        "holds the lost time itself: number (each call is as ever, there are more of them), "
        "elsewhere (it stands in another trace), no-span (the other half of its call left none), "
        "cut-off (what it called ended after it), afterwards (the time was lost right behind it).",
    )

    def alternative(self) -> Alternative:
        """As the domain has it."""
        return Alternative(self.predicate(), self.in_traces, self.began)


class CulpritEntry(Entry):
    """The culprit's forms; a span that is any of them did it."""

    any: list[AlternativeEntry] = Field(min_length=1)

    def alternatives(self) -> tuple[Alternative, ...]:
        """As the domain has them."""
        return tuple(each.alternative() for each in self.any)


class NobodyEntry(Entry):
    """The evidence that clears everyone; a trace must show all of it."""

    all: list[PredicateEntry] = Field(min_length=1)


class AccompliceEntry(CulpritEntry):
    """A second culprit, without whom there would be no case."""

    mechanism: MechanismWord


class EqualEntry(CulpritEntry):
    """Another answer that is as good, by a mechanism of its own."""

    mechanism: MechanismWord
    why: Text = Field(min_length=1, description="Why there would be no case without it either.")

    def equal(self) -> Equal:
        """As the domain has it."""
        return Equal(self.mechanism, self.alternatives(), self.why)


class JoinEntry(Entry):
    """Other traces that belong to a request, by an attribute they share or by a span link."""

    search: Text = Field(min_length=1, description="TraceQL that finds them, over all windows.")
    on: Text | None = Field(
        None, description="The attribute whose value both have; default: one links to the other."
    )
    overlap: bool = Field(
        False,
        strict=True,
        description="Whether the spans that have it must have been running at one instant.",
    )

    at_least: Ms | None = Field(None, description="How long they must run side by side.")
    ends_within: Ms | None = Field(
        None, description="How far apart they end at most, whichever ends first."
    )

    @model_validator(mode="after")
    def _overlap_of_what(self) -> JoinEntry:
        if self.overlap and self.on is None:
            raise Refused("expected on, the attribute whose spans overlap, beside overlap")
        if not self.overlap and not (self.at_least is None and self.ends_within is None):
            raise Refused("expected overlap beside at_least and ends_within")
        return self

    def join(self) -> Join:
        """As the domain has it."""
        at_least_ms = self.at_least or 0.0
        return Join(self.search, self.on, self.overlap, at_least_ms, self.ends_within)


class TruthEntry(Entry):
    """Which span did it and how: `culprit`, or `nobody` with a business rejection."""

    mechanism: MechanismWord
    scope: ScopeWord = Scope.ALL
    culprit: CulpritEntry | None = None
    nobody: NobodyEntry | None = None
    accomplice: AccompliceEntry | None = None
    share: ShareBound = Field(
        MOST_AFFECTED, description="In what share of affected traces it must be found."
    )
    victims: list[PredicateEntry] = Field(
        [], description="Spans on the path that are no ancestors of the culprit."
    )
    joins: list[JoinEntry] = Field(
        [], description="Traces beside a request's own in which the culprit may be found."
    )
    equals: list[EqualEntry] = Field([], description="Other answers that are as good.")

    @model_validator(mode="after")
    def _somebody_or_nobody(self) -> TruthEntry:
        if (self.culprit is None) is (self.nobody is None):
            raise Refused("expected either culprit or nobody")
        rejection = self.mechanism is Mechanism.BUSINESS_REJECTION
        if rejection is not (self.nobody is not None):
            raise Refused("expected nobody with business-rejection, and only with it")
        if self.accomplice is not None and self.culprit is None:
            raise Refused("expected a culprit beside the accomplice")
        if self.equals and (self.culprit is None or self.accomplice is not None):
            raise Refused("expected equals beside one culprit, without an accomplice")
        return self

    def truth(self) -> Truth:
        """As the domain has it."""
        return Truth(
            mechanism=self.mechanism,
            scope=self.scope,
            culprit=self.culprit.alternatives() if self.culprit else (),
            nobody=tuple(each.predicate() for each in self.nobody.all) if self.nobody else (),
            accomplice=Accomplice(self.accomplice.mechanism, self.accomplice.alternatives())
            if self.accomplice
            else None,
            share=self.share,
            victims=tuple(each.predicate() for each in self.victims),
            joins=tuple(each.join() for each in self.joins),
            equals=tuple(each.equal() for each in self.equals),
        )


class DecoyEntry(Entry):
    """A span that looks guilty and is not."""

    span: PredicateEntry
    why: Text = Field(min_length=1, description="Why it is innocent, in one sentence.")
    share: ShareBound = Field(
        HALF_AFFECTED, description="In what share of affected traces it must be found."
    )

    def decoy(self) -> Decoy:
        """As the domain has it."""
        return Decoy(self.span.predicate(), self.why, self.share)
