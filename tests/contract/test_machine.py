"""What any machine tells of itself, and that the real one notices when it stood still."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from lab.adapters.machine import ThisMachine
from lab.adapters.memory.machine import MemoryMachine
from lab.ports.machine import Machine

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
