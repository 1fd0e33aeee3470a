"""A hold on real parts: the case's harm comes back, and `lab heal` ends both."""

from __future__ import annotations

import subprocess
import time

import anyio
import pytest

from lab import bootstrap
from tests.e2e.conftest import LabUnderTest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def _wait_until_held(lab: LabUnderTest, run: subprocess.Popen[str]) -> None:
    assert run.stderr is not None
    # Only then ask: on a small machine, asking all the time would slow the shop under proof.
    assert any("the case is open" in line for line in run.stderr)
    deadline = time.monotonic() + 20
    while True:
        lease = lab.json("status")["lease"]
        if lease is not None and lease["holder"] == "hold" and lease["state"] == "held":
            return
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline, f"no hold, but {lease}"
        time.sleep(0.5)


async def _hurt_edges(lab: LabUnderTest) -> set[str]:
    async with bootstrap.lab(lab.settings) as parts:
        return {name for name, edge in (await parts.warden.edges()).items() if not edge.is_clean}


def test_heal_ends_a_hold(lab: LabUnderTest) -> None:
    """After the proof the harm is back; `lab heal` takes it, and the run ends as it was proven."""
    scenario = bootstrap.scenarios(lab.settings)["slow-shelves"]
    run = lab.start("run", "slow-shelves", "--hold", "60s")
    try:
        _wait_until_held(lab, run)
        assert anyio.run(_hurt_edges, lab) == {fault.edge for fault in scenario.faults}
        healed = lab.run("heal")
        assert healed.returncode == 0, healed.stderr
        assert lab.json("status")["lease"] is None
        assert anyio.run(_hurt_edges, lab) == set()
        printed, _ = run.communicate(timeout=10)
    finally:
        run.kill()
    assert run.returncode == 0, lab.run("proof", "--reveal").stdout
    assert "PROVEN" in printed
    assert "lab traces --slowest" in printed.replace(".venv/bin/", "")
