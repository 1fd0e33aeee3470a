"""A warden without a disk: leases on a fake shop, for tests of what holds leases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from lab.adapters.memory.services import MemoryServices
from lab.domain.fault import Conditions, Fault
from lab.errors import HarmStopped, InjectorError, LabError, LeaseError, LeaseGone, LeaseHeld
from lab.ports.clock import Clock
from lab.ports.injector import EdgeState, Injector
from lab.ports.services import Services, ShopState
from lab.ports.warden import HarmMark, LeasedEdges, LeaseStatus, Removal, Switch
from lab.shop.topology import SERVICES


@dataclass
class MemoryHarmMark:
    """`HarmMark` that outlives the wardens of a test; ``is_full`` lets the disk refuse."""

    is_pulled: bool = False
    is_full: bool = False

    def is_set(self) -> bool:
        """Whether harm is stopped."""
        return self.is_pulled

    def set(self) -> None:
        """Keep that harm is stopped."""
        self._write(is_pulled=True)

    def clear(self) -> None:
        """Keep that harm is allowed."""
        self._write(is_pulled=False)

    def _write(self, *, is_pulled: bool) -> None:
        if self.is_full:
            raise OSError(28, "No space left on device")
        self.is_pulled = is_pulled


@dataclass
class _Held:
    lease_id: str
    holder: str
    faults: tuple[Fault, ...]
    conditions: tuple[str, ...]
    ttl_s: float
    seed: int
    deadline_s: float = 0.0
    began_s: float | None = None
    on: list[Fault] = field(default_factory=list)
    switches: list[Switch] = field(default_factory=list)


class MemoryWarden:
    """`Warden` over any injector; it only remembers the settings.

    Time works when it is looked at: a fault that is due comes or goes, and a lease
    that has run out is removed, by the next call.
    """

    def __init__(
        self,
        injector: Injector,
        clock: Clock,
        services: Services | None = None,
        mark: HarmMark | None = None,
    ) -> None:
        self._injector = injector
        self._services = services or MemoryServices(SERVICES)
        self._clock = clock
        self._mark = mark or MemoryHarmMark()
        self._lease: _Held | None = None
        self._numbers = count(1)

    async def take(
        self,
        *,
        holder: str,
        faults: Sequence[Fault],
        conditions: Conditions,
        ttl_s: float,
        seed: int = 0,
    ) -> LeaseStatus:
        """Apply the faults that are due; all or nothing."""
        await self._let_time_pass()
        if self._mark.is_set():
            raise HarmStopped
        if self._lease is not None:
            left_s = self._status(self._lease).expires_in_s
            raise LeaseHeld(
                f"expected no lease, found one of {self._lease.holder} for another {left_s:.1f} s"
            )
        problems = [problem for fault in faults for problem in fault.problems()]
        if problems:
            raise LeaseError("; ".join(problems))
        lease = _Held(
            f"lease-{next(self._numbers)}", holder, tuple(faults), tuple(conditions), ttl_s, seed
        )
        try:
            await self._switch(lease)
        except LabError as error:
            await self._remove(lease)
            raise LeaseError(str(error)) from error
        lease.began_s = self._clock.monotonic()
        lease.deadline_s = lease.began_s + ttl_s
        self._lease = lease
        return self._status(lease)

    async def heartbeat(self, lease_id: str) -> LeaseStatus:
        """Start the lease's time to live anew."""
        lease = await self._held(lease_id)
        lease.deadline_s = self._clock.monotonic() + lease.ttl_s
        return self._status(lease)

    async def roll_again(self, lease_id: str, edge: str) -> LeaseStatus:
        """Take the fractional fault of that edge off and put it on."""
        lease = await self._held(lease_id)
        rolled = [fault for fault in lease.faults if fault.is_rolled_on(edge)]
        if len(rolled) != 1:
            raise LeaseError(f"expected one fractional fault of {edge}, found {len(rolled)}")
        try:
            await self._injector.remove(rolled[0])
            await self._injector.apply(rolled[0])
        except InjectorError as error:
            await self._remove(lease)
            raise LeaseError(str(error)) from error
        return self._status(lease)

    async def release(self, lease_id: str) -> Removal:
        """Take everything away."""
        await self._let_time_pass()
        return await self._remove(self._found(lease_id))

    async def current(self) -> LeaseStatus | None:
        """The lease that is held, if any."""
        await self._let_time_pass()
        return None if self._lease is None else self._status(self._lease)

    async def edges(self) -> Mapping[str, EdgeState]:
        """Every edge as the injector has it."""
        await self._let_time_pass()
        return await self._injector.edges()

    async def leased_edges(self, lease_id: str) -> LeasedEdges:
        """The same, and what the lease has on them."""
        lease = await self._held(lease_id)
        on = tuple(fault.unscheduled for fault in lease.faults if fault in lease.on)
        return LeasedEdges(await self._injector.edges(), on)

    async def heal(self) -> Removal:
        """Clean every edge, whoever hurt it."""
        edges = (await self._injector.edges()).values()
        strangers = tuple(f"{edge.edge}: {edge.strange}" for edge in edges if edge.strange)
        cut = tuple(Fault(edge.edge, None) for edge in edges if not edge.enabled)
        toxics = tuple(toxic for edge in edges for toxic in edge.toxics)
        conditions = self._lease.conditions if self._lease else ()
        await self._injector.reset()
        self._lease = None
        return Removal(
            cut + toxics, conditions, method="api", proven_clean=True, strangers=strangers
        )

    async def stop_harm(self) -> Removal:
        """Keep the mark, and heal."""
        self._mark.set()
        return await self.heal()

    async def allow_harm(self) -> None:
        """Take the mark away."""
        self._mark.clear()

    async def is_harm_stopped(self) -> bool:
        """Whether the mark is there."""
        return self._mark.is_set()

    async def shop(self) -> ShopState:
        """Every service as it is."""
        return ShopState(await self._services.states(), self._services.can_configure)

    async def _switch(self, lease: _Held) -> None:
        """Bring each fault to be on or off as its schedule says."""
        elapsed_s = 0.0 if lease.began_s is None else self._clock.monotonic() - lease.began_s
        for fault in lease.faults:
            wanted = fault.is_on(elapsed_s, lease.seed)
            if wanted is (fault in lease.on):
                continue
            harm = fault.unscheduled
            if wanted:
                await self._injector.apply(harm)
                lease.on.append(fault)
            else:
                await self._injector.remove(harm)
                lease.on.remove(fault)
            if fault.schedule is not None:
                late_s = elapsed_s - fault.turned_s(elapsed_s, lease.seed)
                lease.switches.append(Switch(harm, wanted, self._clock.unix(), late_s))

    async def _remove(self, lease: _Held) -> Removal:
        edges = await self._injector.edges()
        harm = [fault.unscheduled for fault in lease.on]
        found = tuple(fault for fault in harm if edges[fault.edge].shows(fault))
        for fault in found:
            await self._injector.remove(fault)
        self._lease = None
        clean = all(edge.is_clean for edge in (await self._injector.edges()).values())
        return Removal(found, lease.conditions, "api", clean, tuple(lease.switches))

    async def _let_time_pass(self) -> None:
        lease = self._lease
        if lease is None:
            return
        if self._mark.is_set() or self._clock.monotonic() >= lease.deadline_s:
            await self._remove(lease)
            return
        try:
            await self._switch(lease)
        except InjectorError:
            await self._remove(lease)

    async def _held(self, lease_id: str) -> _Held:
        await self._let_time_pass()
        if self._mark.is_set():
            raise HarmStopped
        return self._found(lease_id)

    def _found(self, lease_id: str) -> _Held:
        if self._lease is None or self._lease.lease_id != lease_id:
            raise LeaseGone(f"expected lease {lease_id} to be held, found it ended")
        return self._lease

    def _status(self, lease: _Held) -> LeaseStatus:
        left_s = lease.deadline_s - self._clock.monotonic()
        return LeaseStatus(lease.lease_id, lease.holder, "held", left_s)
