"""How one window is loaded: the arrivals of a plan, whatever they are then made to do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from itertools import count
from math import floor
from typing import Any

from lab.load.actors import ACTORS


class PlanError(ValueError):
    """The plan cannot be run; the message says which field, what was expected and found."""


@dataclass(frozen=True, slots=True)
class Burst:
    """``size`` arrivals from ``at_s`` on, spread over ``over_s``; again after each ``every_s``."""

    size: int
    at_s: float
    over_s: float
    every_s: float | None

    def __post_init__(self) -> None:
        every_s = self.every_s
        if self.size <= 0 or self.at_s < 0 or self.over_s < 0:
            raise PlanError(f"burst: expected a size above 0 and no negative time, got {self}")
        if every_s is not None and (every_s <= 0 or self.over_s > every_s):
            raise PlanError(f"burst: expected it to be over before it comes again, got {self}")

    def arrivals(self) -> Iterator[float]:
        """When each visitor comes, in seconds of the window; without end if it repeats."""
        every_s = self.every_s
        for start_s in [self.at_s] if every_s is None else count(self.at_s, every_s):
            for number in range(self.size):
                yield start_s + self.over_s * number / self.size

    def most_within(self, stretch_s: float) -> int:
        """How many arrivals any stretch of so many seconds may see."""
        times = 1 if self.every_s is None else 1 + floor(stretch_s / self.every_s)
        return self.size * times


@dataclass(frozen=True, slots=True)
class Shape:
    """How one window is loaded: a closed loop of ``users``, or ``rate_per_s`` arrivals.

    ``bursts`` come on top of an open loop, whose rate may then be 0.

    ``pace_s`` is a closed loop's rhythm: seconds from the start of a user's visit to
    the start of its next, for visits shorter than that. A plain think time would let a
    sick shop see far fewer requests than a healthy one.
    """

    mix: Mapping[str, float]
    users: int | None
    rate_per_s: float | None
    pace_s: float
    bursts: tuple[Burst, ...] = ()

    def __post_init__(self) -> None:
        if (self.users is None) == (self.rate_per_s is None):
            raise PlanError(
                "shape: expected either users or rate_per_s, "
                f"got users={self.users} and rate_per_s={self.rate_per_s}"
            )
        if self.bursts and self.rate_per_s is None:
            raise PlanError("shape: expected bursts with rate_per_s only, got them with users")
        number = self.users if self.rate_per_s is None else self.rate_per_s
        if number is None or number < 0 or (number == 0 and not self.bursts):
            raise PlanError("shape: expected users or rate_per_s above 0")
        if unknown := sorted(set(self.mix) - set(ACTORS)):
            raise PlanError(f"mix: expected some of {sorted(ACTORS)}, got {unknown}")
        if not self.mix or min(self.mix.values()) < 0 or sum(self.mix.values()) <= 0:
            raise PlanError(f"mix: expected weights of at least 0, one above, got {self.mix}")

    @classmethod
    def of(cls, *, bursts: Iterable[Mapping[str, Any]] = (), **fields: Any) -> Shape:
        """A shape of the fields that a plan has for it."""
        return cls(**fields, bursts=tuple(Burst(**burst) for burst in bursts))

    def arrivals(self) -> Iterator[float]:
        """When each visitor of the open loop comes, in seconds of the window, in order."""
        rate = self.rate_per_s
        steady: Iterable[float] = (number / rate for number in count()) if rate else ()
        return merge(steady, *(burst.arrivals() for burst in self.bursts))

    def most_within(self, stretch_s: float) -> float:
        """How many arrivals any stretch of so many seconds may see."""
        bursts = sum(burst.most_within(stretch_s) for burst in self.bursts)
        return (self.rate_per_s or 0) * stretch_s + bursts
