"""What any machine tells of itself, and that the real one notices when it stood still."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from lab.adapters.machine import ThisMachine
from lab.adapters.memory.machine import MemoryMachine
from lab.ports.machine import Machine

FAMILY = """
import subprocess, sys
busy = "import time; end = time.monotonic() + {}\\nwhile time.monotonic() < end: pass"
short = subprocess.Popen([sys.executable, "-c", busy.format(0.7)])
long = subprocess.Popen([sys.executable, "-c", busy.format(20)])
print(flush=True)
short.wait()
long.wait()
"""

WATCH = """
from lab.adapters.machine import ThisMachine
with ThisMachine().watch() as strain:
    print("watching", flush=True)
    input()
    print(strain().longest_stall_s, flush=True)
"""


@pytest.mark.parametrize("machine", [ThisMachine(), MemoryMachine()], ids=["real", "memory"])
def test_a_strain_is_a_time_and_a_share(machine: Machine) -> None:
    """Seconds that are not negative, and a share between nothing and all."""
    with machine.watch() as strain:
        time.sleep(0.05)
        seen = strain()
    assert seen.longest_stall_s >= 0
    assert 0 <= seen.busy <= 1
    assert seen.processors >= 1


def test_work_of_the_labs_own_is_told_from_that_of_others() -> None:
    """The same two busy processes, once as a family of ours and once as strangers.

    Whatever else runs here counts the same in both; so what is between them is theirs. What
    the first does is over before the end, and is in its parent's account all the same.
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", FAMILY], stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        assert parent.stdout is not None
        parent.stdout.readline()
        with (
            ThisMachine(own=lambda: (parent.pid,)).watch() as family,
            ThisMachine(own=tuple).watch() as strangers,
            ThisMachine().watch() as nobody,
        ):
            time.sleep(1.5)
            ours, theirs = family().others, strangers().others
            assert nobody().others is None
    finally:
        os.killpg(parent.pid, signal.SIGKILL)
        parent.wait()
    assert ours is not None
    assert theirs is not None
    # A tenth of one processor, however many others wanted it.
    assert theirs - ours > 0.1 / (psutil.cpu_count() or 1)


def test_a_family_that_has_ended_is_nobodys_work() -> None:
    """As a stack that went down in the middle; its share is not known, and nothing breaks."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    with ThisMachine(own=lambda: (ended.pid,)).watch() as strain:
        seen = strain()
    assert seen.others is not None
    assert 0 <= seen.others <= 1


def test_a_standstill_is_noticed() -> None:
    """Whoever is stopped for half a second has stood still for about as long."""
    watch = subprocess.Popen(
        [sys.executable, "-c", WATCH], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert watch.stdout is not None
    watch.stdout.readline()
    watch.send_signal(signal.SIGSTOP)
    time.sleep(0.5)
    watch.send_signal(signal.SIGCONT)
    told, _ = watch.communicate("\n", timeout=10)
    assert float(told) >= 0.4
