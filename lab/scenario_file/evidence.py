"""What a scenario says of its evidence: how much of it, what may be missing, what else is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Final, Literal

from pydantic import Field, field_validator, model_validator

from lab.domain.observation import (
    COLLECT_WITHIN_S,
    MAX_AFFECTED,
    MAX_CONTROLS,
    Loss,
    Observation,
)
from lab.domain.record import RecordQuery, Source
from lab.domain.wording import unknown_name
from lab.scenario_file.values import (
    AttributeWord,
    Count,
    Entry,
    LossWord,
    Refused,
    Seconds,
    ServiceName,
    Text,
    refuse_each,
)

MOST_TRACES: Final = 1000
LONGEST_WAIT_S: Final = 120.0

_Words = Annotated[Text, Field(min_length=1)]


class LogsEntry(Entry):
    """Lines that services wrote, from the Collector's masked copy of all logs."""

    source: Literal["logs"]
    service: ServiceName
    begins: _Words = Field(description="How the line begins.")

    def query(self) -> RecordQuery:
        """As the domain has it."""
        return RecordQuery(Source.LOGS, self.begins, self.service)


class MetricsEntry(Entry):
    """What a counter stood at, or how often a histogram was fed, from the Collector's copy."""

    source: Literal["metrics"]
    service: ServiceName
    metric: _Words
    attributes: dict[Text, AttributeWord] = Field(
        {}, description="Only series with these; what is left is added up."
    )

    def query(self) -> RecordQuery:
        """As the domain has it."""
        return RecordQuery(Source.METRICS, self.metric, self.service, dict(self.attributes))


class TracesEntry(Entry):
    """The traces that a search finds, by their ids: all of a run, not a sample."""

    source: Literal["traces"]
    search: _Words = Field(description="TraceQL, over all windows.")

    def query(self) -> RecordQuery:
        """As the domain has it."""
        return RecordQuery(Source.TRACES, self.search)


class DatabaseLogEntry(Entry):
    """Who waited for whose lock, from the database's own log."""

    source: Literal["database-log"]
    message: Literal["lock wait"]

    def query(self) -> RecordQuery:
        """As the domain has it."""
        return RecordQuery(Source.DATABASE_LOG, self.message)


RecordsEntry = Annotated[
    LogsEntry | MetricsEntry | TracesEntry | DatabaseLogEntry, Field(discriminator="source")
]


class EvidenceEntry(Entry):
    """How much evidence a case takes, where it is not the usual, and what it keeps beside spans."""

    affected: Annotated[Count, Field(ge=20, le=MOST_TRACES)] = Field(
        MAX_AFFECTED, description="Traces of affected requests that are fetched, at most."
    )
    controls: Annotated[Count, Field(ge=20, le=MOST_TRACES)] = Field(
        MAX_CONTROLS, description="Traces of each kind of control, at most."
    )
    within: Seconds = Field(
        COLLECT_WITHIN_S, description="How long the traces may take to come; then they are lost."
    )
    loss: LossWord = Field(
        Loss.NONE, description="sampled: a sampler drops traces of the crime, and that is right."
    )
    kept: Text | None = Field(
        None, description="The records that tell which of the crime's traces the sampler kept."
    )
    records: dict[Text, RecordsEntry] = Field(
        {}, description="A name of yours: what is kept under it, and from which source."
    )

    @field_validator("within")
    @classmethod
    def _not_endless(cls, value: float) -> float:
        if not 1.0 <= value <= LONGEST_WAIT_S:
            raise Refused(f"expected 1s to {LONGEST_WAIT_S:g}s, got {value:g}s")
        return value

    @model_validator(mode="after")
    def _kept_if_sampled(self) -> EvidenceEntry:
        if (self.loss is Loss.SAMPLED) is (self.kept is None):
            raise Refused("expected loss: sampled and kept together, got one of them")
        entry = self.records.get(self.kept or "")
        if self.kept is not None and not isinstance(entry, TracesEntry):
            searched = [
                name for name, each in self.records.items() if isinstance(each, TracesEntry)
            ]
            refuse_each({("kept",): unknown_name("records of traces", self.kept, searched)})
        return self

    def observation(self) -> Observation:
        """As the domain has it."""
        return Observation(
            affected=self.affected,
            controls=self.controls,
            within_s=self.within,
            loss=self.loss,
            kept=self.kept,
            records={name: entry.query() for name, entry in self.records.items()},
        )


def unknown_records(
    used: Mapping[tuple[str | int, ...], str | None], known: Iterable[str]
) -> Mapping[tuple[str | int, ...], str]:
    """Place → its refusal, for each that names records which the scenario does not keep."""
    names = tuple(known)
    return {
        place: unknown_name("records", name, names)
        if names
        else f"expected evidence.records to name {name!r}, found none"
        for place, name in used.items()
        if name is not None and name not in names
    }
