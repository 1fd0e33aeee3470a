"""Ctrl-C at any phase: no toxic, no process of the run, and the stack's own untouched."""

from __future__ import annotations

import signal
import subprocess
import time

import anyio
import httpx
import psutil
import pytest

from lab import bootstrap
from tests.e2e.conftest import LabUnderTest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

PHASES = ("preflight", "settle", "reference", "crime", "recovery", "evidence")


def _wait_for_phase(run: subprocess.Popen[str], phase: str) -> None:
    """Read the run's plain progress until it says it is in ``phase``."""
    assert run.stderr is not None
    deadline = time.monotonic() + 90
    for line in run.stderr:
        if line.split()[1:2] == [phase]:
            return
        assert time.monotonic() < deadline, line
    raise AssertionError(f"the run ended before {phase}")


async def _is_clean(lab: LabUnderTest) -> bool:
    async with bootstrap.lab(lab.settings) as parts:
        edges = await parts.warden.edges()
        return await parts.warden.current() is None and all(
            state.is_clean for state in edges.values()
        )


@pytest.mark.parametrize("phase", PHASES)
def test_ctrl_c_leaves_a_clean_shop(lab: LabUnderTest, phase: str) -> None:
    """Interrupted in any phase, a run takes its harm and its processes with it."""
    stack_before = lab.processes()
    run = lab.start("run", "db-timeout")
    try:
        _wait_for_phase(run, phase)
        family = psutil.Process(run.pid).children(recursive=True)
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=25)
    finally:
        run.kill()
    assert run.returncode == 130
    _, alive = psutil.wait_procs(family, timeout=3)
    assert alive == []
    assert anyio.run(_is_clean, lab)
    assert lab.processes() == stack_before


def test_a_killed_run_is_cleaned_up_by_its_lease(lab: LabUnderTest) -> None:
    """`kill -9` in the crime: the lease runs out, and the harm goes with it."""
    run = lab.start("run", "db-timeout")
    try:
        _wait_for_phase(run, "crime")
        time.sleep(1)
        family = psutil.Process(run.pid).children(recursive=True)
    finally:
        run.kill()
        run.communicate()
    _, alive = psutil.wait_procs(family, timeout=15)
    assert alive == []
    deadline = time.monotonic() + 15
    while not anyio.run(_is_clean, lab):
        assert time.monotonic() < deadline, "the harm outlived its lease"
        time.sleep(0.3)


def test_a_second_run_changes_nothing(lab: LabUnderTest) -> None:
    """While a run is active, another says so and ends; the first goes on."""
    first = lab.start("run", "card-declined")
    try:
        _wait_for_phase(first, "settle")
        second = lab.run("run", "db-timeout")
        assert second.returncode == 2
        assert "lab run card-declined" in second.stderr
        assert first.poll() is None
    finally:
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=25)


def test_a_dirty_shop_is_refused_with_the_way_out(lab: LabUnderTest) -> None:
    """A toxic that nobody leased stops a run before it starts; `lab heal` ends it."""
    toxics = f"{lab.settings.url('toxiproxy')}/proxies/payments-bank/toxics"
    toxic = {"type": "latency", "attributes": {"latency": 10}}
    httpx.post(toxics, json=toxic, timeout=5).raise_for_status()
    refused = lab.run("run", "db-timeout")
    assert refused.returncode == 2
    assert "lab heal" in refused.stderr
    assert "payments-bank" not in refused.stderr + refused.stdout
    healed = lab.run("heal", "--reveal")
    assert healed.returncode == 0
    assert "payments-bank" in healed.stdout
    assert lab.json("heal")["removed"] == 0
    assert httpx.get(toxics, timeout=5).json() == []
