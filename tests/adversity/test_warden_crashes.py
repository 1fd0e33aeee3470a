"""The warden is killed, on real parts, in every phase of a lease; no fault outlives it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.adapters.harm_mark import HarmMarkFile
from tests.support.busy_machine import quickest
from tests.support.warden_lab import WISH, WardenLab, adds_toxic, removes_toxic, warden_lab
from tests.support.warden_parts import wait_until


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[WardenLab]:
    with warden_lab(tmp_path) as lab:
        yield lab


def test_a_warden_killed_while_a_lease_is_held(lab: WardenLab) -> None:
    """Its successor removes toxic, cut and setting before it is ready."""
    lab.take()
    assert not lab.toxiproxy.is_clean()
    assert lab.keeper.overlays["checkout"] == {"SHOP_POOL_SIZE": "2"}
    assert stat.S_IMODE(lab.lease_file.stat().st_mode) == 0o600
    lab.kill_warden()
    assert not lab.toxiproxy.is_clean(), "nobody is left to remove it"
    lab.start_warden()
    lab.assert_clean()


def test_a_warden_killed_between_the_write_ahead_and_the_call(lab: WardenLab) -> None:
    """The file names a toxic that never came to be; the settings that did go again."""
    lab.tarpit.before = adds_toxic
    lab.ask_in_vain("POST", "/leases", json=WISH)
    assert lab.tarpit.reached.wait(15)
    assert json.loads(lab.lease_file.read_text())["state"] == "applying"
    lab.kill_warden()
    assert lab.keeper.overlays["checkout"]
    lab.start_warden()
    lab.assert_clean()


def test_a_warden_killed_between_the_call_and_the_read_back(lab: WardenLab) -> None:
    """The toxic is there although nobody saw it succeed."""
    lab.tarpit.after = adds_toxic
    lab.ask_in_vain("POST", "/leases", json=WISH)
    assert lab.tarpit.reached.wait(15)
    lab.kill_warden()
    assert not lab.toxiproxy.is_clean()
    lab.start_warden()
    lab.assert_clean()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_warden_killed_while_removing(lab: WardenLab, moment: str) -> None:
    """Before or after the toxic went: its successor finishes the removal."""
    lease = lab.take()
    setattr(lab.tarpit, moment, removes_toxic)
    lab.ask_in_vain("DELETE", f"/leases/{lease}")
    assert lab.tarpit.reached.wait(15)
    assert json.loads(lab.lease_file.read_text())["state"] == "removing"
    lab.kill_warden()
    setattr(lab.tarpit, moment, lambda _: False)
    lab.start_warden()
    lab.assert_clean()


def test_a_warden_killed_after_the_safety_lever(lab: WardenLab) -> None:
    """Its successor gives no lease; nor does one whose forerunner never heard of the lever."""
    lab.take()
    assert lab.ask("PUT", "/no-harm").json()["proven_clean"]
    lab.assert_clean()
    lab.kill_warden()
    lab.start_warden()
    refusal = lab.ask("POST", "/leases", json=WISH)
    assert (refusal.status_code, refusal.json()["error"]) == (423, "HarmStopped")
    assert lab.ask("DELETE", "/no-harm").is_success
    lab.take()
    lab.kill_warden()
    HarmMarkFile(lab.folder).set()
    lab.start_warden()
    lab.assert_clean()
    assert lab.ask("POST", "/leases", json=WISH).status_code == 423


def test_a_client_that_dies(lab: WardenLab) -> None:
    """No heartbeat comes, and everything is gone a second after the time to live."""

    async def run_out() -> float:
        asked_s = time.monotonic()
        lab.ask("POST", "/leases", json={**WISH, "ttl_s": 1.0}).raise_for_status()
        held_s = time.monotonic()
        wait_until(lambda: not lab.lease_file.exists(), "the lease to run out")
        gone_s = time.monotonic()
        assert gone_s - asked_s >= 1.0
        wait_until(lambda: lab.journal()[-1]["event"] == "removed", "the removal's record")
        lab.assert_clean()
        return gone_s - held_s

    assert asyncio.run(quickest(run_out, below_s=2.0)) < 2.0


def test_a_warden_told_to_stop(lab: WardenLab) -> None:
    """SIGTERM ends the lease on the way out."""
    lab.take()
    lab.processes[-1].terminate()
    lab.processes[-1].wait(15)
    lab.assert_clean()


def test_a_second_warden(lab: WardenLab) -> None:
    """It finds the port taken and leaves the first one's lease alone."""
    lab.take()
    lab.spawn_warden()
    assert lab.processes[-1].wait(15) != 0
    assert lab.ask("GET", "/leases/current").json()["state"] == "held"
    assert not lab.toxiproxy.is_clean()


def test_a_control_api_that_hangs(lab: WardenLab) -> None:
    """A stopped Toxiproxy answers neither removal nor reset, so it is restarted."""
    lease = lab.take()
    os.kill(lab.toxiproxy.pid, signal.SIGSTOP)
    removal = lab.ask("DELETE", f"/leases/{lease}").raise_for_status().json()
    assert (removal["method"], removal["proven_clean"]) == ("restart", True)
    lab.assert_clean()
    assert lab.journal()[-1]["method"] == "restart"


def test_a_removal_that_hangs_alone(lab: WardenLab) -> None:
    """Where only the removal of a toxic hangs, `/reset` is enough."""
    lease = lab.take()
    lab.tarpit.before = removes_toxic
    removal = lab.ask("DELETE", f"/leases/{lease}").raise_for_status().json()
    assert (removal["method"], removal["proven_clean"]) == ("reset", True)
    lab.assert_clean()


def test_a_toxiproxy_that_dies_under_a_lease(lab: WardenLab) -> None:
    """The warden waits for it to come back, and takes nothing from the new one."""
    lab.kill_warden()
    lab.tarpit_port = lab.toxiproxy.port  # a tarpit would accept in a dead Toxiproxy's place
    lab.start_warden()
    lease = lab.take()
    lab.toxiproxy.kill()
    threading.Timer(1.0, lab.toxiproxy.start).start()
    removal = lab.ask("DELETE", f"/leases/{lease}").raise_for_status().json()
    assert removal["proven_clean"]
    lab.assert_clean()


def test_a_setting_that_a_service_cannot_start_with(lab: WardenLab) -> None:
    """The refusal carries the service's last words, and nothing is left."""
    lab.keeper.refuses = True
    answer = lab.ask("POST", "/leases", json=WISH)
    assert answer.status_code == 422
    assert "boom" in answer.json()["message"]
    lab.assert_clean()
