"""The machine itself, and whether it kept pace."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

from lab.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Strain:
    """What a machine withheld from everybody on it for a while.

    ``longest_stall_s`` is the longest time in which a sleeper that was due was not
    woken; ``busy`` the share (0 to 1) of all processors' time that was in use, or
    taken away by the host of a virtual machine. ``others`` is the part of ``busy`` that
    is not the lab's own: other programs', the system's and the host's; None where the
    lab's own processes cannot be told from the others.
    """

    longest_stall_s: float
    busy: float
    others: float | None = None
    processors: int = 1

    def __str__(self) -> str:
        """For people: ``longest stall 0.40 s, 97% of 2 processors busy, 64% by others``."""
        by_others = "" if self.others is None else f", {self.others:.0%} by others"
        return (
            f"longest stall {self.longest_stall_s:.2f} s, {self.busy:.0%} of "
            f"{self.processors} processors busy{by_others}"
        )


class Machine(Protocol):
    """The machine that shop, load and lab share."""

    def watch(self) -> AbstractContextManager[Callable[[], Strain]]:
        """Watch while the context lasts; each call tells of the time since it began."""
        ...
