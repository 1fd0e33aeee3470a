"""Cases to measure detectives on, and whether an accused span did it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from detective_split import part_of
from held_out import SUFFIX

from lab.adapters.cases.recording_file import RECORDING, read_recording, recordings
from lab.detective.incident import Incident, Period, incident_of
from lab.domain.accusation import Accusation
from lab.domain.case import Case
from lab.domain.evidence import Sample
from lab.domain.mechanism import Mechanism
from lab.domain.trace import Trace
from lab.domain.verdict import DID_IT, VerdictClass
from lab.investigation.solving.judge import judge
from lab.settings import CHECKOUT

Pair = tuple[str, str]
"""Trace id and span id."""


@dataclass(frozen=True)
class Measured:
    """A case with what the detective may know of it, and the judge that knows the rest."""

    case: Case
    incident: Incident
    part: str
    name: str
    """The scenario, or what a file of a live run, a twin or another seed is called."""

    @property
    def is_nobody(self) -> bool:
        """Whether nobody did it, by the truth; or hurt anybody, as in a run without the culprit."""
        hurt = self.case.evidence.samples.get(Sample.AFFECTED)
        return self.case.scenario.truth.is_nobody or not hurt

    @property
    def mechanism(self) -> Mechanism:
        """How it was done."""
        return self.case.scenario.truth.mechanism

    def verdict(
        self, spans: Sequence[Pair], mechanisms: Sequence[Mechanism] = (Mechanism.LATENCY,)
    ) -> VerdictClass:
        """What accusing these spans comes to, with the right scope."""
        truth = self.case.scenario.truth
        accusation = Accusation(tuple(spans), tuple(mechanisms), scope=truth.scope)
        return judge(self.case.scenario, self.case.evidence, accusation).verdict

    def is_right(self, span: Pair | None) -> bool:
        """Whether this one did it, whatever the mechanism; of a case of nobody's no span did."""
        return span is not None and not self.is_nobody and self.verdict([span]) in DID_IT

    def kept_background(self) -> tuple[Trace, ...]:
        """Traces that no request began; the case keeps what its scenario searched for."""
        evidence = self.case.evidence
        return tuple(t for key, t in evidence.traces.items() if key not in evidence.request_of)


def measured(case: Case, name: str) -> Measured:
    """The case as it is measured: without anything that its scenario searched for."""
    return Measured(case, incident_of(case.evidence), part_of(case.scenario.id, case.seed), name)


def recorded_cases() -> Iterator[Measured]:
    """The recorded case of every scenario."""
    scenarios = CHECKOUT / "scenarios"
    for name in recordings(scenarios):
        yield measured(read_recording(scenarios / name / RECORDING), name)


def cases_in(folder: Path) -> Iterator[Measured]:
    """The case files of a folder, by name: live runs, twins, other seeds."""
    for path in sorted(folder.rglob(f"*{SUFFIX}")):
        yield measured(read_recording(path), path.name.removesuffix(SUFFIX))


def halves(period: Period) -> tuple[Period, Period]:
    """A period cut in two by time, at its middle request."""
    ordered = sorted(period.requests, key=lambda each: each.start_s)
    middle = len(ordered) // 2
    cut_ns = ordered[middle].start_s * 1e9 if ordered else 0

    def part(early: bool) -> Period:
        chosen = tuple(ordered[:middle] if early else ordered[middle:])
        ids = {each.trace_id for each in chosen}
        return Period(
            chosen,
            {key: trace for key, trace in period.traces.items() if key in ids},
            tuple(t for t in period.background if (t.spans[0].start_ns < cut_ns) is early),
        )

    return part(True), part(False)


def healthy(cases: Sequence[Measured]) -> Mapping[str, Incident]:
    """Both halves of every reference, each held against the other: nobody did anything there."""
    found = {}
    for each in cases:
        early, late = halves(each.incident.before)
        found[f"{each.name}: second half"] = Incident(early, late)
        found[f"{each.name}: first half"] = Incident(late, early)
    return found
