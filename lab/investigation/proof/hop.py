"""Harm as it arrived: how late the calls over a hurt edge were, beside what was put there. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from statistics import median
from typing import Final

from lab.domain.evidence import Evidence, Sample
from lab.domain.fault import Fault, Toxic
from lab.domain.scenario import Scenario
from lab.domain.trace import Kind, Trace
from lab.frozen import dataclass
from lab.investigation.proof.affected import affected_traces

TOLERATED_SHARE: Final = 0.05
TOLERATED_MS: Final = 3.0


@dataclass(frozen=True, slots=True)
class HopLateness:
    """By how much one operation over an edge was late, in the middle of all its calls."""

    operation: str
    injected_ms: float
    measured_ms: float

    @property
    def off_ms(self) -> float:
        """How far both are apart."""
        return abs(self.measured_ms - self.injected_ms)

    @property
    def is_faithful(self) -> bool:
        """Whether that is within 5 %, or 3 ms where that is more."""
        return self.off_ms <= max(TOLERATED_SHARE * self.injected_ms, TOLERATED_MS)


def hop_lateness(scenario: Scenario, evidence: Evidence) -> tuple[HopLateness, ...]:
    """For each plain latency of the crime, each operation that the reference knows as well.

    Plain is what hurts every message alike: no jitter, and every connection.
    """
    affected = affected_traces(scenario, evidence, evidence.reference_stats)
    healthy = evidence.whole_traces(Sample.REFERENCE)
    return tuple(
        HopLateness(operation, fault.attributes["latency"], median(late_ms) - median(usual_ms))
        for fault in scenario.faults
        if fault.toxic is Toxic.LATENCY and not fault.attributes["jitter"] and fault.toxicity == 1
        for operation, late_ms in _calls(fault, affected).items()
        if (usual_ms := _calls(fault, healthy).get(operation))
    )


def _calls(fault: Fault, traces: Iterable[Trace]) -> Mapping[str, Sequence[float]]:
    """The durations of the calls over the fault's edge, by operation."""
    caller, _, callee = fault.edge.partition("-")
    found: dict[str, list[float]] = defaultdict(list)
    for trace in traces:
        for span in trace:
            if span.kind is Kind.CLIENT and span.service == caller and span.peer == callee:
                found[span.name].append(span.duration_ms)
    return found
