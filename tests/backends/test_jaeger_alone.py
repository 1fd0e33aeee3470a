"""The lab without Tempo: the core cases proven with ``STORE=jaeger``."""

from __future__ import annotations

from collections.abc import Iterator

import psutil
import pytest

from lab import bootstrap
from lab.domain.proof import ProofVerdict
from lab.domain.twin import Tier
from lab.settings import Settings
from tests.support.lab_under_test import PROOF_WITHIN_S, LabUnderTest, lab_up

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(PROOF_WITHIN_S + 60)]

CORE = tuple(
    sorted(name for name, each in bootstrap.scenarios(Settings()).items() if each.tier is Tier.CORE)
)
OPENS_WITHIN_S = 8.0
"""After the last window, on a machine that has nothing else to do."""


@pytest.fixture(scope="module")
def alone(jaeger: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabUnderTest]:
    """The stack with Jaeger in Tempo's place."""
    with lab_up(tmp_path_factory.mktemp("lab") / ".lab", STORE="jaeger") as up:
        yield up


@pytest.mark.parametrize("name", CORE)
def test_a_core_case_is_proven_by_it(alone: LabUnderTest, name: str) -> None:
    """All findings hold, and the case is open some seconds after its last window."""
    finished = alone.run("verify", name, timeout_s=PROOF_WITHIN_S)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    archive = bootstrap.archive(alone.settings)
    case = archive.load(None)
    assert case.scenario.id == name
    assert case.proof.verdict is ProofVerdict.PROVEN
    entries = archive.run_record(case.case_id).entries
    closed_s = max(each.monotonic_s for each in entries if each.event == "window closed")
    busy = psutil.getloadavg()[0] / (psutil.cpu_count() or 1)
    assert entries[-1].monotonic_s - closed_s <= OPENS_WITHIN_S * max(busy, 1.0)


def test_no_tempo_runs_and_none_is_asked_for(alone: LabUnderTest) -> None:
    """Neither as a part nor among the tools that are needed."""
    names = {part["name"] for part in alone.json("status")["parts"]}
    assert "jaeger" in names
    assert "tempo" not in names
    assert "tempo" not in {tool["name"] for tool in alone.json("tools")["tools"]}
    assert alone.settings.store == "jaeger"
