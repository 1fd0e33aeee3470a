"""What a run leaves behind to reason about: requests, windows and whole traces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from lab.domain.load import Request, RequestFilter, Window
from lab.domain.reference import ReferenceStats
from lab.domain.trace import Trace


class Sample(StrEnum):
    """Why a request's trace was fetched; *affected* is decided by the SLI alone."""

    AFFECTED = "affected"
    UNAFFECTED = "unaffected"
    REFERENCE = "reference"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Interval:
    """A stretch of time in Unix seconds, its end excluded."""

    start_s: float
    end_s: float

    def __contains__(self, moment_s: float) -> bool:
        """Whether the moment lies inside."""
        return self.start_s <= moment_s < self.end_s

    @property
    def length_s(self) -> float:
        """How long it is, in seconds."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Evidence:
    """Everything proof, grading and hints are computed from.

    ``samples`` names, for each reason, the trace ids that were asked for; ``traces``
    holds those that came. A trace id that was asked for and is not in ``traces``,
    or is not whole there, is evidence lost, and the proof counts it.
    """

    windows: Mapping[Window, Interval]
    requests: tuple[Request, ...]
    samples: Mapping[Sample, tuple[str, ...]]
    traces: Mapping[str, Trace]

    def requests_in(self, window: Window, meant: RequestFilter) -> tuple[Request, ...]:
        """The requests of one window that are meant."""
        return tuple(
            request
            for request in self.requests
            if request.window is window and meant.covers(request)
        )

    def whole_traces(self, sample: Sample) -> tuple[Trace, ...]:
        """The traces of a sample that came whole."""
        found = (self.traces.get(trace_id) for trace_id in self.samples.get(sample, ()))
        return tuple(trace for trace in found if trace is not None and trace.is_whole)

    @cached_property
    def reference_stats(self) -> ReferenceStats:
        """What each operation took in the whole traces of the reference."""
        return ReferenceStats.of(self.whole_traces(Sample.REFERENCE))

    @cached_property
    def request_of(self) -> Mapping[str, Request]:
        """Trace id → the request it is the trace of."""
        return {request.trace_id: request for request in self.requests}
