"""Putting a lease's harm in place: settings first, then faults, each read back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Final

from lab.domain.fault import Conditions, Fault
from lab.errors import LeaseError
from lab.ports.clock import Clock
from lab.ports.injector import EdgeState, Injector
from lab.ports.services import Services, ShopState
from lab.shop.topology import EDGES, SERVICES
from lab.warden.diary import WardenJournal
from lab.warden.lease import Lease
from lab.warden.switching import Switchboard


def overlays(conditions: Conditions) -> Mapping[str, Mapping[str, str]]:
    """Service → variables to lay over its defaults.

    LeaseError lists every condition that names no service or no setting of it.
    """
    if not conditions:
        return {}
    # The shop's settings are slow to import, and most leases change none of them.
    from lab.shop.collector import COLLECTOR
    from lab.shop.keeper.environment import condition_environment, known_settings
    from lab.shop.topology import SERVICES

    found: dict[str, dict[str, str]] = {}
    problems = []
    for condition, value in conditions.items():
        service, _, setting = condition.partition(".")
        if service not in {*SERVICES, COLLECTOR}:
            known = [*SERVICES, COLLECTOR]
            problems.append(f"{condition}: expected a service of {known}")
        elif setting not in known_settings(service):
            problems.append(f"{condition}: expected a setting of {sorted(known_settings(service))}")
        elif service != COLLECTOR or value != "off":  # Which it is anyway.
            name, text = condition_environment(setting, value)
            found.setdefault(service, {})[name] = text
    if problems:
        raise LeaseError("; ".join(problems))
    return found


MAX_TTL_S: Final = 6 * 3600.0

_EDGES: Final = frozenset(edge.name for edge in EDGES)


def check_request(faults: Sequence[Fault], conditions: Conditions, ttl_s: float) -> None:
    """LeaseError with every reason why these could not be held together."""
    problems = [f"{fault.edge}: {problem}" for fault in faults for problem in fault.problems()]
    if not 0 < ttl_s <= MAX_TTL_S:
        problems.append(f"expected a time to live of 0 to {MAX_TTL_S:.0f} s, found {ttl_s}")
    problems += [
        f"expected an edge of {sorted(_EDGES)}, found {fault.edge!r}"
        for fault in faults
        if fault.edge not in _EDGES
    ]
    problems += [
        f"{one.edge}: expected no {other.toxic or 'down'} beside {one.toxic or 'down'}, "
        "for one would replace or silence the other"
        for one, other in combinations(faults, 2)
        if one.collides_with(other)
    ]
    if problems:
        raise LeaseError("; ".join(problems))
    overlays(conditions)


class Applier:
    """Carries out what a lease asks for; leaves half of it behind when it fails."""

    def __init__(
        self, injector: Injector, services: Services, clock: Clock, journal: WardenJournal
    ) -> None:
        self._injector = injector
        self._services = services
        self._clock = clock
        self._journal = journal

    async def edges(self) -> Mapping[str, EdgeState]:
        """Every edge as Toxiproxy has it."""
        return await self._injector.edges()

    async def shop(self) -> ShopState:
        """Every service of the shop as its keeper has it, without what else can be set."""
        states = await self._services.states()
        services = {name: state for name, state in states.items() if name in SERVICES}
        return ShopState(services, self._services.can_configure)

    async def check_edges(self, lease: Lease) -> None:
        """LeaseError where harm that ``lease`` asks for, or a cut, is on its edge already.

        Nobody could tell it from the lease's own afterwards.
        """
        if not lease.faults:
            return
        edges = await self._injector.edges()
        taken = [
            str(edges[fault.edge])
            for fault in lease.faults
            if fault.edge in edges
            and (edges[fault.edge].shows(fault) or not edges[fault.edge].enabled)
        ]
        if taken:
            raise LeaseError(f"expected free edges, found {'; '.join(taken)}; `lab heal`")

    async def apply(self, lease: Lease, check: Callable[[], None]) -> Switchboard:
        """Configure all services at once, then hurt the edges one by one, as far as due.

        Settings come first, because a service that restarts on a hurt edge might
        never become ready. ``check`` is called between all steps, and after the last one;
        what it raises ends the whole.
        """
        wanted = overlays(lease.conditions)
        if wanted:
            await self._configure(wanted)
        board = Switchboard(lease, self._injector, self._clock, self._journal)
        check()
        while (number := board.next_due()) is not None:
            await board.switch(number)
            check()
        return board

    async def _configure(self, wanted: Mapping[str, Mapping[str, str]]) -> None:
        outcomes = await asyncio.gather(
            *(self._services.configure(name, overlay) for name, overlay in wanted.items()),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome
        states = await self._services.states()
        for name, overlay in wanted.items():
            if name not in states or states[name].overlay != overlay:
                found = states[name].overlay if name in states else "no such service"
                raise LeaseError(f"expected {name} to run with {overlay}, found {found}")
