"""The plan of a run as it arrives on the load process's first line of input (JSON)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from heapq import merge
from itertools import count
from math import ceil, floor
from pathlib import Path
from typing import Any

from lab.load.actors import ACTORS

TRANSITION = "transition"
"""The window of requests that belong to none: they straddle a window's end, or prepare the run."""

UNJUDGED = frozenset({"settle", TRANSITION})
"""Windows whose requests count for nothing, so that their lateness does not count either."""

SPARE_CONNECTIONS = 2
"""Times the most arrivals in a timeout: room for every unanswered one and for as many again
being closed."""


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

    def arrivals(self) -> Iterator[float]:
        """When each visitor of the open loop comes, in seconds of the window, in order."""
        rate = self.rate_per_s
        steady: Iterable[float] = (number / rate for number in count()) if rate else ()
        return merge(steady, *(burst.arrivals() for burst in self.bursts))

    def most_within(self, stretch_s: float) -> float:
        """How many arrivals any stretch of so many seconds may see."""
        bursts = sum(burst.most_within(stretch_s) for burst in self.bursts)
        return (self.rate_per_s or 0) * stretch_s + bursts


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a run needs to know; ``shapes`` by the name of their window.

    ``timeout_s`` is how long an actor waits for bytes before it counts as unanswered.
    ``max_run_s`` and ``max_requests`` end a run that nobody ends. With ``workers`` so many
    processes share the load, which find this one at ``master_port`` of loopback.
    """

    host: str
    otlp_endpoint: str
    otlp_protocol: str
    request_log: Path
    seed: int
    shapes: Mapping[str, Shape]
    timeout_s: float
    max_run_s: float
    max_requests: int
    workers: int = 0
    master_port: int = 0

    @classmethod
    def from_json(cls, line: str) -> Plan:
        """Read a plan; PlanError when a field is missing, unknown or impossible."""
        try:
            fields: dict[str, Any] = json.loads(line)
            shapes = {name: _shape(**shape) for name, shape in fields.pop("shapes").items()}
            log = Path(fields.pop("request_log"))
            return cls(shapes=shapes, request_log=log, **fields)
        except (KeyError, TypeError, AttributeError, json.JSONDecodeError) as problem:
            raise PlanError(
                f"plan: expected the fields of Plan as JSON, got {problem}"
            ) from problem

    @property
    def users(self) -> int:
        """The most users any window asks for."""
        return max((shape.users or 0 for shape in self.shapes.values()), default=0)

    @property
    def connections(self) -> int:
        """How many connections the fastest open loop may need; 0 where none is planned.

        With fewer an arrival would wait for a free one, and the loop would be closed
        without saying so.
        """
        most = max((each.most_within(self.timeout_s) for each in self.shapes.values()), default=0)
        return ceil(most * SPARE_CONNECTIONS)


def _shape(*, bursts: Iterable[Mapping[str, Any]] = (), **fields: Any) -> Shape:
    return Shape(**fields, bursts=tuple(Burst(**burst) for burst in bursts))
