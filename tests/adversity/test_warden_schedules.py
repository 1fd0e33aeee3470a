"""Scheduled faults on real parts: nobody need keep them going, and no death lets one stay."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from tests.support.busy_machine import quickest
from tests.support.warden_lab import WardenLab, adds_toxic, removes_toxic, warden_lab
from tests.support.warden_parts import wait_until

EDGE = "auth-users_db"


def wish(ttl_s: float = 30.0, **schedule: float) -> dict[str, Any]:
    """One scheduled fault, and a changed setting."""
    fault = {"edge": EDGE, "toxic": "latency", "attributes": {"latency": 80}, "schedule": schedule}
    return {
        "holder": "a run",
        "faults": [fault],
        "conditions": {"checkout.pool_size": 2},
        "ttl_s": ttl_s,
        "seed": 7,
    }


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WardenLab]:
    with warden_lab(tmp_path) as lab:
        yield lab


def take(lab: WardenLab, asked: dict[str, Any]) -> str:
    lease: str = lab.ask("POST", "/leases", json=asked).raise_for_status().json()["lease_id"]
    return lease


def is_on(lab: WardenLab) -> bool:
    return bool(lab.toxiproxy.edges().get(EDGE, {}).get("toxics"))


def switches(lab: WardenLab) -> list[bool]:
    return [entry["is_on"] for entry in lab.journal() if entry["event"] == "switched"]


def assert_stays_clean(lab: WardenLab, seconds: float) -> None:
    """Beyond the moment at which a schedule that nobody ended would have struck again."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        lab.assert_clean()
        time.sleep(0.05)


def test_a_warden_killed_while_a_scheduled_fault_is_on(lab: WardenLab) -> None:
    """Its successor removes it, and does not go on with the schedule."""
    take(lab, wish(start_s=0.3, on_s=2.0, every_s=2.5))
    wait_until(lambda: is_on(lab), "the fault to come")
    lab.kill_warden()
    assert is_on(lab), "nobody is left to switch it off"
    lab.start_warden()
    assert_stays_clean(lab, 3.0)


def test_a_warden_killed_while_a_scheduled_fault_is_off(lab: WardenLab) -> None:
    """The lease on disk names what has yet to come; with the warden the schedule ends."""
    take(lab, wish(start_s=2.0))
    assert lab.keeper.overlays["checkout"]
    lab.kill_warden()
    assert not is_on(lab)
    assert EDGE in lab.lease_file.read_text()
    lab.start_warden()
    assert_stays_clean(lab, 2.5)


@pytest.mark.parametrize(
    ("call", "moment"), [(adds_toxic, "before"), (adds_toxic, "after"), (removes_toxic, "after")]
)
def test_a_warden_killed_in_the_middle_of_a_switch(lab: WardenLab, call: Any, moment: str) -> None:
    """Between the decision and the call, or between the call and the read-back."""
    setattr(lab.tarpit, moment, call)
    take(lab, wish(start_s=0.2, on_s=0.5))
    assert lab.tarpit.reached.wait(15)
    lab.kill_warden()
    setattr(lab.tarpit, moment, lambda _: False)
    lab.start_warden()
    lab.assert_clean()


@pytest.mark.parametrize("call", [adds_toxic, removes_toxic])
def test_a_warden_told_to_stop_in_the_middle_of_a_switch(lab: WardenLab, call: Any) -> None:
    """What it cannot read back any more counts as done, so that it is undone."""
    lab.tarpit.after = call
    take(lab, wish(start_s=0.2, on_s=0.5))
    assert lab.tarpit.reached.wait(15)
    lab.tarpit.after = lambda _: False
    lab.processes[-1].terminate()
    lab.processes[-1].wait(15)
    lab.assert_clean()


def test_a_schedule_goes_on_without_its_holder(lab: WardenLab) -> None:
    """No heartbeat and no question: it comes and goes until the lease has run out, no longer."""
    take(lab, wish(ttl_s=5.0, start_s=0.5, on_s=1.0, every_s=2.0))
    seen = []
    while lab.lease_file.exists():
        seen.append(is_on(lab))
        time.sleep(0.05)
    assert [on for on, _ in groupby(seen)][:5] == [False, True, False, True, False]
    assert switches(lab)[:4] == [True, False, True, False]
    wait_until(lambda: lab.journal()[-1]["event"] == "removed", "the removal's record")
    assert_stays_clean(lab, 2.5)


def test_a_lease_runs_out_while_its_fault_is_on(lab: WardenLab) -> None:
    """All of it, the setting too, is gone a second after the time to live."""

    async def run_out() -> float:
        take(lab, wish(ttl_s=1.0, start_s=0.2, on_s=60.0))
        held_s = time.monotonic()
        wait_until(lambda: is_on(lab), "the fault to come")
        wait_until(lambda: not lab.lease_file.exists(), "the lease to run out")
        gone_s = time.monotonic()
        wait_until(lambda: lab.journal()[-1]["event"] == "removed", "the removal's record")
        lab.assert_clean()
        return gone_s - held_s

    assert asyncio.run(quickest(run_out, below_s=2.0)) < 2.0


def test_a_control_api_that_hangs_when_a_switch_is_due(lab: WardenLab) -> None:
    """The lease ends at once, its holder learns of it, and Toxiproxy is restarted."""
    lease = take(lab, wish(start_s=0.2, on_s=1.0))
    wait_until(lambda: is_on(lab), "the fault to come")
    os.kill(lab.toxiproxy.pid, signal.SIGSTOP)
    wait_until(lambda: not lab.lease_file.exists(), "the lease to end", within_s=30)
    wait_until(lambda: lab.journal()[-1]["event"] == "removed", "the removal's record")
    assert "could not be switched" in lab.journal()[-1]["why"]
    assert lab.journal()[-1]["method"] == "restart"
    answer = lab.ask("PUT", f"/leases/{lease}/heartbeat")
    assert answer.status_code == 404
    assert "could not be switched" in answer.json()["message"]
    lab.assert_clean()


def test_a_toxiproxy_that_lost_a_fault_that_is_on(lab: WardenLab) -> None:
    """A look sees that it is due and not there; switching it off finds nothing to do."""
    lease = take(lab, wish(start_s=0.2, on_s=2.0))
    # Toxiproxy has it a moment before the warden has read it back, and until then it must not go.
    wait_until(lambda: switches(lab) == [True], "the fault to come")
    lab.toxiproxy.reset()
    seen = lab.ask("GET", f"/leases/{lease}/edges").raise_for_status().json()
    assert [fault["edge"] for fault in seen["on"]] == [EDGE]
    assert seen["edges"][EDGE]["toxics"] == []
    wait_until(lambda: switches(lab) == [True, False], "the fault to be switched off")
    removal = lab.ask("DELETE", f"/leases/{lease}").raise_for_status().json()
    assert (removal["faults"], removal["proven_clean"]) == ([], True)
    assert [switch["is_on"] for switch in removal["switches"]] == [True, False]
