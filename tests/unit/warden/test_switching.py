"""Scheduled faults in the warden's state machine, on fakes and a clock that waits to be told."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lab.adapters.memory.clock import FakeClock
from lab.adapters.memory.injector import MemoryInjector
from lab.domain.fault import Fault, Toxic
from lab.domain.schedule import Schedule
from lab.errors import LeaseError, LeaseGone
from lab.ports.warden import LeaseStatus
from lab.warden.lease import LeaseState
from lab.warden.leases import Leases
from lab.warden.switching import LOOKS
from tests.support.warden_fakes import World

EDGE = "gateway-auth"
COMB = Fault(EDGE, Toxic.LATENCY, {"latency": 700}, schedule=Schedule(1, on_s=2, every_s=10))
STEADY = Fault("catalog-catalog_db", Toxic.LATENCY, {"latency": 80})
TTL_S = 30.0

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def take(warden: Leases, *faults: Fault, ttl_s: float = TTL_S) -> LeaseStatus:
    return await warden.take(holder="a run", faults=faults, conditions={}, ttl_s=ttl_s, seed=7)


async def pass_time(world: World, warden: Leases, seconds: float) -> None:
    """As the warden lives it: a tick each eighth of a second, which adds up exactly."""
    for _ in range(round(seconds * 8)):
        world.clock.advance(0.125)
        await warden.tick()


async def test_a_scheduled_fault_comes_and_goes_by_itself() -> None:
    """Nobody calls, nobody beats; only the warden's own ticks pass."""
    world = World()
    warden = world.warden()
    await take(warden, COMB, STEADY)
    hurt = []
    for _ in range(23):
        hurt.append(EDGE in await world.hurt())
        await pass_time(world, warden, 1.0)
    assert [second for second, is_hurt in enumerate(hurt) if is_hurt] == [1, 2, 11, 12, 21, 22]
    assert STEADY.edge in await world.hurt()


async def test_all_harm_is_written_ahead_with_its_schedule() -> None:
    """Also what has yet to come: whatever dies, the file names it."""
    world = World()
    await take(world.warden(), COMB, STEADY)
    assert world.storage.lease is not None
    assert world.storage.lease.faults == (COMB, STEADY)
    assert world.storage.lease.seed == 7
    assert world.diary == ["write applying", f"apply {STEADY.edge}", "write held"]


async def test_what_is_due_at_once_is_there_when_the_lease_is_given() -> None:
    """A schedule without a start begins with the lease."""
    world = World()
    await take(world.warden(), replace(COMB, schedule=Schedule(on_s=2)))
    assert await world.hurt() == [EDGE]


async def test_a_schedule_counts_from_the_moment_the_lease_is_held() -> None:
    """A service that takes its time to restart does not use up the first seconds."""
    world = World()
    warden = world.warden()
    configure = world.services.configure

    async def slowly(service: str, overlay: dict[str, str]) -> None:
        world.clock.advance(5.0)
        await configure(service, overlay)

    world.services.configure = slowly  # type: ignore[method-assign, assignment]
    await warden.take(
        holder="a run", faults=[COMB], conditions={"checkout.pool_size": 2}, ttl_s=TTL_S
    )
    await pass_time(world, warden, 0.875)
    assert await world.hurt() == []
    await pass_time(world, warden, 0.25)
    assert await world.hurt() == [EDGE]


SICK = Fault("catalog-catalog_db", Toxic.LATENCY, {"latency": 600}, toxicity=0.3)


async def test_dice_are_thrown_again_under_the_same_lease() -> None:
    """Off and on, read back, and as one change: no look falls between the two."""
    world = World()
    warden = world.warden()
    lease = await take(warden, SICK, COMB)
    board = warden._board
    assert board is not None
    changes = board.changes
    await warden.roll_again(lease.lease_id, SICK.edge)
    assert world.diary[-2:] == [f"remove {SICK.edge}", f"apply {SICK.edge}"]
    assert (await warden.leased_edges(lease.lease_id)).on == (SICK,)
    assert board.changes == changes + 2
    removal = await warden.release(lease.lease_id)
    assert (removal.faults, removal.switches) == ((SICK,), ())


