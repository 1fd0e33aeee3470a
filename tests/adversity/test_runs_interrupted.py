"""Whatever ends a run in whichever phase: no harm, no process, and a journal that says so."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from contextlib import suppress

import psutil
import pytest

from lab.domain.journal import Ending
from tests.adversity.scene import PHASES, Run, Scene

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]

CORE = {
    ("ctrl-c", "evidence"),
    ("sigterm", "settle"),
    ("hangup", "crime"),
    ("kill -9", "preflight"),
    ("kill -9", "crime"),
}
"""Each way once, and each kind of phase; the rest is the same code at another moment.

Ctrl-C comes twice in `test_a_second_ctrl_c_does_not_wait_for_a_warden_that_hangs`.
"""


def ctrl_c(run: Run) -> int:
    """Once: it cleans up and says that it was interrupted."""
    run.process.send_signal(signal.SIGINT)
    return run.finish()


def ctrl_c_twice(run: Run) -> int:
    """Again, while it cleans up: it ends at once."""
    assert run.process.stderr is not None
    run.process.send_signal(signal.SIGINT)
    for line in run.process.stderr:
        if "cleaning up" in line:
            run.process.send_signal(signal.SIGINT)
    return run.process.wait(10)


def sigterm(run: Run) -> int:
    run.process.send_signal(signal.SIGTERM)
    return run.finish()


def hangup(run: Run) -> int:
    """Close its terminal, as whoever closes the window does."""
    assert run.process.stderr is not None
    run.process.stderr.close()
    return run.process.wait(30)


def kill(run: Run) -> int:
    run.process.kill()
    return run.process.wait(10)


WAYS = {
    "ctrl-c": (ctrl_c, {130}),
    # Where nothing is left to clean up when the second comes, it was too late.
    "ctrl-c twice": (ctrl_c_twice, {130, -signal.SIGINT}),
    "sigterm": (sigterm, {143}),
    "hangup": (hangup, {129}),
    "kill -9": (kill, {-signal.SIGKILL}),
}

EVERY = [
    pytest.param(way, phase, marks=[] if (way, phase) in CORE else pytest.mark.adversity_full)
    for way in WAYS
    for phase in PHASES
]


def start(scene: Scene, way: str) -> Run:
    """A run; one that is to lose its terminal is given one first."""
    if way != "hangup":
        return scene.start()
    ours, its = pty.openpty()
    environment = {**scene.lab.environment, "TERM": "dumb"}
    run = scene.start(
        env=environment, stdout=None, stderr=None, preexec_fn=lambda: os.login_tty(its)
    )
    os.close(its)
    run.process.stderr = os.fdopen(ours, encoding="utf-8")
    return run


@pytest.mark.parametrize(("way", "phase"), EVERY)
def test_a_run_that_is_ended_takes_everything_with_it(scene: Scene, way: str, phase: str) -> None:
    """Ended in any phase, it leaves clean edges, the stack as it was, and an honest journal."""
    end, codes = WAYS[way]
    stack_before = scene.pids()
    run = start(scene, way)
    run.reach(phase)
    family = run.family()
    assert end(run) in codes, run.said
    assert "Traceback" not in "".join(run.said)
    _, alive = psutil.wait_procs(family, timeout=15)
    assert alive == []
    scene.assert_as_before(Ending.INTERRUPTED)
    assert scene.pids() == stack_before


def test_a_second_ctrl_c_does_not_wait_for_a_warden_that_hangs(scene: Scene) -> None:
    """The user gets the prompt back at once; the harm goes with its lease."""
    run = scene.start_until("crime")
    warden = scene.pid("warden")
    os.kill(warden, signal.SIGSTOP)
    try:
        run.process.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            run.process.wait(2)
        assert run.process.poll() is None, "it should still wait for the warden"
        run.process.send_signal(signal.SIGINT)
        assert run.process.wait(5) == -signal.SIGINT
    finally:
        os.kill(warden, signal.SIGCONT)
    scene.assert_as_before(Ending.INTERRUPTED)


@pytest.mark.adversity_full
def test_a_run_without_a_terminal_survives_its_hangup(scene: Scene) -> None:
    """Under `nohup` a closed terminal ends nothing."""
    run = scene.start(preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    run.reach("settle")
    run.process.send_signal(signal.SIGHUP)
    run.reach("reference")
    run.process.send_signal(signal.SIGINT)
    assert run.finish() == 130
    scene.assert_as_before(Ending.INTERRUPTED)


def test_afterwards_a_run_is_proven(scene: Scene) -> None:
    """Nothing that ended a run stands in the way of the next one."""
    scene.prove()
