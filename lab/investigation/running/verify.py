"""Prove many cases and their twins, one after the other: what to run, and what came of it."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from lab.domain.case import Case
from lab.domain.journal import Step
from lab.domain.proof import Finding, Outcome, Proof, ProofVerdict
from lab.domain.scenario import Scenario
from lab.domain.twin import Twin
from lab.investigation.proof.but_for import twin_finding, twin_scenario, twins_of
from lab.investigation.running.integrity import is_excused


@dataclass(frozen=True)
class Trial:
    """One run to be: a scenario, or a ``twin`` of it."""

    scenario: Scenario
    twin: Twin | None = None

    @property
    def name(self) -> str:
        """For people, and to find what earlier runs of it came to."""
        words = (self.scenario.id, self.scenario.variant, self.twin.name if self.twin else "")
        return ", ".join(filter(None, words))

    @property
    def to_run(self) -> Scenario:
        """The scenario as it is run."""
        return self.scenario if self.twin is None else twin_scenario(self.scenario, self.twin)

    def is_open(self, case: Case) -> bool:
        """Whether the machine left undecided what is asked: of a twin, nothing but the symptom."""
        decided = Result.of(self, case, 0.0).verdict is ProofVerdict.PROVEN
        return is_excused(case.proof) and not decided


@dataclass(frozen=True)
class Result:
    """What one trial came to: every finding of a case, of a twin the one about its symptom."""

    trial: Trial
    case: Case
    proof: Proof
    took_s: float

    @classmethod
    def of(cls, trial: Trial, case: Case, took_s: float) -> Result:
        """What ``case`` says of ``trial``, judged now."""
        proof = case.proof
        if trial.twin is not None:
            proof = Proof((twin_finding(trial.scenario, trial.twin, case.evidence),))
        return cls(trial, case, proof, took_s)

    def without_evidence(self) -> Result:
        """All that is told of it in the end: the traces of some hundred runs fill a memory."""
        nothing = replace(self.case.evidence, requests=(), samples={}, traces={}, records={})
        return replace(self, case=replace(self.case, evidence=nothing))

    @property
    def verdict(self) -> ProofVerdict:
        """Of a twin: proven where the symptom went, or stayed, as expected.

        What a twin showed while the machine stood still refutes nothing.
        """
        verdict = self.proof.verdict
        if self.trial.twin and verdict is ProofVerdict.REFUTED and is_excused(self.case.proof):
            return ProofVerdict.INCOMPLETE
        return verdict

    @property
    def symptom(self) -> str:
        """The share of requests (or traces) that suffered in the crime, in words."""
        return self._measured(self.trial.scenario.symptom.measured)

    @property
    def truth(self) -> str:
        """The share of affected traces that show the truth, in words."""
        return self._measured("truth found")

    @property
    def worst(self) -> str:
        """The first finding that does not hold with both its numbers."""
        for outcome in (Outcome.FAILS, Outcome.UNKNOWN):
            for finding in self.proof.findings:
                if finding.outcome is outcome:
                    return f"{finding.check}: {finding.expected}, measured {finding.measured}"
        return "all hold"

    def _measured(self, words: str) -> str:
        found = [each for each in self.proof.findings if _is_about(each, words)]
        return found[0].measured if found else ""


def trials(
    scenarios: Iterable[Scenario], *, twins: bool, shuffle: int | None = None
) -> tuple[Trial, ...]:
    """Each scenario once, and its twins with it; in an order that ``shuffle`` decides."""
    found = list(_trials(scenarios, twins=twins))
    if shuffle is not None:
        random.Random(shuffle).shuffle(found)  # noqa: S311 — an order is no secret
    return tuple(found)


def _trials(scenarios: Iterable[Scenario], *, twins: bool) -> Iterator[Trial]:
    for scenario in scenarios:
        yield Trial(scenario)
        if twins:
            yield from (Trial(scenario, twin) for twin in twins_of(scenario))


def _is_about(finding: Finding, words: str) -> bool:
    return finding.step is Step.CRIME and words in finding.check
