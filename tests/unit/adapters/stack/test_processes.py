"""Which processes are ours, and how they end."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from lab.adapters.stack import processes
from lab.adapters.stack.processes import Birth
from lab.shop.topology import HOST

SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]
FAMILY = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(60)"
)
STUBBORN = (
    "import signal, time\n"
    "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "print('ready', flush=True)\n"
    "time.sleep(60)"
)


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(SLEEP, start_new_session=True) as process:
        yield process
        process.kill()


def born(process: subprocess.Popen[bytes], name: str = "tempo") -> Birth:
    """The record of a process that was started just now."""
    return Birth(name, process.pid, time.time())


def test_a_process_is_ours_by_pid_and_start_time(sleeper: subprocess.Popen[bytes]) -> None:
    """The pid of ours with another start time is somebody else's process."""
    ours = born(sleeper)

    assert ours.lives
    assert not replace(ours, started_s=ours.started_s - 3600).lives


def test_the_dead_do_not_live(sleeper: subprocess.Popen[bytes]) -> None:
    """Neither a process that is gone lives, nor one whose parent has not noticed yet."""
    ours = born(sleeper)
    sleeper.kill()
    _until_zombie(sleeper.pid)
    assert not ours.lives

    sleeper.wait()
    assert not ours.lives


def test_survivors_leave_out_what_took_over_a_pid(sleeper: subprocess.Popen[bytes]) -> None:
    """A stranger with a pid of ours is not found, so it is not ended either."""
    stranger = replace(born(sleeper), started_s=time.time() - 3600)

    assert processes.survivors([stranger]) == {}


def test_the_child_of_a_killed_part_is_found() -> None:
    """A family is found by its process group after its head is gone."""
    with subprocess.Popen(
        [sys.executable, "-c", FAMILY], start_new_session=True, stdout=subprocess.PIPE
    ) as head:
        assert head.stdout is not None
        child = int(head.stdout.readline())
        ours = born(head, "shop")
        head.kill()
        head.wait()

        try:
            assert processes.survivors([ours]) == {child: "shop"}
        finally:
            os.kill(child, signal.SIGKILL)


def test_who_ignores_the_request_to_end_is_killed() -> None:
    """SIGTERM first, SIGKILL after the grace."""
    with subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()

        started = time.monotonic()

        processes.end([process.pid], grace_s=0.3)

        assert time.monotonic() - started >= 0.3
        assert not psutil.pid_exists(process.pid)


def test_ending_the_dead_is_no_error(sleeper: subprocess.Popen[bytes]) -> None:
    """Somebody may be gone by the time it is asked to go."""
    sleeper.kill()
    sleeper.wait()

    processes.end([sleeper.pid], grace_s=0.1)


def test_the_holder_of_a_port_is_told_with_its_command() -> None:
    """Pid and command, so that one knows what to end."""
    with socket.create_server((HOST, 0)) as server:
        pid = processes.pid_listening_on(server.getsockname()[1])

        assert pid == os.getpid()
        assert f"pid {pid} (" in processes.describe(pid)


def test_what_may_not_be_known_is_said_so() -> None:
    """A holder that the system does not show is no reason to guess."""
    assert "not shown" in processes.describe(None)


def _until_zombie(pid: int) -> None:
    while psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
