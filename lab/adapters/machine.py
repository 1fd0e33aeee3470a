"""How this machine serves everybody on it: does it stand still, is anything left of it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import psutil

from lab.ports.machine import Strain

TICK_S: Final = 0.01


class ThisMachine:
    """`Machine` for the machine that this process runs on."""

    @contextlib.contextmanager
    def watch(self) -> Iterator[Callable[[], Strain]]:
        """Watch while the context lasts; each call tells of the time since it began."""
        sleeper, spent = _Sleeper(), _spent()

        def strain() -> Strain:
            idle_s, all_s = (now - then for now, then in zip(_spent(), spent, strict=True))
            idle = idle_s / all_s if all_s else 1.0
            # The counters are rounded, each for itself.
            return Strain(sleeper.longest_stall_s, busy=min(1.0, max(0.0, 1.0 - idle)))

        thread = threading.Thread(target=sleeper.sleep, name="machine-watch", daemon=True)
        thread.start()
        try:
            yield strain
        finally:
            sleeper.end()
            thread.join()


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
