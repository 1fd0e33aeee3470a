"""Who keeps others alive is killed: the run says so, and `lab up` makes a whole stack again."""

from __future__ import annotations

import os
import signal

import psutil
import pytest

from lab.domain.journal import Ending
from lab.domain.proof import Outcome
from lab.shop.topology import SERVICES
from tests.adversity.scene import Scene
from tests.support.warden_parts import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def test_a_service_that_crashes_makes_the_run_incomplete(scene: Scene) -> None:
    """The shop starts it anew, and the run names it."""
    run = scene.start_until("crime")
    kill(scene.pid("payments"))
    assert "payments" in scene.incomplete(run, "parts restarted").measured
    scene.assert_as_before(Ending.COMPLETED)


def test_a_shop_whose_parent_is_killed_comes_back_whole(scene: Scene) -> None:
    """No service outlives it on its port; after `lab up` each of them is a new one."""
    before = scene.pids()
    run = scene.start_until("crime")
    kill(scene.pid("shop"))
    assert scene.incomplete(run, "parts restarted").outcome is not Outcome.HOLDS
    scene.up()
    after = scene.pids()
    assert after["shop"] != before["shop"]
    assert all(after[name] != before[name] for name in SERVICES)
    scene.assert_as_before(Ending.COMPLETED)


@pytest.mark.adversity_full  # Without a run, tests/e2e/test_stack_local.py does the same.
def test_a_stack_whose_supervisor_is_killed_is_made_anew(scene: Scene) -> None:
    """A run that lost it is no proof; `lab up` ends what it left and starts a whole stack."""
    run = scene.start_until("crime")
    before = set(scene.pids().values())
    (supervisor,) = (pid for pid, name in scene.supervised().items() if name == "supervisord")
    kill(supervisor)
    assert scene.incomplete(run, "parts restarted").outcome is not Outcome.HOLDS
    scene.up()
    assert not before & set(scene.pids().values())
    wait_until(lambda: not any(psutil.pid_exists(pid) for pid in before if pid), "no orphan")
    scene.assert_as_before(Ending.COMPLETED)


def test_afterwards_a_run_is_proven(scene: Scene) -> None:
    """Nothing of a killed keeper stands in the way of the next run."""
    scene.prove()
