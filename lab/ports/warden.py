"""The one writer of harm, its leases, and what it took away."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from lab.domain.fault import Conditions, Fault
from lab.frozen import dataclass
from lab.ports.injector import EdgeState
from lab.ports.services import ShopState


@dataclass(frozen=True, slots=True)
class LeaseStatus:
    """A lease as the warden tells it; ``expires_in_s`` counts down between heartbeats."""

    lease_id: str
    holder: str
    state: str
    expires_in_s: float


@dataclass(frozen=True, slots=True)
class LeasedEdges:
    """Every edge at one moment between two switches; ``on`` holds the lease's faults due then."""

    edges: Mapping[str, EdgeState]
    on: tuple[Fault, ...]


@dataclass(frozen=True, slots=True)
class Switch:
    """A scheduled fault came or went.

    ``unix_s`` is when that had been read back, ``late_s`` by how much that was later
    than the schedule says, on the monotonic clock.
    """

    fault: Fault
    is_on: bool
    unix_s: float
    late_s: float


@dataclass(frozen=True, slots=True)
class Removal:
    """What a release, an expiry or a heal took away, and how it was proven gone.

    ``method`` is how Toxiproxy was brought to it: ``api``, ``reset`` or ``restart``.
    ``switches`` tells in order what the lease's schedules did before that. ``strangers``
    are the proxies that were none of the lab's, or led elsewhere, in words; a heal ends them.
    """

    faults: tuple[Fault, ...]
    conditions: tuple[str, ...]
    method: str
    proven_clean: bool
    switches: tuple[Switch, ...] = ()
    strangers: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """How many things were removed."""
        return len(self.faults) + len(self.conditions) + len(self.strangers)


class HarmMark(Protocol):
    """The safety lever as it lies on disk: set, harm is stopped."""

    def is_set(self) -> bool:
        """Whether harm is stopped; also where that cannot be found out, to be safe."""
        ...

    def set(self) -> None:
        """Keep from now on that harm is stopped; OSError where the disk refuses. Idempotent."""
        ...

    def clear(self) -> None:
        """Keep that harm is allowed again; OSError where the disk refuses. Idempotent."""
        ...


class Warden(Protocol):
    """Leases on harm. One at a time; harm never outlives its lease."""

    async def take(
        self,
        *,
        holder: str,
        faults: Sequence[Fault],
        conditions: Conditions,
        ttl_s: float,
        seed: int = 0,
    ) -> LeaseStatus:
        """Apply settings, then faults, under a lease; returns once both were read back.

        Of scheduled faults only those that are due at once; the others come and go
        while the lease is held, with jitter as ``seed`` decides.
        """
        ...

    async def heartbeat(self, lease_id: str) -> LeaseStatus:
        """Start the lease's time to live anew; LeaseGone or HarmStopped if it is gone."""
        ...

    async def roll_again(self, lease_id: str, edge: str) -> LeaseStatus:
        """Take the fractional fault of ``edge`` off and put it on, so that its dice fall anew."""
        ...

    async def release(self, lease_id: str) -> Removal:
        """Take everything away and prove it gone."""
        ...

    async def current(self) -> LeaseStatus | None:
        """The lease that is held, if any."""
        ...

    async def edges(self) -> Mapping[str, EdgeState]:
        """Every edge as Toxiproxy has it."""
        ...

    async def leased_edges(self, lease_id: str) -> LeasedEdges:
        """The edges and what they are to have, of one moment; LeaseGone if the lease is."""
        ...

    async def heal(self) -> Removal:
        """Return from any state to a clean shop; idempotent."""
        ...

    async def shop(self) -> ShopState:
        """Every service as whoever keeps it tells it."""
        ...

    async def stop_harm(self) -> Removal:
        """End any lease, heal, and answer every call for harm with HarmStopped from now on.

        That outlives the warden; only `allow_harm` ends it. Idempotent.
        """
        ...

    async def allow_harm(self) -> None:
        """Give leases again; idempotent."""
        ...

    async def is_harm_stopped(self) -> bool:
        """Whether no lease is given until `allow_harm`."""
        ...
