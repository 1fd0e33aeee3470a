"""Taking harm away, whatever it costs, and proving that it is gone."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar, cast

from lab.domain.fault import Fault
from lab.errors import InjectorError, LabError, LeaseError, StackNotReady
from lab.frozen import dataclass
from lab.ports.clock import Clock
from lab.ports.injector import EdgeState, Injector
from lab.ports.services import Services
from lab.ports.warden import Removal
from lab.warden.diary import WardenJournal
from lab.warden.lease import Lease
from lab.warden.probe import Probe

METHODS: Final = ("api", "reset", "restart")
"""How Toxiproxy is brought to let go, the gentlest first."""

RESTART_PATIENCE_S: Final = 5.0
PROBE_TRIES: Final = 3
SECOND_LOOK_S: Final = 0.5
_PAUSE_S: Final = 0.2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Harm:
    """What must not be there afterwards, and what of it was there when the removal began.

    A *sweep* covers every edge, also those that no lease names; otherwise what
    a stranger put on an edge is none of our business, and is only reported.
    *In doubt* is harm whose putting on was cut short: a call that nobody waits
    for any more may still reach Toxiproxy.
    """

    faults: tuple[Fault, ...]
    services: tuple[str, ...]
    found_faults: tuple[Fault, ...]
    found_conditions: tuple[str, ...]
    found_strangers: tuple[str, ...]
    sweep: bool
    in_doubt: bool


def faults_on(edges: Mapping[str, EdgeState]) -> tuple[Fault, ...]:
    """All harm that edges have."""
    down = tuple(Fault(edge.edge, None) for edge in edges.values() if not edge.enabled)
    return down + tuple(toxic for edge in edges.values() for toxic in edge.toxics)


def _strangers_of(edges: Mapping[str, EdgeState]) -> tuple[str, ...]:
    return tuple(f"{edge.edge}: {edge.strange}" for edge in edges.values() if edge.strange)


def _shown(faults: Sequence[Fault], edges: Mapping[str, EdgeState]) -> tuple[Fault, ...]:
    return tuple(
        fault for fault in faults if fault.edge in edges and edges[fault.edge].shows(fault)
    )


async def _all(*work: Awaitable[T]) -> list[T]:
    """What each came to; where one fails the others still end, and then the first failure."""
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
    return cast("list[T]", outcomes)


class Remover:
    """One attempt at a time; every step may be repeated after any failure.

    ``restart`` asks for a new Toxiproxy, whose proxies then come clean from its
    configuration file. It is the last resort, for it breaks every connection.
    """

    def __init__(
        self,
        *,
        injector: Injector,
        services: Services,
        probe: Probe,
        restart: Callable[[], Awaitable[None]],
        clock: Clock,
        journal: WardenJournal,
    ) -> None:
        self._injector = injector
        self._services = services
        self._probe = probe
        self._restart = restart
        self._clock = clock
        self._journal = journal

    async def survey(
        self, lease: Lease | None, *, sweep: bool = False, in_doubt: bool = False
    ) -> Harm:
        """See what is really there: of ``lease`` alone, or, for a sweep, of everything.

        Where Toxiproxy or the shop cannot be asked, all of the lease counts as there.
        """
        leased = tuple(fault.unscheduled for fault in lease.faults) if lease else ()
        try:
            edges = await self._injector.edges() if leased or sweep else {}
        except LabError as error:
            self._journal.record("edges unreadable", problem=str(error))
            edges, found = {}, leased
        else:
            found = faults_on(edges) if sweep else _shown(leased, edges)
        strangers = _strangers_of(edges) if sweep else ()
        conditions, services = await self._changed_settings(lease, sweep=sweep)
        faults = leased + tuple(fault for fault in found if fault not in leased)
        return Harm(faults, services, found, conditions, strangers, sweep, in_doubt)

    async def _changed_settings(
        self, lease: Lease | None, *, sweep: bool
    ) -> tuple[tuple[str, ...], tuple[str, ...]]:
        leased = tuple(lease.conditions) if lease else ()
        services = lease.services if lease else ()
        if not leased and not sweep:
            return (), ()
        try:
            states = await self._services.states()
        except LabError as error:
            self._journal.record("settings unreadable", problem=str(error))
            return leased, services
        changed = {name for name, state in states.items() if state.overlay}
        conditions = tuple(name for name in leased if name.partition(".")[0] in changed)
        if not sweep:
            return conditions, services
        strange = sorted(changed - set(services))
        conditions += tuple(
            f"{name}.{variable}" for name in strange for variable in states[name].overlay
        )
        return conditions, tuple(sorted(changed | set(services)))

    async def remove(self, harm: Harm) -> Removal:
        """Faults off, then settings back, then the proof; LabError while anything is left."""
        method = await self._clear(harm)
        if harm.in_doubt and harm.faults:
            # What is in doubt seldom comes: settings need not wait for the second look.
            done: list[str | None] = await _all(
                self._clear_again(harm), self._restore(harm.services)
            )
            method = max((method, *filter(None, done)), key=METHODS.index)
        else:
            await self._restore(harm.services)
        proven = await self._prove(harm)
        return Removal(
            harm.found_faults,
            harm.found_conditions,
            method,
            proven,
            strangers=harm.found_strangers,
        )

    async def _clear_again(self, harm: Harm) -> str:
        await self._clock.sleep(SECOND_LOOK_S)
        return await self._clear(harm)

    async def _clear(self, harm: Harm) -> str:
        if not harm.faults and not harm.sweep:
            return METHODS[0]

        async def one_by_one() -> None:
            for fault in harm.faults:
                await self._injector.remove(fault)

        steps = (one_by_one, self._injector.reset, self._restart_and_wait)
        for method, step in zip(METHODS, steps, strict=True):
            try:
                await step()
                left = self._left(harm, await self._injector.edges())
                if not left:
                    return method
                problem = f"still there: {left}"
            except StackNotReady:
                # Nobody listens, so nobody harms, and a proxy that is starting needs no restart.
                raise
            except LabError as error:
                problem = str(error)
            self._journal.record("removal step failed", method=method, problem=problem)
        raise InjectorError(
            "expected Toxiproxy clean after removal, /reset and a restart, found "
            f"{problem}; `lab down`, then `lab up`"
        )

    @staticmethod
    def _left(harm: Harm, edges: Mapping[str, EdgeState]) -> list[str]:
        """The edges and strange proxies on which some of it is left."""
        if harm.sweep:
            return [edge.edge for edge in edges.values() if not edge.is_clean]
        return [fault.edge for fault in _shown(harm.faults, edges)]

    async def _restart_and_wait(self) -> None:
        await self._restart()
        deadline = self._clock.monotonic() + RESTART_PATIENCE_S
        while True:
            try:
                await self._injector.edges()
            except LabError:
                if self._clock.monotonic() > deadline:
                    raise
                await self._clock.sleep(_PAUSE_S)
            else:
                return

    async def _restore(self, services: Sequence[str]) -> None:
        """Back to the defaults, all at once; a service that has them is left alone."""
        if not services:
            return
        await _all(*(self._services.configure(name, {}) for name in await self._changed(services)))
        changed = await self._changed(services)
        if changed:
            raise LeaseError(f"expected {changed} to run with default settings; `lab status`")

    async def _changed(self, services: Sequence[str]) -> list[str]:
        states = await self._services.states()
        return [name for name in services if name in states and states[name].overlay]

    async def _prove(self, harm: Harm) -> bool:
        """Nothing shows harm, traffic passes the edges that were hurt, services are well again."""
        try:
            edges = await self._injector.edges()
            states = await self._services.states() if harm.services else {}
        except LabError as error:
            self._journal.record("not proven clean", problem=str(error))
            return False
        hurt = [edge.edge for edge in edges.values() if not edge.is_clean]
        sick = [name for name in harm.services if name in states and not states[name].healthy]
        known = {edge.edge for edge in edges.values() if not edge.strange}
        touched = known if harm.sweep else {fault.edge for fault in harm.faults}
        refusals = await self._refusals(sorted(touched))
        if hurt or sick or refusals:
            self._journal.record("not proven clean", edges=hurt, services=sick, probes=refusals)
        return not (hurt or sick or refusals)

    async def _refusals(self, touched: Sequence[str]) -> list[str]:
        for tried in range(1, PROBE_TRIES + 1):
            answers = await asyncio.gather(*(self._probe(edge) for edge in touched))
            refusals = [answer for answer in answers if answer is not None]
            if not refusals or tried == PROBE_TRIES:
                break
            await self._clock.sleep(_PAUSE_S)
        return refusals
