"""Harm as data: what a lease puts on edges and into deployment settings, and how chance is read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple

from lab.domain.reference import ReferenceStats
from lab.domain.schedule import Schedule
from lab.domain.trace import AttributeValue, Trace
from lab.domain.variation import SettingValue
from lab.frozen import dataclass

if TYPE_CHECKING:
    # The warden, which puts harm in, does not wait for the language of scenarios.
    from lab.domain.bound import Bound
    from lab.domain.predicate import Predicate


class Toxic(StrEnum):
    """Toxiproxy's toxics."""

    LATENCY = "latency"
    BANDWIDTH = "bandwidth"
    SLOW_CLOSE = "slow_close"
    TIMEOUT = "timeout"
    RESET_PEER = "reset_peer"
    SLICER = "slicer"
    LIMIT_DATA = "limit_data"


class Limits(NamedTuple):
    """The least and the most of an attribute that Toxiproxy survives; both are allowed."""

    least: int = 0
    most: int = 10**9


TOXIC_LIMITS: Final[Mapping[Toxic, Mapping[str, Limits]]] = MappingProxyType(
    {
        # Twice the jitter beyond 63 bits ends Toxiproxy (`rand.Int63n` panics).
        Toxic.LATENCY: {"latency": Limits(), "jitter": Limits()},
        Toxic.BANDWIDTH: {"rate": Limits()},
        Toxic.SLOW_CLOSE: {"delay": Limits()},
        Toxic.TIMEOUT: {"timeout": Limits()},
        # It sleeps so long whatever comes, and until then nobody can take the toxic off.
        Toxic.RESET_PEER: {"timeout": Limits(most=500)},
        # Of nothing it would make slices for ever, until its memory is full.
        Toxic.SLICER: {
            "average_size": Limits(least=1),
            "size_variation": Limits(),
            "delay": Limits(),
        },
        Toxic.LIMIT_DATA: {"bytes": Limits()},
    }
)
"""Every attribute a toxic knows, and between what; Toxiproxy takes a misspelt one as 0.

Units as on Toxiproxy's wire: ms, but slicer's ``delay`` µs, ``rate`` kB/s and
``bytes``, ``average_size``, ``size_variation`` bytes. Each limit was tried with data
flowing (`tests/contract/test_toxic_limits.py`); Toxiproxy itself refuses none of them.
"""

TOXICITY_DECIMALS: Final = 6
"""Toxiproxy keeps a toxicity in 32 bits: of more digits it would show others than it was given."""


