"""The plan of a run as it arrives on the load process's first line of input (JSON)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from lab.load.actors import ACTORS

TRANSITION = "transition"
"""The window of requests that belong to none: they straddle a window's end, or prepare the run."""

UNJUDGED = frozenset({"settle", TRANSITION})
"""Windows whose requests count for nothing, so that their lateness does not count either."""

SPARE_CONNECTIONS = 2
"""Times rate × timeout: room for every unanswered arrival and for as many again being closed."""


class PlanError(ValueError):
    """The plan cannot be run; the message says which field, what was expected and found."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How one window is loaded: a closed loop of ``users``, or ``rate_per_s`` arrivals.

    ``pace_s`` is a closed loop's rhythm: seconds from the start of a user's visit to
    the start of its next, for visits shorter than that. A plain think time would let a
    sick shop see far fewer requests than a healthy one.
    """

    mix: Mapping[str, float]
    users: int | None
    rate_per_s: float | None
    pace_s: float

    def __post_init__(self) -> None:
        if (self.users is None) == (self.rate_per_s is None):
            raise PlanError(
                "shape: expected either users or rate_per_s, "
                f"got users={self.users} and rate_per_s={self.rate_per_s}"
            )
        if (self.users or self.rate_per_s or 0) <= 0:
            raise PlanError("shape: expected users or rate_per_s above 0")
        if unknown := sorted(set(self.mix) - set(ACTORS)):
            raise PlanError(f"mix: expected some of {sorted(ACTORS)}, got {unknown}")
        if not self.mix or min(self.mix.values()) < 0 or sum(self.mix.values()) <= 0:
            raise PlanError(f"mix: expected weights of at least 0, one above, got {self.mix}")


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything a run needs to know; ``shapes`` by the name of their window.

    ``timeout_s`` is how long an actor waits for bytes before it counts as unanswered.
    ``max_run_s`` and ``max_requests`` end a run that nobody ends.
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

    @classmethod
    def from_json(cls, line: str) -> Plan:
        """Read a plan; PlanError when a field is missing, unknown or impossible."""
        try:
            fields: dict[str, Any] = json.loads(line)
            shapes = {name: Shape(**shape) for name, shape in fields.pop("shapes").items()}
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
        rate = max((shape.rate_per_s or 0 for shape in self.shapes.values()), default=0)
        return ceil(rate * self.timeout_s * SPARE_CONNECTIONS)
