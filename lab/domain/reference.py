"""What each operation took in the reference window: the yardstick for *slower than usual*."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import cached_property
from typing import NamedTuple

from lab.domain.load import percentile
from lab.domain.trace import Kind, Span, Trace
from lab.frozen import dataclass


class Operation(NamedTuple):
    """What makes two spans comparable: who does what to whom.

    A tuple, for all that compares looks up each span's, and its hash is most of that.
    """

    service: str
    name: str
    kind: Kind
    peer: str | None

    @classmethod
    def of(cls, span: Span) -> Operation:
        """The operation ``span`` is one run of."""
        return cls(span.service, span.name, span.kind, span.peer)


@dataclass(frozen=True, slots=True)
class OperationStats:
    """Durations of one operation over the reference traces, in ms."""

    count: int
    p50_ms: float
    p95_ms: float
    self_p50_ms: float
    self_p95_ms: float

    def times(self, duration_ms: float) -> float | None:
        """How many times the usual a duration is; None where that is 0."""
        return duration_ms / self.p50_ms if self.p50_ms > 0 else None


@dataclass(frozen=True)
class ReferenceStats:
    """The statistics of every operation seen in the reference traces."""

    operations: Mapping[Operation, OperationStats] = field(default_factory=dict)

    @classmethod
    def of(cls, traces: Iterable[Trace]) -> ReferenceStats:
        """Measure ``traces``."""
        durations: dict[Operation, list[float]] = {}
        self_times: dict[Operation, list[float]] = {}
        for trace in traces:
            for span in trace:
                operation = Operation.of(span)
                durations.setdefault(operation, []).append(span.duration_ms)
                self_times.setdefault(operation, []).append(trace.self_time_ms(span))
        return cls(
            {
                operation: OperationStats(
                    count=len(values),
                    p50_ms=percentile(values, 0.50),
                    p95_ms=percentile(values, 0.95),
                    self_p50_ms=percentile(self_times[operation], 0.50),
                    self_p95_ms=percentile(self_times[operation], 0.95),
                )
                for operation, values in durations.items()
            }
        )

    def for_span(self, span: Span) -> OperationStats | None:
        """The statistics of the span's operation; None where the reference has none."""
        return self.operations.get(Operation.of(span))

    def is_new(self, span: Span, trace: Trace) -> bool:
        """Whether nobody did this before; False where no trace like this one tells of before.

        A trace is like those that begin with the same operation.
        """
        begins_alike = any(Operation.of(root) in self.operations for root in trace.roots)
        return begins_alike and self.for_span(span) is None

    @cached_property
    def speakers(self) -> frozenset[str]:
        """The services of which spans came."""
        return frozenset(operation.service for operation in self.operations)
