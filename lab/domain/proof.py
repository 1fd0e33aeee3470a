"""Findings and the three-valued verdict they add up to."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from lab.domain.journal import Step
from lab.frozen import dataclass


class Outcome(StrEnum):
    """What one check came to."""

    HOLDS = "holds"
    FAILS = "fails"
    UNKNOWN = "unknown"


class ProofVerdict(StrEnum):
    """What all checks came to; *incomplete* is an answer, never a guess."""

    PROVEN = "proven"
    REFUTED = "refuted"
    INCOMPLETE = "incomplete"

    @property
    def exit_code(self) -> int:
        """0 proven, 1 refuted, 2 incomplete."""
        return {"proven": 0, "refuted": 1, "incomplete": 2}[self.value]


@dataclass(frozen=True, slots=True)
class Finding:
    """One check of the proof with its numbers.

    An ``integrity`` finding says whether the run can be trusted at all (nothing
    lost, nothing restarted, no stranger's toxic): where one does not hold, the case
    is *incomplete*, whatever the others say.
    """

    step: Step
    check: str
    expected: str
    measured: str
    outcome: Outcome
    integrity: bool = False


@dataclass(frozen=True, slots=True)
class Proof:
    """All findings of a run, in the order of its steps."""

    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> ProofVerdict:
        """Proven only if every finding holds; distrust of the run comes before refutation."""
        distrusted = any(f.integrity and f.outcome is not Outcome.HOLDS for f in self.findings)
        if distrusted or not self.findings:
            return ProofVerdict.INCOMPLETE
        outcomes = {finding.outcome for finding in self.findings}
        if Outcome.FAILS in outcomes:
            return ProofVerdict.REFUTED
        if Outcome.UNKNOWN in outcomes:
            return ProofVerdict.INCOMPLETE
        return ProofVerdict.PROVEN

    def count(self, outcome: Outcome) -> int:
        """How many findings came to ``outcome``."""
        return sum(finding.outcome is outcome for finding in self.findings)

    def with_findings(self, more: Iterable[Finding]) -> Proof:
        """This proof and more findings."""
        return Proof((*self.findings, *more))
