"""The seven services as forked children of one process.

A fork shares what the parent has imported: seven services start in the time of
one, and in half the memory. After it a child is a process of its own, with its
own environment, telemetry and fate.
"""

from __future__ import annotations

import logging
import mmap
import os
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NoReturn

from lab.shop import topology
from lab.shop.service import serve
from lab.shop.telemetry import SpanCounter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

logger = logging.getLogger(__name__)

STOP_S: Final = 3.0
"""How long a child may take to end by itself."""

_SLOT: Final = 8
_FIRST_BACKOFF_S: Final = 0.1
_LONGEST_BACKOFF_S: Final = 5.0
_SETTLED_S: Final = 10.0
_HIGHEST_FD: Final = 1024


@dataclass
class Child:
    """One service: its process, if it has one, and what is known of its past."""

    name: str
    counter: SpanCounter
    pid: int | None = None
    overlay: dict[str, str] = field(default_factory=dict)
    restarts_unasked: int = 0
    crashes_in_a_row: int = 0
    started_at_s: float = 0.0
    restart_at_s: float = 0.0


class Children:
    """Starts, restarts, counts and ends the services.

    ``environment_of`` gives a service's environment; over it lies the level of
    instrumentation, which all have in common, and over that each one's overlay. What a
    child writes to stdout and stderr goes to ``<log_dir>/<service>.log``, or
    where this process's own does, if there is no such folder. The
    counts of ended spans live in memory shared with the children, so they can
    be read after a child has died and go on when it is started again.
    """

    def __init__(
        self,
        environment_of: Callable[[str], Mapping[str, str]],
        log_dir: Path | None,
        services: Sequence[str] = topology.SERVICES,
    ) -> None:
        self._environment_of = environment_of
        self._level: Mapping[str, str] = {}
        self._log_dir = log_dir
        counts = memoryview(mmap.mmap(-1, _SLOT * len(services)))
        self.by_name = {
            name: Child(name, SpanCounter(counts[n * _SLOT : (n + 1) * _SLOT]))
            for n, name in enumerate(services)
        }
        # Only this process holds the write end: when it dies, however it dies,
        # every child reads the end of the pipe and leaves too.
        self._lifeline, self._lifeline_held = os.pipe()

    def log_file(self, name: str) -> Path | None:
        """Where a service's output goes; None if to this process's own."""
        return self._log_dir and self._log_dir / f"{name}.log"

    def start_all(self) -> None:
        """Fork every service."""
        for child in self.by_name.values():
            self._fork(child)

    def tend(self) -> None:
        """Collect children that died and start them again, slower each time they die at once."""
        now_s = time.monotonic()
        for child in self.by_name.values():
            if child.pid is not None and _has_ended(child.pid):
                lived_s = now_s - child.started_at_s
                child.crashes_in_a_row = 0 if lived_s > _SETTLED_S else child.crashes_in_a_row + 1
                child.pid = None
                child.restarts_unasked += 1
                backoff_s = _FIRST_BACKOFF_S * 2**child.crashes_in_a_row
                child.restart_at_s = now_s + min(backoff_s, _LONGEST_BACKOFF_S)
                logger.warning("%s died; starting it again", child.name)
            if child.pid is None and now_s >= child.restart_at_s:
                self._fork(child)

    def restart(self, child: Child, overlay: Mapping[str, str]) -> None:
        """End one child and start it with another overlay. The others are not touched."""
        if child.pid is not None:
            _end([child.pid])
        child.overlay = dict(overlay)
        child.crashes_in_a_row = 0
        self._fork(child)

    def set_level(self, level: Mapping[str, str]) -> bool:
        """Lay ``level`` over every child's environment; return whether all were started anew."""
        if level == self._level:
            return False
        self._level = dict(level)
        self.stop_all()
        for child in self.by_name.values():
            child.crashes_in_a_row = 0
            self._fork(child)
        return True

    def stop_all(self) -> None:
        """End every child: asked first, killed after `STOP_S`."""
        _end([child.pid for child in self.by_name.values() if child.pid is not None])

    def _fork(self, child: Child) -> None:
        child.started_at_s = time.monotonic()
        pid = os.fork()
        if pid == 0:
            self._become(child)
        child.pid = pid

    def _become(self, child: Child) -> NoReturn:
        """Be the service, in the forked process, and never return to the parent's code."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            if (log_file := self.log_file(child.name)) is not None:
                _redirect_output(log_file)
            os.closerange(3, self._lifeline)
            os.closerange(self._lifeline + 1, _HIGHEST_FD)
            threading.Thread(target=_leave_with_parent, args=[self._lifeline], daemon=True).start()
            os.environ.update(self._environment_of(child.name))
            os.environ.update(self._level)
            os.environ.update(child.overlay)
            serve(child.name, child.counter)
            status = 0
        except BaseException:  # noqa: BLE001 -- nothing may climb into the parent's stack
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(status)


def _redirect_output(log_file: Path) -> None:
    log = os.open(log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(log, sys.stdout.fileno())
    os.dup2(log, sys.stderr.fileno())
    os.close(log)


def _leave_with_parent(lifeline: int) -> None:
    """End this process, politely at first, as soon as the parent is gone."""
    os.read(lifeline, 1)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(STOP_S)
    os._exit(1)


def _has_ended(pid: int) -> bool:
    return os.waitpid(pid, os.WNOHANG)[0] == pid


def _end(pids: list[int]) -> None:
    """Collect all of ``pids``, by SIGTERM within `STOP_S`, by SIGKILL after it."""
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    deadline_s = time.monotonic() + STOP_S
    left = list(pids)
    while left and time.monotonic() < deadline_s:
        left = [pid for pid in left if not _has_ended(pid)]
        time.sleep(0.01)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
