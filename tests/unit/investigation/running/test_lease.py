"""What a run sees of its lease: faults that are due are expected, anything else is a stray."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from lab.adapters.memory.clock import FakeClock
from lab.adapters.memory.injector import MemoryInjector
from lab.adapters.memory.warden import MemoryWarden
from lab.domain.fault import Fault, Toxic
from lab.domain.schedule import Schedule
from lab.errors import HarmStopped
from lab.investigation.running.lease import HEARTBEAT_S, HeldLease, harm
from lab.ports.warden import LeasedEdges
from lab.shop.topology import EDGES

COMB = Fault("gateway-auth", Toxic.LATENCY, {"latency": 700}, schedule=Schedule(2, 4, 10))
STEADY = Fault("catalog-catalog_db", Toxic.LATENCY, {"latency": 80})
STRANGER = Fault("payments-bank", Toxic.LATENCY, {"latency": 5})

Act = Callable[[MemoryInjector], Awaitable[None]]

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class LyingWarden(MemoryWarden):
    """Says that nothing is due."""

    async def leased_edges(self, lease_id: str) -> LeasedEdges:
        return replace(await super().leased_edges(lease_id), on=())


async def held(
    until_s: float, act: Act | None = None, kind: type[MemoryWarden] = MemoryWarden
) -> HeldLease:
    """A lease held for so long, beat by beat; then ``act`` is done to the shop, and it ends."""
    clock = FakeClock()
    injector = MemoryInjector(edge.name for edge in EDGES)
    async with harm(kind(injector, clock), clock, "a run", (COMB, STEADY), {}, seed=1) as lease:
        while clock.monotonic() < until_s:  # noqa: ASYNC110 -- each turn is one beat
            await asyncio.sleep(0)
        if act is not None:
            assert lease.strays == 0
            await act(injector)
    assert lease.problem is None
    return lease


async def remove(injector: MemoryInjector, fault: Fault) -> None:
    await injector.remove(fault.unscheduled)


async def test_looks_all_through_a_schedule_are_as_leased() -> None:
    """Off, on, off and on again; and the lease tells each switch when it is over."""
    lease = await held(13.0)
    assert (lease.strays, lease.looks) == (0, 27)
    assert lease.removal is not None
    assert [switch.is_on for switch in lease.removal.switches] == [True, False, True]


@pytest.mark.parametrize("until_s", [1.0, 3.0], ids=["off", "on"])
@pytest.mark.parametrize(
    "act",
    [
        lambda injector: injector.apply(STRANGER),
        lambda injector: injector.apply(Fault(COMB.edge, Toxic.BANDWIDTH, {"rate": 1})),
        lambda injector: injector.apply(Fault("payments-bank", None)),
        lambda injector: remove(injector, STEADY),
    ],
    ids=["stranger", "stranger-beside-it", "stranger-cut", "vanished"],
)
async def test_what_is_not_as_leased_is_a_stray_at_any_time(act: Act, until_s: float) -> None:
    """A schedule excuses nothing but its own fault."""
    assert (await held(until_s, act)).strays == 1


async def test_a_scheduled_fault_that_vanished_while_on_is_a_stray() -> None:
    """Toxiproxy restarted in the middle of it."""
    assert (await held(3.0, lambda injector: remove(injector, COMB))).strays == 1


async def test_a_scheduled_fault_that_is_there_while_off_is_a_stray() -> None:
    """Somebody else's, of the same kind on the same edge."""
    assert (await held(1.0, lambda injector: injector.apply(COMB.unscheduled))).strays == 1


async def test_the_warden_is_asked_about_schedules_alone() -> None:
    """That a fault without one is always on, the run knows without it."""
    assert (await held(1.0, kind=LyingWarden)).strays == 0
    assert (await held(3.0, kind=LyingWarden)).strays > 0


@pytest.mark.parametrize("faults", [(), (STEADY,)], ids=["load alone", "a fault"])
async def test_the_safety_lever_ends_whatever_goes_on(faults: tuple[Fault, ...]) -> None:
    """Within a beat, with the reason, and nothing is left; load alone may be the harm."""
    clock = FakeClock()
    injector = MemoryInjector(edge.name for edge in EDGES)
    warden = MemoryWarden(injector, clock)

    async def go_on_for_ever() -> None:
        async with harm(warden, clock, "a run", faults, {}, seed=1):
            await warden.stop_harm()
            await asyncio.Event().wait()

    with pytest.raises(HarmStopped, match="lab allow-harm"):
        await go_on_for_ever()
    assert clock.monotonic() <= HEARTBEAT_S
    assert all(edge.is_clean for edge in (await injector.edges()).values())


async def test_a_body_that_ends_in_the_same_moment_is_told_as_well() -> None:
    """The last look finds the lever pulled."""
    clock = FakeClock()
    warden = MemoryWarden(MemoryInjector(edge.name for edge in EDGES), clock)
    lease = harm(warden, clock, "a run", (STEADY,), {}, seed=1)
    await lease.__aenter__()
    await warden.stop_harm()
    with pytest.raises(HarmStopped):
        await lease.__aexit__(None, None, None)
