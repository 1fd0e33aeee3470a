"""The truth of a scenario and its decoys, as a scenario writes them."""

from __future__ import annotations

from pydantic import Field, model_validator

from lab.domain.join import Join
from lab.domain.mechanism import Mechanism, Scope
from lab.domain.scenario import (
    HALF_AFFECTED,
    MOST_AFFECTED,
    Accomplice,
    Alternative,
    Decoy,
    Truth,
)
from lab.scenario_file.checks import PredicateEntry
from lab.scenario_file.values import (
    CountBound,
    Entry,
    MechanismWord,
    Ms,
    Refused,
    ScopeWord,
    ShareBound,
    Text,
)


class AlternativeEntry(PredicateEntry):
    """One form the culprit takes."""

    in_traces: CountBound | None = Field(
        None, description="In how many affected traces this form must occur."
    )

    def alternative(self) -> Alternative:
        """As the domain has it."""
        return Alternative(self.predicate(), self.in_traces)


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

    @model_validator(mode="after")
    def _somebody_or_nobody(self) -> TruthEntry:
        if (self.culprit is None) is (self.nobody is None):
            raise Refused("expected either culprit or nobody")
        rejection = self.mechanism is Mechanism.BUSINESS_REJECTION
        if rejection is not (self.nobody is not None):
            raise Refused("expected nobody with business-rejection, and only with it")
        if self.accomplice is not None and self.culprit is None:
            raise Refused("expected a culprit beside the accomplice")
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
