import pytest

from lab.domain.journal import Step
from lab.domain.proof import Finding, Outcome, Proof, ProofVerdict


def proof(*outcomes: Outcome, integrity: Outcome = Outcome.HOLDS) -> Proof:
    findings = [Finding(Step.CRIME, "check", "", "", outcome) for outcome in outcomes]
    return Proof((*findings, Finding(Step.EVIDENCE, "run", "", "", integrity, integrity=True)))


@pytest.mark.parametrize(
    ("outcomes", "integrity", "verdict", "exit_code"),
    [
        ([Outcome.HOLDS], Outcome.HOLDS, ProofVerdict.PROVEN, 0),
        ([Outcome.HOLDS, Outcome.FAILS], Outcome.HOLDS, ProofVerdict.REFUTED, 1),
        ([Outcome.UNKNOWN, Outcome.FAILS], Outcome.HOLDS, ProofVerdict.REFUTED, 1),
        ([Outcome.HOLDS, Outcome.UNKNOWN], Outcome.HOLDS, ProofVerdict.INCOMPLETE, 2),
        ([Outcome.FAILS], Outcome.FAILS, ProofVerdict.INCOMPLETE, 2),
        ([Outcome.HOLDS], Outcome.UNKNOWN, ProofVerdict.INCOMPLETE, 2),
    ],
)
def test_distrust_comes_before_refutation_and_refutation_before_doubt(
    outcomes: list[Outcome], integrity: Outcome, verdict: ProofVerdict, exit_code: int
) -> None:
    judged = proof(*outcomes, integrity=integrity)
    assert judged.verdict is verdict
    assert judged.verdict.exit_code == exit_code


def test_a_proof_without_findings_proves_nothing() -> None:
    assert Proof(()).verdict is ProofVerdict.INCOMPLETE


def test_findings_are_counted_and_added() -> None:
    more = proof(Outcome.FAILS).with_findings(proof(Outcome.FAILS).findings)
    assert (more.count(Outcome.FAILS), more.count(Outcome.HOLDS)) == (2, 2)