@pytest.mark.parametrize(
    ("fault", "edge"),
    [
        (replace(SICK, toxicity=1.0), SICK.edge),
        (replace(SICK, schedule=Schedule(1)), SICK.edge),
        (SICK, EDGE),
    ],
    ids=["no dice", "scheduled", "another edge"],
)
async def test_what_leaves_nothing_to_chance_is_not_thrown(fault: Fault, edge: str) -> None:
    world = World()
    warden = world.warden()
    lease = await take(warden, fault)
    with pytest.raises(LeaseError, match="expected one fault of"):
        await warden.roll_again(lease.lease_id, edge)
    assert (await warden.heartbeat(lease.lease_id)).state == "held"


@pytest.mark.parametrize("call", ["remove", "apply", "answers"])
async def test_a_throw_that_fails_ends_the_lease_and_its_harm(call: str) -> None:
    world = World()
    warden = world.warden()
    lease = await take(warden, SICK)
    world.injector.stuck = {call}
    with pytest.raises(LeaseError, match="being taken back"):
        await warden.roll_again(lease.lease_id, SICK.edge)
    with pytest.raises(LeaseGone):
        await warden.heartbeat(lease.lease_id)
    world.injector.stuck = set()
    await pass_time(world, warden, 10.0)
    assert await world.hurt() == []
    assert world.storage.lease is None


async def test_a_lease_that_is_gone_throws_nothing() -> None:
    world = World()
    warden = world.warden()
    lease = await take(warden, SICK)
    await warden.release(lease.lease_id)
    with pytest.raises(LeaseGone):
        await warden.roll_again(lease.lease_id, SICK.edge)


async def test_the_seed_of_the_lease_decides_the_jitter() -> None:
    """What the warden does is what the schedule's own arithmetic says."""
    jittery = replace(COMB, schedule=Schedule(1, on_s=2, every_s=20, jitter_s=8))
    world = World()
    warden = world.warden()
    await take(warden, jittery)
    for tick in range(200):
        assert (await world.hurt() == [EDGE]) is jittery.is_on(world.clock.monotonic(), 7), tick
        await pass_time(world, warden, 0.125)


@pytest.mark.parametrize("seconds", [0.5, 1.5, 3.5], ids=["not-yet", "on", "off-again"])
async def test_a_removal_takes_a_scheduled_fault_with_it(seconds: float) -> None:
    """On or off, released or expired: nothing is left, and nothing comes back."""
    world = World()
    warden = world.warden()
    lease = await take(warden, COMB, STEADY)
    await pass_time(world, warden, seconds)
    is_on = EDGE in await world.hurt()
    removal = await warden.release(lease.lease_id)
    assert removal.faults == ((COMB.unscheduled, STEADY) if is_on else (STEADY,))
    assert removal.proven_clean
    await pass_time(world, warden, 15.0)
    assert await world.hurt() == []
    assert world.storage.lease is None


async def test_a_removal_reports_each_switch_and_so_does_the_diary() -> None:
    """Which fault, on or off, and when by the wall clock; faults without a schedule are none."""
    world = World()
    warden = world.warden()
    lease = await take(warden, COMB, STEADY)
    await pass_time(world, warden, 12.0)
    switches = (await warden.release(lease.lease_id)).switches
    assert [switch.is_on for switch in switches] == [True, False, True]
    assert {switch.fault.edge for switch in switches} == {EDGE}
    start_s = FakeClock().unix()
    assert [switch.unix_s - start_s for switch in switches] == pytest.approx([1, 3, 11], abs=0.001)
    assert [switch.late_s for switch in switches] == [0, 0, 0]
    told = [facts for event, facts in world.journal.entries if event == "switched"]
    assert [(facts["is_on"], facts["unix_s"]) for facts in told] == [
        (switch.is_on, switch.unix_s) for switch in switches
    ]


