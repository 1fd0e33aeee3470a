"""Prove many cases and their twins: what to run, what came of it, what still counts."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from lab.domain.case import Case
from lab.domain.evidence import Evidence
from lab.domain.journal import Ending, Step
from lab.domain.proof import Finding, Outcome, Proof, ProofVerdict
from lab.domain.scenario import Scenario
from lab.domain.twin import Twin
from lab.errors import MachineStrained
from lab.frozen import dataclass
from lab.investigation.proof.but_for import twin_finding, twin_scenario, twins_of
from lab.investigation.proof.slowness import twin_by_slowness_alone
from lab.investigation.running.integrity import STRAINED, excused, is_excused, strains_of

NO_CASE: Final = "-"
"""In place of the id of a case that was never opened."""


@dataclass(frozen=True)
class Basis:
    """What a run rests on, each as a digest of what its files say; empty where nobody knows."""

    case: str
    shop: str
    proof: str


@dataclass(frozen=True)
class Row:
    """What one run came to, as a table keeps it; ``commit`` is that of the checkout."""

    run: str
    at_unix_s: int
    commit: str
    basis: Basis
    verdict: ProofVerdict
    symptom: str
    truth: str
    worst: str
    took_s: int

    @classmethod
    def of(cls, result: Result, commit: str, basis: Basis) -> Row:
        """The row of ``result``, which was measured on ``basis``."""
        return cls(
            result.trial.name,
            round(result.case.opened_unix_s),
            commit,
            basis,
            result.verdict,
            result.symptom,
            result.truth,
            result.worst,
            round(result.took_s),
        )

    @property
    def scenario_id(self) -> str:
        """Whose run it was; a twin's name follows after a comma."""
        return self.run.partition(",")[0]

    def changed_since(self, bases: Mapping[str, Basis]) -> tuple[str, ...]:
        """What says something else now, by ``bases`` of each scenario; a case that is gone does."""
        now = bases.get(self.scenario_id)
        return tuple(
            each
            for each in ("case", "shop", "proof")
            if now is None or not getattr(self.basis, each) == getattr(now, each) != ""
        )


def still_missing(
    todo: Iterable[Trial], rows: Sequence[Row], bases: Mapping[str, Basis], *, wanted: int
) -> tuple[Trial, ...]:
    """Each trial as often as it lacks proven rows since its case's own files last changed.

    In rounds, so that a sitting which ends early leaves every case equally far.
    """
    trials = tuple(todo)
    has = {
        trial.name: sum(
            row.run == trial.name
            and row.verdict is ProofVerdict.PROVEN
            and "case" not in row.changed_since(bases)
            for row in rows
        )
        for trial in trials
    }
    return tuple(
        trial for number in range(wanted) for trial in trials if has[trial.name] + number < wanted
    )


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
        return is_excused(Result.of(self, case, 0.0).proof)


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
        proof = case.proof if trial.twin is None else _twin_proof(trial.scenario, trial.twin, case)
        return cls(trial, case, proof, took_s)

    @classmethod
    def of_none(
        cls, trial: Trial, seed: int, error: MachineStrained, at_unix_s: float, took_s: float
    ) -> Result:
        """What is told of a trial whose shop never came to rest: the machine's numbers, no case."""
        strained = Finding(
            Step.SETTLE, STRAINED, error.awaited, error.last_seen, Outcome.FAILS, integrity=True
        )
        case = Case(
            case_id=NO_CASE,
            scenario=trial.to_run,
            seed=seed,
            opened_unix_s=at_unix_s,
            ending=Ending.DEVIATED,
            versions={},
            evidence=Evidence({}, (), {}, {}),
            journal=(),
            proof=Proof((strained,)),
            support_code=None,
        )
        return cls(trial, case, case.proof, took_s)

    def without_evidence(self) -> Result:
        """All that is told of it in the end: the traces of some hundred runs fill a memory."""
        nothing = replace(
            self.case.evidence, requests=(), samples={}, traces={}, records={}, logs=()
        )
        return replace(self, case=replace(self.case, evidence=nothing))

    @property
    def verdict(self) -> ProofVerdict:
        """Of a twin: proven where the symptom went, or stayed, as expected."""
        return self.proof.verdict

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
        """The first finding that decided against it, with both its numbers."""
        findings = self.proof.findings
        if self.verdict is ProofVerdict.INCOMPLETE:  # What fails beside distrust says little.
            findings = tuple(sorted(findings, key=lambda finding: not finding.integrity))
        for outcome in (Outcome.FAILS, Outcome.UNKNOWN):
            for finding in findings:
                if finding.outcome is outcome:
                    return f"{finding.check}: {finding.expected}, measured {finding.measured}"
        return "all hold"

    def _measured(self, words: str) -> str:
        found = [each for each in self.proof.findings if _is_about(each, words)]
        return found[0].measured if found else ""


def _twin_proof(scenario: Scenario, twin: Twin, case: Case) -> Proof:
    """Nothing is asked but the symptom; what it was on a strained machine refutes nothing."""
    finding = twin_finding(scenario, twin, case.evidence)
    if finding.outcome is Outcome.HOLDS:
        return Proof((finding,))
    if is_excused(case.proof):
        strained = [each for each in case.proof.findings if each.check == STRAINED]
        return Proof((finding, *strained))
    slowness = twin_by_slowness_alone(scenario, twin, case.evidence)
    strains = strains_of(case.journal)
    return excused(
        Proof((finding,)), strains, {(Step.CRIME, finding.check): Step.CRIME} if slowness else {}
    )


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
