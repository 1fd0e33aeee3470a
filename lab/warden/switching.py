"""Faults that come and go by schedule while their lease is held."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from lab.domain.fault import Fault
from lab.errors import LeaseError
from lab.ports.clock import Clock
from lab.ports.injector import Injector
from lab.ports.warden import LeasedEdges, Switch
from lab.warden.diary import WardenJournal
from lab.warden.lease import Lease

LOOKS: Final = 20
_PAUSE_S: Final = 0.05
"""Between two looks: a switch takes some hundredths of a second."""


class Switchboard:
    """Which faults of one lease are on, and how they came to be.

    Time counts from `begin`, on the monotonic clock; until then only what is due at second 0 is.
    ``changes`` is odd from before a switch until it was read back (a sequence lock): whoever finds
    it even, and unchanged afterwards, has looked at a moment between two switches. A switch that
    fails leaves it odd for ever, for the call may still reach Toxiproxy.
    """

    def __init__(
        self, lease: Lease, injector: Injector, clock: Clock, journal: WardenJournal
    ) -> None:
        self._lease = lease
        self._injector = injector
        self._clock = clock
        self._journal = journal
        self._began_s: float | None = None
        self._on = [False] * len(lease.faults)
        self.switches: tuple[Switch, ...] = ()
        self.changes = 0

    @property
    def is_midway(self) -> bool:
        """Whether a switch is under way, or was cut short."""
        return self.changes % 2 == 1

    @property
    def on(self) -> tuple[Fault, ...]:
        """The faults that are on, as Toxiproxy has them."""
        each = zip(self._lease.faults, self._on, strict=True)
        return tuple(fault.unscheduled for fault, is_on in each if is_on)

    def begin(self) -> None:
        """Let the schedules' time run from now."""
        self._began_s = self._clock.monotonic()

    def next_due(self) -> int | None:
        """Which fault is to be switched now, by its number in the lease; None where none is."""
        elapsed_s = self._elapsed_s()
        for number, fault in enumerate(self._lease.faults):
            if fault.is_on(elapsed_s, self._lease.seed) is not self._on[number]:
                return number
        return None

    def _elapsed_s(self) -> float:
        return 0.0 if self._began_s is None else self._clock.monotonic() - self._began_s

    async def switch(self, number: int) -> None:
        """Switch that fault and read it back; LabError where that fails."""
        leased, is_on = self._lease.faults[number], not self._on[number]
        fault = leased.unscheduled
        due_s = leased.turned_s(self._elapsed_s(), self._lease.seed)
        self.changes += 1
        await (self._injector.apply(fault) if is_on else self._injector.remove(fault))
        self._on[number] = is_on
        self.changes += 1
        if leased.schedule is not None:
            switch = Switch(fault, is_on, self._clock.unix(), self._elapsed_s() - due_s)
            self.switches += (switch,)
            self._journal.record("switched", lease=self._lease.lease_id, **asdict(switch))

    async def roll_again(self, number: int) -> None:
        """Take that fault off and put it on again, so that each connection's dice fall anew.

        One change to whoever looks: the moment without it is nobody's to see.
        """
        fault = self._lease.faults[number].unscheduled
        self.changes += 1
        await self._injector.remove(fault)
        await self._injector.apply(fault)
        self.changes += 1
        self._journal.record("rolled again", lease=self._lease.lease_id, **asdict(fault))

    async def look(self) -> LeasedEdges:
        """All edges between two switches; LeaseError where `LOOKS` found no such moment."""
        for _ in range(LOOKS):
            changes = self.changes
            if not self.is_midway:
                edges = await self._injector.edges()
                if self.changes == changes:
                    return LeasedEdges(edges, self.on)
            await self._clock.sleep(_PAUSE_S)
        raise LeaseError(f"expected a moment between two switches, found none in {LOOKS} looks")
