"""A warden without a disk: leases on a fake shop, for tests of what holds leases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count

from lab.domain.fault import Conditions, Fault
from lab.errors import LabError, LeaseError, LeaseGone, LeaseHeld
from lab.ports import Clock, EdgeState, Injector, LeaseStatus, Removal


@dataclass(frozen=True, slots=True)
class _Held:
    lease_id: str
    holder: str
    faults: tuple[Fault, ...]
    conditions: tuple[str, ...]
    ttl_s: float
    deadline_s: float


class MemoryWarden:
    """`lab.ports.Warden` over any injector; it only remembers the settings.

    Time works when it is looked at: a lease that has run out is removed by the next call.
    """

    def __init__(self, injector: Injector, clock: Clock) -> None:
        self._injector = injector
        self._clock = clock
        self._held: _Held | None = None
        self._numbers = count(1)

    async def take(
        self, *, holder: str, faults: Sequence[Fault], conditions: Conditions, ttl_s: float
    ) -> LeaseStatus:
        """Apply the faults; all or nothing."""
        await self._expire()
        if self._held is not None:
            raise LeaseHeld(f"expected no lease, found one of {self._held.holder}")
        lease = _Held(
            lease_id=f"lease-{next(self._numbers)}",
            holder=holder,
            faults=tuple(faults),
            conditions=tuple(conditions),
            ttl_s=ttl_s,
            deadline_s=self._clock.monotonic() + ttl_s,
        )
        applied: list[Fault] = []
        try:
            for fault in faults:
                await self._injector.apply(fault)
                applied.append(fault)
        except LabError as error:
            for fault in applied:
                await self._injector.remove(fault)
            raise LeaseError(str(error)) from error
        self._held = lease
        return self._status(lease)

    async def heartbeat(self, lease_id: str) -> LeaseStatus:
        """Start the lease's time to live anew."""
        lease = await self._find(lease_id)
        self._held = replace(lease, deadline_s=self._clock.monotonic() + lease.ttl_s)
        return self._status(self._held)

    async def release(self, lease_id: str) -> Removal:
        """Take everything away."""
        lease = await self._find(lease_id)
        return await self._remove(lease)

    async def current(self) -> LeaseStatus | None:
        """The lease that is held, if any."""
        await self._expire()
        return None if self._held is None else self._status(self._held)

    async def edges(self) -> Mapping[str, EdgeState]:
        """Every edge as the injector has it."""
        await self._expire()
        return await self._injector.edges()

    async def heal(self) -> Removal:
        """Clean every edge, whoever hurt it."""
        edges = (await self._injector.edges()).values()
        cut = tuple(Fault(edge.edge, None) for edge in edges if not edge.enabled)
        toxics = tuple(toxic for edge in edges for toxic in edge.toxics)
        conditions = self._held.conditions if self._held else ()
        await self._injector.reset()
        self._held = None
        return Removal(cut + toxics, conditions, method="api", proven_clean=True)

    async def _remove(self, lease: _Held) -> Removal:
        edges = await self._injector.edges()
        found = tuple(fault for fault in lease.faults if edges[fault.edge].shows(fault))
        for fault in found:
            await self._injector.remove(fault)
        self._held = None
        clean = all(edge.is_clean for edge in (await self._injector.edges()).values())
        return Removal(found, lease.conditions, method="api", proven_clean=clean)

    async def _expire(self) -> None:
        if self._held is not None and self._clock.monotonic() >= self._held.deadline_s:
            await self._remove(self._held)

    async def _find(self, lease_id: str) -> _Held:
        await self._expire()
        if self._held is None or self._held.lease_id != lease_id:
            raise LeaseGone(f"expected lease {lease_id} to be held, found it ended")
        return self._held

    def _status(self, lease: _Held) -> LeaseStatus:
        left_s = lease.deadline_s - self._clock.monotonic()
        return LeaseStatus(lease.lease_id, lease.holder, "held", left_s)
