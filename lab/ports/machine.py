"""The machine itself, and whether it kept pace."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Strain:
    """What a machine withheld from everybody on it for a while.

    ``longest_stall_s`` is the longest time in which a sleeper that was due was not
    woken; ``busy`` the share (0 to 1) of all processors' time that was in use, or
    taken away by the host of a virtual machine.
    """

    longest_stall_s: float
    busy: float


class Machine(Protocol):
    """The machine that shop, load and lab share."""

    def watch(self) -> AbstractContextManager[Callable[[], Strain]]:
        """Watch while the context lasts; each call tells of the time since it began."""
        ...
