"""Bounds of a case on what is counted beyond sampled spans."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from lab.domain.bound import Bound
from lab.domain.evidence import Sample
from lab.domain.journal import Step
from lab.domain.load import Request, RequestFilter, Window
from lab.domain.predicate import Predicate


class Answered(StrEnum):
    """How a request ended, for its customer."""

    ANY = "any"
    SUCCESS = "success"
    REJECTION = "rejection"
    ERROR = "error"

    def covers(self, request: Request) -> bool:
        """Whether ``request`` ended so."""
        match self:
            case Answered.ANY:
                return True
            case Answered.SUCCESS:
                return 200 <= request.status < 400
            case Answered.REJECTION:
                return request.is_rejected
            case Answered.ERROR:
                return request.is_server_error


@dataclass(frozen=True, slots=True)
class RecordShareCheck:
    """The share of a window's requests of which the number of ``records`` obeys ``each``."""

    label: str
    records: str
    each: Bound
    bound: Bound
    of: RequestFilter
    answered: Answered = Answered.ANY
    window: Window = Window.CRIME
    step: Step = Step.CRIME


@dataclass(frozen=True, slots=True)
class RecordCountCheck:
    """How many ``records`` were found in the whole run."""

    label: str
    records: str
    bound: Bound
    step: Step = Step.CRIME


@dataclass(frozen=True, slots=True)
class RecordRatioCheck:
    """In a window, so many times as many ``records`` as ``to``, or as requests without it.

    Of a counter it is by how much it grew; of lines and finds, how many belong to requests.
    """

    label: str
    records: str
    bound: Bound
    of: RequestFilter
    to: str | None = None
    window: Window = Window.CRIME
    step: Step = Step.CRIME


@dataclass(frozen=True, slots=True)
class SpanRecordedCheck:
    """The share of a sample's traces with a span whose ``attribute`` is some record's ``entry``."""

    label: str
    predicate: Predicate
    attribute: str
    records: str
    entry: str
    bound: Bound
    sample: Sample = Sample.AFFECTED
    step: Step = Step.CRIME


RecordCheck = RecordShareCheck | RecordCountCheck | RecordRatioCheck | SpanRecordedCheck
"""What is counted in records; a closed list."""