async def test_a_switch_that_comes_late_says_by_how_much() -> None:
    """Be it that no tick came in time, or that Toxiproxy took its time."""
    world = World()
    warden = world.warden()
    lease = await take(warden, COMB)
    apply = world.injector.apply

    async def slowly(fault: Fault) -> None:
        world.clock.advance(0.5)
        await apply(fault)

    world.injector.apply = slowly  # type: ignore[method-assign]
    world.clock.advance(1.25)
    await warden.tick()
    world.clock.advance(4.0)
    await warden.tick()
    switches = (await warden.release(lease.lease_id)).switches
    assert [switch.late_s for switch in switches] == [0.75, 2.75]


async def test_a_lease_that_runs_out_in_the_middle_is_not_switched_further() -> None:
    """Time is looked at between two switches, however many are due at once."""
    world = World()
    warden = world.warden()
    other = replace(COMB, edge="checkout-catalog")
    await take(warden, COMB, other)
    apply = world.injector.apply

    async def slowly(fault: Fault) -> None:
        await apply(fault)
        world.clock.advance(TTL_S)

    world.injector.apply = slowly  # type: ignore[method-assign]
    world.clock.advance(1.0)
    await warden.tick()
    assert await world.hurt() == [EDGE]
    await warden.tick()
    assert await world.hurt() == []


async def test_the_next_lease_reports_only_its_own_switches() -> None:
    """Nothing of the last one's is left."""
    world = World()
    warden = world.warden()
    first = await take(warden, COMB)
    await pass_time(world, warden, 2.0)
    assert len((await warden.release(first.lease_id)).switches) == 1
    second = await take(warden, COMB)
    assert (await warden.release(second.lease_id)).switches == ()


@pytest.mark.parametrize(
    ("stuck", "seconds"), [("apply", 1.125), ("answers", 1.125), ("remove", 3.125)]
)
async def test_a_switch_that_fails_ends_the_lease(stuck: str, seconds: float) -> None:
    """Harm that is not what the lease says proves nothing: it goes, and its holder is told."""
    world = World()
    warden = world.warden()
    lease = await take(warden, COMB, STEADY)
    await pass_time(world, warden, seconds - 0.25)
    world.injector.stuck = {stuck}
    await pass_time(world, warden, 0.25)
    assert await world.hurt() == []
    with pytest.raises(LeaseGone, match="could not be switched"):
        await warden.heartbeat(lease.lease_id)
    assert any(
        event == "removing" and "could not be switched" in str(facts["why"])
        for event, facts in world.journal.entries
    )


async def test_a_switch_that_arrives_late_is_caught_by_a_second_look() -> None:
    """A call that was given up may still reach Toxiproxy after the first removal."""
    world = World()
    warden = world.warden()
    await take(warden, COMB)
    await pass_time(world, warden, 0.875)
    world.injector.stuck = {"apply"}
    sleep = world.clock.sleep

    async def late(seconds: float) -> None:
        await sleep(seconds)
        if world.storage.lease is not None and await world.hurt() == []:
            await MemoryInjector.apply(world.injector, COMB.unscheduled)

    world.clock.sleep = late  # type: ignore[method-assign]
    await pass_time(world, warden, 0.25)
    assert world.storage.lease is None
    assert await world.hurt() == []


async def test_a_toxiproxy_that_is_down_when_a_switch_is_due_ends_the_lease() -> None:
    """And the removal waits until it is back."""
    world = World()
    warden = world.warden()
    await take(warden, COMB)
    world.injector.is_listening = False
    await pass_time(world, warden, 2.0)
    status = await warden.current()
    assert status is not None
    assert status.state == "removing"
    world.injector.is_listening = True
    await pass_time(world, warden, 5.0)
    assert await warden.current() is None


async def test_a_switch_that_is_cut_off_is_removed_in_doubt() -> None:
    """A tick that was cancelled, or broke, leaves a switch nobody will ever read back."""
    world = World()
    warden = world.warden()
    await take(warden, COMB)
    world.clock.advance(1.0)
    reached = world.hang_after_applying()
    ticking = asyncio.create_task(warden.tick())
    await reached.wait()
    ticking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ticking
    await warden.tick()
    assert await world.hurt() == []
    assert world.diary.count(f"remove {EDGE}") == 2, "a second look, for the call may come late"


