"""Which processes are ours, told by pid *and* start time, and how they end.

A pid alone proves nothing: the kernel hands it out again. A pid whose process
started when ours did is ours. Nothing is ever looked for by its name.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

import psutil

from lab.errors import StackNotReady
from lab.frozen import dataclass

_CLOCK_SKEW_S: Final = 2.0
"""psutil derives start times on Linux from a boot time in whole seconds."""


@dataclass(frozen=True, slots=True)
class Birth:
    """A process that was started here: its part, its pid and when (Unix seconds)."""

    name: str
    pid: int
    started_s: float

    @property
    def lives(self) -> bool:
        """Whether the process with this pid is still the one that was started."""
        try:
            started_s = psutil.Process(self.pid).create_time()
        except psutil.Error:
            return False
        return abs(started_s - self.started_s) <= _CLOCK_SKEW_S and is_alive(self.pid)


def is_alive(pid: int) -> bool:
    """Whether a process has this pid and has not ended; a zombie has."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def survivors(births: Collection[Birth]) -> dict[int, str]:
    """Pid → part of everything that still runs: the started ones and their families.

    A part leads a process group of its own, so a child stays findable when its
    parent was killed. A group whose leader's pid is by now somebody else's is
    not ours.
    """
    ours = {birth.pid: birth for birth in births}
    foreign = {pid for pid, birth in ours.items() if psutil.pid_exists(pid) and not birth.lives}
    found: dict[int, str] = {birth.pid: birth.name for birth in births if birth.lives}
    for process in psutil.process_iter():
        birth = ours.get(_group(process.pid))
        if birth is None or birth.pid in foreign or process.pid in found:
            continue
        with contextlib.suppress(psutil.Error):
            born_later = process.create_time() >= birth.started_s - _CLOCK_SKEW_S
            if born_later and is_alive(process.pid):
                found[process.pid] = birth.name
    return found


def end(pids: Iterable[int], *, grace_s: float) -> None:
    """Ask these processes to end, wait ``grace_s`` for all, then kill what is left."""
    processes = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            process.send_signal(signal.SIGTERM)
            processes.append(process)
    _, stubborn = psutil.wait_procs(processes, timeout=grace_s)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(stubborn, timeout=grace_s)


def pid_listening_on(port: int) -> int | None:
    """Who listens on ``port``; None if nobody does or we may not know."""
    return next((pid for listening, pid in _listeners() if listening == port), None)


def describe(pid: int | None) -> str:
    """``pid 4711 (its command)``; says so where we may not know."""
    if pid is None:
        return "a process that is not shown to you, maybe another user's"
    try:
        command = " ".join(psutil.Process(pid).cmdline())
    except psutil.Error:
        return f"pid {pid}"
    return f"pid {pid} ({command[:120]})"


def expect_free(taken: Mapping[str, int], elsewhere: str) -> None:
    """StackNotReady where ports (name → number) are ``taken``, with their holders and a way out."""
    if not taken:
        return
    found = "\n".join(
        f"  port {port} ({name}) is held by {describe(pid_listening_on(port))}"
        for name, port in taken.items()
    )
    raise StackNotReady(
        f"expected the lab's ports to be free, found:\n{found}\n"
        f"End that process, or move the whole lab: {elsewhere}"
    )


def _listeners() -> Iterator[tuple[int, int | None]]:
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr:
                yield connection.laddr.port, connection.pid
    except psutil.AccessDenied:
        # macOS tells only root about everybody; a process tells its owner about itself.
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                for own in process.net_connections(kind="tcp"):
                    if own.status == psutil.CONN_LISTEN and own.laddr:
                        yield own.laddr.port, process.pid


def _group(pid: int) -> int:
    try:
        return os.getpgid(pid)
    except OSError:
        return -1
