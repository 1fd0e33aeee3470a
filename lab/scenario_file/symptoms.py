"""What users suffer, as a scenario writes it: a share of requests, of traces or of records."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import Field, model_validator

from lab.domain.bound import Bound
from lab.domain.symptom import HARDLY_ANY, Harm, Symptom
from lab.scenario_file.checks import PredicateEntry
from lab.scenario_file.values import (
    ActorName,
    Count,
    CountBound,
    Entry,
    Ms,
    Refused,
    RouteName,
    ShareBound,
    TenantName,
    Text,
)

_RATES: Final = {
    Harm.ERROR: "error_rate",
    Harm.REJECTION: "rejection_rate",
    Harm.SLOWNESS: "slow_rate",
    Harm.EMPTINESS: "empty_rate",
    Harm.SHOWING: "showing_rate",
    Harm.LACKING: "lacking_rate",
    Harm.RECORDED: "recorded_rate",
}
_NEEDED: Final = {
    "slow_rate": "slower_than",
    "empty_rate": "smaller_than",
    "showing_rate": "shows",
    "lacking_rate": "lacks",
    "recorded_rate": "recorded",
}


class RecordedEntry(Entry):
    """So many records a request, where somebody else's books tell of the harm."""

    records: Text = Field(description="A name of `evidence.records`.")
    per_request: CountBound


class SymptomEntry(Entry):
    """What users suffer on one route: exactly one of the rates.

    The last rates are of traces and of records, for a loss that no answer of the shop tells of.
    """

    route: RouteName
    actor: ActorName | None = Field(None, description="Only this actor's requests count.")
    tenant: TenantName | None = Field(None, description="Only this tenant's requests count.")
    error_rate: ShareBound | None = Field(None, description="Share answered 5xx, or not at all.")
    rejection_rate: ShareBound | None = Field(None, description="Share answered 4xx.")
    slow_rate: ShareBound | None = Field(None, description="Share slower than `slower_than`.")
    slower_than: Ms | None = None
    empty_rate: ShareBound | None = Field(None, description="Share with next to no answer.")
    smaller_than: Annotated[Count, Field(gt=0)] | None = Field(
        None, description="Bytes of a 2xx answer's body."
    )
    showing_rate: ShareBound | None = Field(None, description="Share of traces with `shows`.")
    shows: PredicateEntry | None = Field(
        None, description="A span of a request's trace, or of one that is joined to it."
    )
    lacking_rate: ShareBound | None = Field(None, description="Share of traces without `lacks`.")
    lacks: PredicateEntry | None = Field(None, description="A span of a request's own trace.")
    recorded_rate: ShareBound | None = Field(
        None, description="Share of requests with as many records as `recorded` says."
    )
    recorded: RecordedEntry | None = None
    reference: ShareBound = Field(HARDLY_ANY, description="The same share on a healthy day.")

    @model_validator(mode="after")
    def _one_rate(self) -> SymptomEntry:
        if len(self._rates()) != 1:
            raise Refused(f"expected exactly one of {', '.join(_RATES.values())}")
        for rate, needed in _NEEDED.items():
            if (getattr(self, rate) is None) is not (getattr(self, needed) is None):
                raise Refused(f"expected {rate} and {needed} together, got one of them")
        return self

    def _rates(self) -> list[tuple[Harm, Bound]]:
        rates = ((harm, getattr(self, rate)) for harm, rate in _RATES.items())
        return [(harm, bound) for harm, bound in rates if bound is not None]

    def symptom(self) -> Symptom:
        """As the domain has it."""
        [(harm, crime)] = self._rates()
        sign = self.shows or self.lacks
        return Symptom(
            route=self.route,
            harm=harm,
            crime=crime,
            reference=self.reference,
            slower_than_ms=self.slower_than,
            actor=self.actor,
            tenant=self.tenant,
            sign=sign.predicate() if sign else None,
            smaller_than_bytes=self.smaller_than,
            records=self.recorded.records if self.recorded else None,
            per_request=self.recorded.per_request if self.recorded else None,
        )
