"""How this machine serves everybody on it: does it stand still, is anything left of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from typing import Final

import psutil

from lab.ports.machine import Strain

TICK_S: Final = 0.01


class ThisMachine:
    """`Machine` for the machine that this process runs on.

    ``own`` gives the process ids at the roots of everything that is the lab's; without it
    nobody's work can be told from the lab's.
    """

    def __init__(self, own: Callable[[], Collection[int]] | None = None) -> None:
        self._own = own

    @contextlib.contextmanager
    def watch(self) -> Iterator[Callable[[], Strain]]:
        """Watch while the context lasts; each call tells of the time since it began."""
        sleeper, spent, spent_by_us = _Sleeper(), _spent(), self._spent_by_us()

        def strain() -> Strain:
            idle_s, all_s = (now - then for now, then in zip(_spent(), spent, strict=True))
            # The counters are rounded, each for itself.
            busy = _share(all_s - idle_s, all_s)
            others = None
            if spent_by_us is not None and (by_us := self._spent_by_us()) is not None:
                others = max(0.0, busy - _share(by_us - spent_by_us, all_s))
            return Strain(sleeper.longest_stall_s, busy, others, psutil.cpu_count() or 1)

        thread = threading.Thread(target=sleeper.sleep, name="machine-watch", daemon=True)
        thread.start()
        try:
            yield strain
        finally:
            sleeper.end()
            thread.join()

    def _spent_by_us(self) -> float | None:
        return None if self._own is None else _spent_by(self._own())


class _Sleeper:
    """Asks to be woken often, and notes how late it is.

    Who is woken late was kept from a processor, by a host or by other work here;
    and so was whoever had a request in flight.
    """

    def __init__(self) -> None:
        self._over = threading.Event()
        self._longest_s = 0.0
        self._asleep_s = time.monotonic()

    @property
    def longest_stall_s(self) -> float:
        """The longest until now, or until the end; who is due and not awake yet counts."""
        if self._over.is_set():
            return self._longest_s
        return max(self._longest_s, time.monotonic() - self._asleep_s - TICK_S)

    def end(self) -> None:
        """Let the sleeper rest for good."""
        self._longest_s = self.longest_stall_s
        self._over.set()

    def sleep(self) -> None:
        """Sleep and wake until the end."""
        while not self._over.wait(TICK_S):
            self._longest_s = self.longest_stall_s
            self._asleep_s = time.monotonic()


def _spent() -> tuple[float, float]:
    """Seconds of all processors since boot: idle, and altogether, stolen by a host or not."""
    times = psutil.cpu_times()._asdict()
    for guest in ("guest", "guest_nice"):  # which is counted as the host's own time already
        times.pop(guest, None)
    return times["idle"] + times.get("iowait", 0.0), sum(times.values())


def _share(part_s: float, all_s: float) -> float:
    return min(1.0, max(0.0, part_s / all_s)) if all_s else 0.0


def _spent_by(roots: Iterable[int]) -> float:
    """Seconds of processor time of the living processes under ``roots``, and of their dead.

    A process that ended is in its parent's account; where a system keeps none (macOS),
    what ended within a watch counts as somebody else's.
    """
    family: dict[int, psutil.Process] = {}
    for root in roots:
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(root)
            members = (process, *process.children(recursive=True))
            family |= {member.pid: member for member in members}
    spent_s = 0.0
    for process in family.values():
        with contextlib.suppress(psutil.Error):
            times = process.cpu_times()
            spent_s += times.user + times.system + times.children_user + times.children_system
    return spent_s