async def test_a_lease_that_runs_out_is_not_switched_any_more() -> None:
    """Expiry goes before a switch that is due at the same moment."""
    world = World()
    warden = world.warden()
    await take(warden, COMB, ttl_s=1.0)
    world.clock.advance(1.0)
    await warden.tick()
    assert await world.hurt() == []
    assert f"apply {EDGE}" not in world.diary


@pytest.mark.parametrize("state", list(LeaseState))
@pytest.mark.parametrize("seconds", [0.5, 1.5], ids=["off", "on"])
async def test_an_earlier_warden_s_schedule_ends_with_it(state: LeaseState, seconds: float) -> None:
    """Its successor removes all that is named, and follows no schedule of a lease it never gave."""
    world = World()
    first = world.warden()
    await take(first, COMB)
    await pass_time(world, first, seconds)
    assert world.storage.lease is not None
    world.storage.lease = replace(world.storage.lease, state=state)
    warden = world.warden()
    await warden.tick()
    assert await world.hurt() == []
    await pass_time(world, warden, 12.0)
    assert await world.hurt() == []


async def test_a_wall_clock_that_jumps_moves_neither_lease_nor_schedule() -> None:
    """Both run on the monotonic clock; the wall clock only dates the switches."""

    class Jumping(FakeClock):
        def unix(self) -> float:
            self._offset_s = -2 * self._offset_s
            return super().unix()

    world = World(clock=Jumping())
    warden = world.warden()
    lease = await take(warden, COMB, ttl_s=4.0)
    await pass_time(world, warden, 0.875)
    assert await world.hurt() == []
    await pass_time(world, warden, 0.25)
    assert await world.hurt() == [EDGE]
    assert (await warden.heartbeat(lease.lease_id)).expires_in_s == 4.0
    await pass_time(world, warden, 3.875)
    assert await warden.current() is not None
    await pass_time(world, warden, 0.125)
    assert await warden.current() is None


async def test_a_look_shows_what_is_due_at_its_moment() -> None:
    """Edges and expectation belong together, before, while and after a fault is on."""
    world = World()
    warden = world.warden()
    lease = await take(warden, COMB, STEADY)
    for seconds, on in [(0.5, (STEADY,)), (1.0, (COMB.unscheduled, STEADY)), (2.0, (STEADY,))]:
        await pass_time(world, warden, seconds)
        seen = await warden.leased_edges(lease.lease_id)
        assert seen.on == on
        assert {toxic.edge for edge in seen.edges.values() for toxic in edge.toxics} == {
            fault.edge for fault in on
        }


async def test_a_look_that_meets_a_switch_is_taken_again() -> None:
    """What was read while a switch was under way belongs to no moment."""
    world = World()
    warden = world.warden()
    lease = await take(warden, COMB)
    edges = world.injector.edges
    met: list[bool] = []

    async def meet() -> object:
        seen = await edges()
        if not met:
            met.append(True)
            world.clock.advance(1.0)
            await warden.tick()
        return seen

    world.injector.edges = meet  # type: ignore[method-assign, assignment]
    seen = await warden.leased_edges(lease.lease_id)
    assert seen.on == (COMB.unscheduled,)
    assert seen.edges[EDGE].toxics == (COMB.unscheduled,)


async def test_a_look_that_never_finds_a_quiet_moment_says_so() -> None:
    """It is given up, not answered with a guess."""
    world = World()
    warden = world.warden()
    lease = await take(warden, COMB, ttl_s=3600.0)
    assert warden._board is not None
    warden._board.changes = 1
    with pytest.raises(LeaseError, match=f"none in {LOOKS} looks"):
        await warden.leased_edges(lease.lease_id)


async def test_a_look_at_a_lease_that_is_gone_is_refused() -> None:
    """Also where it ended while the edges were read."""
    world = World()
    warden = world.warden()
    lease = await take(warden, COMB)
    edges = world.injector.edges

    async def too_long() -> object:
        world.clock.advance(TTL_S)
        return await edges()

    world.injector.edges = too_long  # type: ignore[method-assign, assignment]
    with pytest.raises(LeaseGone):
        await warden.leased_edges(lease.lease_id)
    await warden.tick()
    with pytest.raises(LeaseGone, match="expired"):
        await warden.leased_edges(lease.lease_id)
