"""Checks on what is counted beside sampled spans, as a scenario writes them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from lab.domain.bound import Unit
from lab.domain.evidence import Sample
from lab.domain.load import RequestFilter, Window
from lab.domain.record_check import (
    Answered,
    LogCheck,
    RecordCountCheck,
    RecordRatioCheck,
    RecordShareCheck,
    SpanRecordedCheck,
)
from lab.scenario_file.checks import CheckEntry, LabelledEntry, PredicateEntry
from lab.scenario_file.values import (
    ActorName,
    AnsweredWord,
    AnyBound,
    CountBound,
    LineOfWord,
    Refused,
    RouteName,
    SampleWord,
    ServiceName,
    SeverityWord,
    ShareBound,
    TenantName,
    Text,
    WindowWord,
)


class OfRequestsEntry(LabelledEntry):
    """What checks on a window's requests have in common."""

    route: RouteName | None = Field(None, description="Default: all routes together.")
    actor: ActorName | None = Field(None, description="Default: all actors together.")
    tenant: TenantName | None = Field(None, description="Default: all tenants together.")
    window: WindowWord = Window.CRIME

    def _of(self) -> RequestFilter:
        return RequestFilter(self.route, self.actor, self.tenant)


class RecordShareEntry(OfRequestsEntry):
    """The share of requests of which there are so many records."""

    measure: Literal["recorded"]
    records: Text
    each: CountBound = Field(description="How many records of a request make it count.")
    answered: AnsweredWord = Field(Answered.ANY, description="Only requests that ended so.")
    bound: ShareBound

    def check(self) -> RecordShareCheck:
        """As the domain has it."""
        return RecordShareCheck(
            self.label,
            self.records,
            self.each,
            self.bound,
            self._of(),
            self.answered,
            self.window,
            self.step,
        )


class RecordCountEntry(LabelledEntry):
    """How many records there are, of the whole run."""

    measure: Literal["record-count"]
    records: Text
    bound: CountBound

    def check(self) -> RecordCountCheck:
        """As the domain has it."""
        return RecordCountCheck(self.label, self.records, self.bound, self.step)


class RecordRatioEntry(OfRequestsEntry):
    """How many records come to one of other records, or to one request."""

    measure: Literal["record-ratio"]
    records: Text
    to: Text | None = Field(None, description="Other records; default: the requests.")
    bound: CountBound

    def check(self) -> RecordRatioCheck:
        """As the domain has it."""
        return RecordRatioCheck(
            self.label, self.records, self.bound, self._of(), self.to, self.window, self.step
        )


class SpanRecordedEntry(LabelledEntry):
    """The share of traces with a span whose attribute is found in some record."""

    measure: Literal["span-recorded"]
    of: PredicateEntry
    attribute: Text
    records: Text
    entry: Text = Field(description="Which entry of a record the attribute must equal.")
    bound: ShareBound
    sample: SampleWord = Sample.AFFECTED

    def check(self) -> SpanRecordedCheck:
        """As the domain has it."""
        return SpanRecordedCheck(
            self.label,
            self.of.predicate(),
            self.attribute,
            self.records,
            self.entry,
            self.bound,
            self.sample,
            self.step,
        )


class LogEntry(LabelledEntry):
    """How many lines of the case's logs say so, or in what share of a sample's traces one does."""

    measure: Literal["log-lines"]
    service: ServiceName | None = None
    severity: SeverityWord | None = None
    says: Annotated[Text, Field(min_length=1)] | None = Field(
        None, description="What stands in the line; `#` stands for a number or an id."
    )
    span: LineOfWord | None = Field(
        None, description="Whether the span that the line was written in is in its trace."
    )
    sample: SampleWord | None = Field(
        None, description="Lines of these traces alone; default: of all, and those of no trace."
    )
    window: WindowWord = Window.CRIME
    bound: AnyBound

    @model_validator(mode="after")
    def _unit_fits(self) -> LogEntry:
        if self.bound.unit is Unit.DURATION or self.bound.needs_reference:
            raise Refused(f"expected a number of lines or a share of traces, got '{self.bound}'")
        if self.bound.unit is Unit.SHARE and self.sample is None:
            raise Refused(f"expected a sample, of whose traces '{self.bound}' is, found none")
        return self

    def check(self) -> LogCheck:
        """As the domain has it."""
        return LogCheck(
            self.label,
            self.bound,
            self.service,
            self.severity,
            self.says,
            self.span,
            self.sample,
            self.window,
            self.step,
        )


AnyCheckEntry = Annotated[
    CheckEntry
    | RecordShareEntry
    | RecordCountEntry
    | RecordRatioEntry
    | SpanRecordedEntry
    | LogEntry,
    Field(discriminator="measure"),
]
"""Every check of a scenario."""
