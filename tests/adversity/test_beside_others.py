"""Other programs take all the machine has: a run proves its case or says why it cannot."""

from __future__ import annotations

import json

import psutil
import pytest

from lab.domain.journal import Ending
from lab.domain.proof import Outcome, ProofVerdict
from lab.investigation.running.integrity import STRAINED
from tests.adversity.scene import QUICK, Scene
from tests.support.busy_machine import others_at_work
from tests.support.lab_under_test import PROOF_WITHIN_S, LabUnderTest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(PROOF_WITHIN_S)]

CORE_WITHIN_S = 2700
"""Six cases, each tried three times at most, and a minute's wait before each further try."""

LEAST_OTHERS = 0.15
"""Of all processors, what as many busy processes get at least beside a shop and its load."""


def test_a_run_beside_others_is_not_refuted_and_says_what_they_took(scene: Scene) -> None:
    """Its journal has their share of every window; a verdict it has not has it as its reason."""
    with others_at_work(PROOF_WITHIN_S):
        run = scene.start()
        code = run.finish()
    record = scene.record()
    assert record.is_case, run.said
    proof = scene.archive.load(record.case_id).proof
    closed = [each.data for each in record.entries if each.event == "window closed"]
    assert len(closed) == 3
    assert all(each["processors_others"] > LEAST_OTHERS for each in closed), closed
    assert proof.verdict is not ProofVerdict.REFUTED, "\n".join(map(str, proof.findings))
    if proof.verdict is ProofVerdict.INCOMPLETE:
        strained = [each for each in proof.findings if each.check == STRAINED]
        assert any(each.outcome is Outcome.FAILS for each in strained), proof.findings
        assert all("others took" in each.measured for each in strained)
    else:
        assert code == 0, run.said
    scene.assert_as_before(Ending.COMPLETED)


def test_tempo_gives_way_to_whatever_is_measured(scene: Scene) -> None:
    """It alone runs at a lower priority, so that finishing a block takes nothing from the shop."""
    niceness = {name: psutil.Process(pid).nice() for name, pid in scene.pids().items() if pid}
    own = psutil.Process().nice()
    assert {name for name, nice in niceness.items() if nice > own} == {"tempo"}


@pytest.mark.adversity_full
@pytest.mark.timeout(CORE_WITHIN_S + 60)
def test_no_core_case_is_refuted_beside_others(lab: LabUnderTest) -> None:
    """`lab verify` comes to its end: each is proven, or incomplete with the machine's numbers."""
    with others_at_work(CORE_WITHIN_S):
        done = lab.run("verify", "--tier", "core", "--json", timeout_s=CORE_WITHIN_S)
    rows = json.loads(done.stdout)
    assert len(rows) >= 6
    assert {row["verdict"] for row in rows} <= {"proven", "incomplete"}, done.stdout
    for row in rows:
        assert row["scenario"] != QUICK
        failed = [each for each in row["proof"] if each["check"] == STRAINED]
        if row["verdict"] == "incomplete":
            assert any(each["outcome"] == "fails" for each in failed), row
            assert all("%" in each["measured"] for each in failed), failed
    assert done.returncode == (2 if any(row["verdict"] == "incomplete" for row in rows) else 0)
