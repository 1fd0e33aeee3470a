"""When harm comes and goes while its lease is held: pure arithmetic, the same for the same seed."""

from __future__ import annotations

import math
from random import Random
from typing import Final

from lab.frozen import dataclass

SHORTEST_S: Final = 0.5
"""What is shorter, on or off, could be over before anybody has read it back."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds since the lease was held: on after ``start_s``, for ``on_s``, again ``every_s``.

    Without ``on_s`` it stays on until the lease ends, without ``every_s`` it comes
    once. Each coming is put off by up to ``jitter_s``, as the seed decides, and is
    over before the next is due.
    """

    start_s: float = 0.0
    on_s: float | None = None
    every_s: float | None = None
    jitter_s: float = 0.0

    def __str__(self) -> str:
        """As a scenario writes it."""
        return "{" + ", ".join(f"{name}: {value:g}s" for name, value in self._given()) + "}"

    def _given(self) -> list[tuple[str, float]]:
        known = {
            "start": self.start_s,
            "on": self.on_s,
            "every": self.every_s,
            "jitter": self.jitter_s,
        }
        return [(name, value) for name, value in known.items() if value is not None]

    def problems(self) -> tuple[str, ...]:
        """Why nobody could keep to it."""
        found = [
            f"expected {name} to be finite and >= 0s, found {value:g}s"
            for name, value in self._given()
            if not 0 <= value < math.inf
        ]
        if found:
            return tuple(found)
        if self.on_s is None:
            never_off = "expected on where there is every: it stays on, so it cannot repeat"
            return () if self.every_s is None else (never_off,)
        least_s = self.on_s + self.jitter_s + SHORTEST_S
        if self.on_s < SHORTEST_S:
            found.append(f"expected on to be >= {SHORTEST_S:g}s, found {self.on_s:g}s")
        if self.every_s is not None and self.every_s < least_s:
            found.append(
                f"expected every to be >= {least_s:g}s (on, jitter and {SHORTEST_S:g}s of peace), "
                f"found {self.every_s:g}s"
            )
        return tuple(found)

    def interval(self, number: int, seed: str) -> tuple[float, float]:
        """When it comes for the ``number``-th time, counted from 0, and when it goes."""
        chance = Random(f"{seed} {number}")  # noqa: S311 (a moment, not a secret)
        comes_s = self.start_s + number * (self.every_s or 0.0) + chance.random() * self.jitter_s
        return comes_s, math.inf if self.on_s is None else comes_s + self.on_s

    def is_on(self, elapsed_s: float, seed: str) -> bool:
        """Whether it is to be on so long after the lease was held."""
        comes_s, goes_s = self.interval(self._number(elapsed_s), seed)
        return comes_s <= elapsed_s < goes_s

    def turned_s(self, elapsed_s: float, seed: str) -> float:
        """When, until that moment, it was last to come or to go."""
        number = self._number(elapsed_s)
        comes_s, goes_s = self.interval(number, seed)
        if elapsed_s < comes_s:
            return self.interval(number - 1, seed)[1]
        return comes_s if elapsed_s < goes_s else goes_s

    def _number(self, elapsed_s: float) -> int:
        """The last interval that is due, late or not; the first one before it is."""
        if self.every_s is None:
            return 0
        return max(0, math.floor((elapsed_s - self.start_s) / self.every_s))
