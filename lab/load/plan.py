"""The plan of a run as it arrives on the load process's first line of input (JSON)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from lab.load.shape import PlanError, Shape

TRANSITION = "transition"
"""The window of requests that belong to none: they straddle a window's end, or prepare the run."""

UNJUDGED = frozenset({"settle", TRANSITION})
"""Windows whose requests count for nothing, so that their lateness does not count either."""

SPARE_CONNECTIONS = 2
"""Times the most arrivals in a timeout: room for every unanswered one and for as many again
being closed."""


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
            shapes = {name: Shape.of(**shape) for name, shape in fields.pop("shapes").items()}
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
