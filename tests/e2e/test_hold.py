"""A hold on real parts: the case's harm comes back, and `lab heal` ends both."""

from __future__ import annotations

import pytest

from lab import bootstrap
from tests.e2e.conftest import HeldRun
from tests.support.lab_under_test import PROOF_WITHIN_S, LabUnderTest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(PROOF_WITHIN_S + 60)]


def test_heal_ends_a_hold(lab: LabUnderTest, held_run: HeldRun) -> None:
    """After the proof the harm is back; `lab heal` takes it, and the run ends as it was proven."""
    scenario = bootstrap.scenarios(lab.settings)["slow-shelves"]
    assert held_run.hurt_while_held == {fault.edge for fault in scenario.faults}
    assert held_run.healed.returncode == 0, held_run.healed.stderr
    assert held_run.lease_after_heal is None
    assert held_run.hurt_after_heal == set()
    assert held_run.returncode == 0, held_run.printed


def test_a_case_without_errors_is_looked_for_among_the_slow(held_run: HeldRun) -> None:
    """What to look at next fits the case: nothing failed here, so the slowest come first."""
    assert "lab traces --slowest" in held_run.printed.replace(".venv/bin/", "")
