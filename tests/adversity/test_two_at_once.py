"""Somebody else wants the lab too, or the whole machine falls asleep: the run comes first."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable

import pytest

from lab.domain.journal import Ending
from tests.adversity.scene import Scene

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

SLEEP_S = 30
"""Ten times what a lease lives."""


def test_a_second_run_and_a_down_are_refused_and_change_nothing(scene: Scene) -> None:
    """Both are told who is at work; that one goes on as if nobody had asked."""
    first = scene.start_until("settle")
    stack = scene.pids()
    for words in (("run", "quick"), ("down",), ("clean", "--yes")):
        refused = scene.lab.run(*words)
        assert refused.returncode == 2, words
        assert "`lab run quick`" in refused.stderr, words
        assert f"pid {first.process.pid}" in refused.stderr, words
    assert scene.pids() == stack
    assert first.process.poll() is None
    first.process.send_signal(signal.SIGINT)
    assert first.finish() == 130
    scene.assert_as_before(Ending.INTERRUPTED)


@pytest.mark.adversity_full
def test_a_stack_forced_down_leaves_its_run_without_a_verdict(scene: Scene) -> None:
    """`lab down --force` takes stack and harm away; the run says that it proves nothing."""
    run = scene.start_until("crime")
    stack = scene.pids()
    forced = scene.lab.run("down", "--force")
    assert forced.returncode == 0, forced.stderr
    ending = scene.without_verdict(run)
    assert ending in (Ending.COMPLETED, Ending.DEVIATED)
    scene.up()
    assert not set(stack.values()) & set(scene.pids().values())
    scene.assert_as_before(ending)


@pytest.mark.parametrize(
    "phase", ["crime", pytest.param("reference", marks=pytest.mark.adversity_full)]
)
def test_a_machine_that_slept_gives_no_verdict(scene: Scene, phase: str) -> None:
    """Everything stops for half a minute and goes on: the lease is gone, nothing is left."""
    run = scene.start_until(phase)
    everything = [run.process.pid, *(each.pid for each in run.family()), *scene.supervised()]
    send(signal.SIGSTOP, everything)
    try:
        time.sleep(SLEEP_S)
    finally:
        send(signal.SIGCONT, everything)
    ending = scene.without_verdict(run)
    assert ending in (Ending.COMPLETED, Ending.DEVIATED)
    scene.assert_as_before(ending)


def send(number: signal.Signals, pids: Iterable[int]) -> None:
    for pid in pids:
        os.kill(pid, number)


def test_afterwards_a_run_is_proven(scene: Scene) -> None:
    """Nothing that came between stands in the way of the next run."""
    scene.prove()
