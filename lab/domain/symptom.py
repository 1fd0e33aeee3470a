"""What a case's users suffer, or its operators miss: the share of requests that are affected."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from lab.domain.bound import Bound, parse
from lab.domain.load import Request, RequestFilter
from lab.domain.predicate import Predicate
from lab.domain.proof import Outcome
from lab.domain.reference import ReferenceStats
from lab.domain.trace import Trace
from lab.frozen import dataclass

HARDLY_ANY: Final = parse("<= 1%")
"""The share of affected requests a healthy shop may have, where a case does not say."""


class Harm(StrEnum):
    """What makes a request of the symptom's route an affected one.

    *Emptiness* is a good answer with next to nothing in it. What is *showing* or *lacking* is
    seen in a request's trace alone: nothing that its customer was answered tells of it. What is
    *recorded* is told by somebody else's books, so many entries a request.
    """

    ERROR = "error"
    REJECTION = "rejection"
    SLOWNESS = "slowness"
    EMPTINESS = "emptiness"
    SHOWING = "showing"
    LACKING = "lacking"
    RECORDED = "recorded"


Counts = Mapping[str, Mapping[str, int]]
"""Name of records → trace id → how many of them that trace has."""


@dataclass(frozen=True, slots=True)
class Symptom:
    """What users suffer, measured at the edge, or what operators miss, measured in traces.

    ``crime`` and ``reference`` bound the share of affected requests among those of
    ``route``, and of ``actor`` and ``tenant`` where these are given; ``slower_than_ms``
    is set for slowness alone, ``smaller_than_bytes`` for emptiness, ``sign`` for the harms
    that only traces show. Such a sign is an SLI of its own, as a share of complete traces
    is, and not the truth's predicate. ``records`` and ``per_request`` say of which records how
    many a request must have where the harm is *recorded*.
    """

    route: str
    harm: Harm
    crime: Bound
    reference: Bound = HARDLY_ANY
    slower_than_ms: float | None = None
    actor: str | None = None
    tenant: str | None = None
    sign: Predicate | None = None
    smaller_than_bytes: int | None = None
    records: str | None = None
    per_request: Bound | None = None

    @property
    def of(self) -> RequestFilter:
        """The requests whose share counts."""
        return RequestFilter(self.route, self.actor, self.tenant)

    @property
    def measured(self) -> str:
        """What is measured, and where: ``error at the edge``, ``lacking in traces``."""
        if self.harm is Harm.RECORDED:
            return f"{self.per_request} {self.records} a request"
        return f"{self.harm} at the edge" if self.sign is None else f"{self.harm} in traces"

    def is_affected(self, request: Request, counts: Counts) -> bool:
        """Whether ``request`` suffered, or may have, where only its trace can tell."""
        if not self.of.covers(request):
            return False
        match self.harm:
            case Harm.ERROR:
                return request.is_server_error
            case Harm.REJECTION:
                return request.is_rejected
            case Harm.SLOWNESS:
                return self.slower_than_ms is not None and request.latency_ms > self.slower_than_ms
            case Harm.EMPTINESS:
                return (
                    self.smaller_than_bytes is not None
                    and 200 <= request.status < 300
                    and request.answer_bytes < self.smaller_than_bytes
                )
            case Harm.RECORDED:
                return self._has_so_many(request, counts)
            case Harm.SHOWING | Harm.LACKING:
                return True

    def _has_so_many(self, request: Request, counts: Counts) -> bool:
        if self.per_request is None or not self.is_measured(counts):
            return False
        found = counts[self.records or ""].get(request.trace_id, 0)
        return self.per_request.holds(found) is Outcome.HOLDS

    def is_measured(self, counts: Counts) -> bool:
        """Whether there is what it takes to say who suffered: records that could be had."""
        return self.records is None or self.records in counts

    def is_seen_in(self, trace: Trace, reference: ReferenceStats) -> bool:
        """Whether the trace of a request that `is_affected` bears the sign, if it must have one.

        What is *lacking* is missed in the request's own trace, wherever else it is; what
        is *showing* may show in a trace that is joined to it.
        """
        if self.sign is None:
            return True
        if self.harm is Harm.SHOWING:
            return bool(self.sign.matching(trace, reference))
        return not any(self.sign.matches(span, trace, reference) for span in trace)