class Stream(StrEnum):
    """The direction a toxic works in, seen from the caller: answers come downstream."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"


@dataclass(frozen=True, slots=True)
class Fault:
    """One toxic on one edge, or, with ``toxic`` None, the edge's proxy disabled (``down``).

    Attributes not given are 0, as Toxiproxy takes them, so that a fault as written
    equals the same fault as read back. Of a ``schedule`` Toxiproxy knows nothing:
    what is read back equals the `unscheduled` fault. Without one it is always on.
    """

    edge: str
    toxic: Toxic | None
    attributes: Mapping[str, int] = field(default_factory=dict)
    stream: Stream = Stream.DOWNSTREAM
    toxicity: float = 1.0
    schedule: Schedule | None = None

    def __post_init__(self) -> None:
        known = () if self.toxic is None else TOXIC_LIMITS[self.toxic]
        spelled_out = {**dict.fromkeys(known, 0), **self.attributes}
        object.__setattr__(self, "attributes", spelled_out)

    def __str__(self) -> str:
        """For people who read a journal: of all that is as usual, only what Toxiproxy gets."""
        words = [self.edge, str(self.toxic or "down")]
        words += [f"{name}={value}" for name, value in self.attributes.items()]
        if self.stream is Stream.UPSTREAM:
            words.append(str(self.stream))
        if self.toxicity != 1.0:
            words.append(f"toxicity={self.toxicity:g}")
        if self.schedule is not None:
            words.append(str(self.schedule))
        return " ".join(words)

    @property
    def is_down(self) -> bool:
        """Whether the edge is cut altogether."""
        return self.toxic is None

    @property
    def toxic_name(self) -> str:
        """The name it gets inside Toxiproxy; one toxic of a kind and stream per edge."""
        return f"{self.toxic}_{self.stream}"

    @property
    def unscheduled(self) -> Fault:
        """The same harm as Toxiproxy has it while it is on."""
        return replace(self, schedule=None)

    def is_on(self, elapsed_s: float, seed: int) -> bool:
        """Whether it is to be on so many seconds after its lease was held.

        Each fault has its own jitter, also where two have the same schedule.
        """
        return self.schedule is None or self.schedule.is_on(elapsed_s, self._own(seed))

    def turned_s(self, elapsed_s: float, seed: int) -> float:
        """When, until that moment, it was last to come or to go; without a schedule at once."""
        return 0.0 if self.schedule is None else self.schedule.turned_s(elapsed_s, self._own(seed))

    def _own(self, seed: int) -> str:
        return f"{seed} {self.edge} {self.toxic_name}"

    def is_rolled_on(self, edge: str) -> bool:
        """Whether it hurts some connections of ``edge`` and not others, as the dice fall."""
        return self.edge == edge and self.toxicity < 1.0 and self.schedule is None

    def collides_with(self, other: Fault) -> bool:
        """Whether one would replace or silence the other, were both on at once.

        At different times they would not, but then nobody could tell whose toxic is there.
        """
        if self.edge != other.edge:
            return False
        return self.is_down or other.is_down or self.toxic_name == other.toxic_name

    def slicing_problem(self) -> str | None:
        """What is wrong with how the sizes of slices vary, None where nothing is.

        Toxiproxy halves data and moves the cut by up to the variation: one above the
        average puts the cut outside, which ends Toxiproxy.
        """
        average = self.attributes.get("average_size", 0)
        variation = self.attributes.get("size_variation", 0)
        if self.toxic is not Toxic.SLICER or variation <= average:
            return None
        return f"expected size_variation <= average_size, which is {average}, found {variation}"

    def problems(self) -> tuple[str, ...]:
        """What Toxiproxy would take without a word, and do nothing, something else, or die of."""
        known = {} if self.toxic is None else TOXIC_LIMITS[self.toxic]
        found = [
            f"expected of {self.toxic or 'down'} no attribute but {list(known)}, found {name!r}"
            for name in sorted(set(self.attributes) - set(known))
        ]
        for name, (least, most) in known.items():
            value = self.attributes[name]
            if not least <= value <= most:
                bound = f">= {least}" if value < least else f"<= {most}"
                found.append(f"expected {name} {bound}, found {value}")
        found += filter(None, (self.slicing_problem(),))
        if not 0.0 <= self.toxicity <= 1.0:
            found.append(f"expected toxicity between 0 and 1, found {self.toxicity}")
        elif round(self.toxicity, TOXICITY_DECIMALS) != self.toxicity:
            found.append(
                f"expected toxicity with at most {TOXICITY_DECIMALS} decimals, "
                f"found {self.toxicity}"
            )
        if self.schedule is not None:
            found += self.schedule.problems()
        return tuple(found)


Conditions = Mapping[str, SettingValue]
"""``service.setting`` → value: deployment settings a case runs under.

``{"checkout.pool_size": 2, "payments.OTEL_PROPAGATORS": "none"}``: a name in upper
case is an environment variable as it stands, any other a setting of the service.
"""


MOST_THROWS: Final = 3


@dataclass(frozen=True, slots=True)
class Dice:
    """How the roll of the fractional fault on ``edge`` is read, and when it is good.

    Toxiproxy rolls once a connection. The warm-up's traces show which were hit: those
    whose spans fit ``predicate``, told apart by the attribute ``by``. Where their number
    does not obey ``bound`` the fault is put on anew, until there were ``throws`` throws.
    """

    edge: str
    predicate: Predicate
    by: str
    bound: Bound
    throws: int = MOST_THROWS

    def hit(self, traces: Iterable[Trace]) -> frozenset[AttributeValue]:
        """The values of ``by`` that were hit; the reference plays no part in it."""
        nothing = ReferenceStats()
        return frozenset(
            span.attributes[self.by]
            for trace in traces
            for span in self.predicate.matching(trace, nothing)
            if self.by in span.attributes
        )
