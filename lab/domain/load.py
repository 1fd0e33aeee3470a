"""Load as data: who calls what, how fast, and what each request came to."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from itertools import accumulate

from lab.frozen import dataclass


class Window(StrEnum):
    """The stretches of a run; requests of *settle* and *transition* count for nothing."""

    SETTLE = "settle"
    REFERENCE = "reference"
    TRANSITION = "transition"
    CRIME = "crime"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Burst:
    """So many arrivals more than an open loop has anyway.

    The first is ``at_s`` into the window, the others follow evenly over ``over_s``, or at
    the same moment where that is 0. With ``every_s`` it comes again and again.
    """

    size: int
    at_s: float = 0.0
    over_s: float = 0.0
    every_s: float | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """What an actor does by the clock, and how long it holds on to what it works on.

    The first time is ``at_s`` into the window, the others follow every ``every_s``.
    """

    at_s: float
    every_s: float
    holds_s: float


@dataclass(frozen=True, slots=True)
class LoadShape:
    """How one window is loaded.

    Closed loop: ``users`` concurrent shoppers, each waiting for its answer. Open
    loop: ``rate_per_s`` arrivals whether or not earlier ones were answered, and ``bursts``
    on top of them; with bursts the rate may be 0. Exactly one of users and rate is set.
    ``mix`` maps actor → weight; actors are dealt by quota, so that any stretch of n
    requests holds its share ±1.

    ``pace_s`` is the closed loop's rhythm: seconds from the start of a user's visit to
    the start of its next, or at once where the visit took longer. Twelve users make 16
    visits/s in a healthy shop. ``jobs`` maps the actors that come by the clock to their
    timetables.
    """

    mix: Mapping[str, float]
    users: int | None = None
    rate_per_s: float | None = None
    pace_s: float = 0.75
    bursts: tuple[Burst, ...] = ()
    jobs: Mapping[str, Job] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """The load of a whole run: one shape for each window."""

    seed: int
    shapes: Mapping[Window, LoadShape]


@dataclass(frozen=True, slots=True)
class Request:
    """One request as its actor saw it; times are Unix seconds.

    ``status`` is the HTTP status, 0 where no answer came. ``planned_s`` differs
    from ``start_s`` only in an open loop, by the dispatcher's lateness. ``answer_bytes``
    is the length of the answer's body.
    """

    window: Window
    planned_s: float
    start_s: float
    latency_ms: float
    actor: str
    route: str
    tenant: str
    status: int
    trace_id: str
    answer_bytes: int = 0

    @property
    def is_server_error(self) -> bool:
        """Whether the shop failed it: 5xx, or no answer at all."""
        return self.status == 0 or self.status >= 500

    @property
    def is_rejected(self) -> bool:
        """Whether the shop understood it and said no (4xx)."""
        return 400 <= self.status < 500


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which requests are meant; a field that is None asks nothing."""

    route: str | None = None
    actor: str | None = None
    tenant: str | None = None

    def covers(self, request: Request) -> bool:
        """Whether ``request`` is one of them."""
        return (
            self.route in {None, request.route}
            and self.actor in {None, request.actor}
            and self.tenant in {None, request.tenant}
        )

    def __str__(self) -> str:
        """For people: ``POST /checkout by wholesaler of acme``."""
        words = [self.route or "any route"]
        words += [f"by {self.actor}"] if self.actor else []
        words += [f"of {self.tenant}"] if self.tenant else []
        return " ".join(words)


@dataclass(frozen=True, slots=True)
class LoadProgress:
    """The last second of load, for the live display and for settling."""

    window: Window
    requests: int
    requests_per_s: float
    error_rate: float
    p95_ms: float

    def __str__(self) -> str:
        """For people: ``12 requests in the last second, 8% of them failed, p95 340 ms``."""
        if not self.requests:
            return "no request in the last second"
        return (
            f"{self.requests} requests in the last second, {self.error_rate:.0%} of them "
            f"failed, p95 {self.p95_ms:.0f} ms"
        )


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What the load generator says once it has stopped.

    ``spans_ended`` counts the root spans its actors ended; ``spans_failed`` those
    its exporter could not deliver; ``lateness_p99_ms`` is None in a closed loop.
    """

    spans_ended: int
    spans_failed: int
    lateness_p99_ms: float | None


def percentile(values: Sequence[float], share: float) -> float:
    """The nearest-rank percentile: the smallest value that ``share`` of all do not exceed.

    ``values`` must not be empty; ``share`` lies in (0, 1].
    """
    ordered = sorted(values)
    rank = max(1, -(-len(ordered) * share // 1))
    return ordered[int(rank) - 1]


def weighted_percentile(values: Iterable[tuple[float, float]], share: float) -> float:
    """The nearest-rank percentile of values that count for more or less than one.

    ``values`` are pairs of a value and its weight (above 0), not empty. It is the smallest value
    such that all that are no greater have at least ``share`` of the total weight; with equal
    weights that is `percentile`.
    """
    ordered = sorted(values)
    reached = list(accumulate(weight for _, weight in ordered))
    # Weights are quotients: a sum that should be exactly at the share may be a hair below it.
    wanted = share * reached[-1] * (1 - 1e-9)
    return ordered[bisect_left(reached, wanted)][0]
