"""The warden's state machine, on fakes and a clock that only moves when told."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from lab.adapters.memory.injector import MemoryInjector
from lab.domain.fault import Fault, Toxic
from lab.errors import HarmStopped, LeaseError, LeaseGone, LeaseHeld
from lab.ports.warden import LeaseStatus, Removal
from lab.warden.ending import PATIENCE_S
from lab.warden.lease import LeaseState
from lab.warden.leases import Leases
from tests.support.warden_fakes import World

TIMEOUT = Fault("auth-users_db", Toxic.TIMEOUT)
SLOW = Fault("catalog-catalog_db", Toxic.LATENCY, {"latency": 80})

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def take(
    warden: Leases, *faults: Fault, ttl_s: float = 3.0, **conditions: int
) -> LeaseStatus:
    return await warden.take(
        holder="a run",
        faults=faults,
        conditions={name.replace("__", "."): value for name, value in conditions.items()},
        ttl_s=ttl_s,
    )


async def test_the_order_is_write_do_write_undo_forget() -> None:
    """Harm is on disk before it is anywhere else; settings enclose faults."""
    world = World()
    warden = world.warden()
    lease = await take(warden, TIMEOUT, checkout__pool_size=2)
    await warden.release(lease.lease_id)
    assert world.diary == [
        "write applying",
        "configure checkout {'SHOP_POOL_SIZE': '2'}",
        "apply auth-users_db",
        "write held",
        "write removing",
        "remove auth-users_db",
        "configure checkout {}",
        "forget",
    ]


async def test_a_removal_counts_faults_and_settings() -> None:
    """Both are harm, and both are named."""
    world = World()
    warden = world.warden()
    lease = await take(warden, TIMEOUT, SLOW, checkout__pool_size=2)
    removal = await warden.release(lease.lease_id)
    assert removal.faults == (TIMEOUT, SLOW)
    assert removal.conditions == ("checkout.pool_size",)
    assert (removal.count, removal.method, removal.proven_clean) == (3, "api", True)
    assert world.services.restarted == ["checkout", "checkout"]


async def test_a_lease_expires_at_its_time_and_not_before() -> None:
    """The monotonic clock decides, and a heartbeat sets it back."""
    world = World()
    warden = world.warden()
    lease = await take(warden, TIMEOUT)
    world.clock.advance(2.5)
    await warden.heartbeat(lease.lease_id)
    world.clock.advance(2.5)
    await warden.tick()
    assert await world.hurt() == ["auth-users_db"]
    world.clock.advance(0.5)
    await warden.tick()
    assert await world.hurt() == []
    assert await warden.current() is None


async def test_a_heartbeat_after_the_time_is_too_late() -> None:
    """Even before the tick that removes: a laptop that slept must not revive a lease."""
    world = World()
    warden = world.warden()
    lease = await take(warden, TIMEOUT)
    world.clock.advance(3.0)
    with pytest.raises(LeaseGone):
        await warden.heartbeat(lease.lease_id)


async def test_the_end_of_a_lease_is_told_to_its_late_holder() -> None:
    """The refusal says how the lease ended."""
    world = World()
    warden = world.warden()
    lease = await take(warden, TIMEOUT)
    world.clock.advance(3.0)
    await warden.tick()
    with pytest.raises(LeaseGone, match="expired"):
        await warden.release(lease.lease_id)


async def test_a_second_caller_learns_until_when() -> None:
    """Holder, state and the seconds left are in the refusal."""
    world = World()
    warden = world.warden()
    await take(warden, TIMEOUT)
    world.clock.advance(1.0)
    with pytest.raises(LeaseHeld, match=r"a run \(held\) for another 2\.0 s"):
        await take(warden, SLOW)


@pytest.mark.parametrize(
    ("stuck", "method"),
    [
        (set(), "api"),
        ({"remove"}, "reset"),
        ({"remove", "reset"}, "restart"),
        ({"edges", "remove", "reset"}, "restart"),
    ],
    ids=["well", "remove-hangs", "reset-hangs", "all-hangs"],
)
async def test_a_stuck_toxiproxy_is_brought_to_let_go(stuck: set[str], method: str) -> None:
    """First gently, then by reset, then by restart; the removal says which it took."""
    world = World()
    warden = world.warden()
    lease = await take(warden, TIMEOUT)
    world.injector.stuck = stuck
    removal = await warden.release(lease.lease_id)
    assert (removal.method, removal.proven_clean) == (method, True)
    assert await world.hurt() == []
    assert ("removed", method) in [(e, f.get("method")) for e, f in world.journal.entries]


async def test_a_toxiproxy_that_is_down_is_waited_for_not_restarted() -> None:
    """Nobody listening harms nobody; the lease stays until it can be proven gone."""
    world = World()
    warden = world.warden()
    lease = await take(warden, TIMEOUT)
    world.injector.is_listening = False
    with pytest.raises(LeaseError, match="nobody listens"):
        await warden.release(lease.lease_id)
    assert "restart" not in world.diary
    assert world.storage.lease is not None
    status = await warden.current()
    assert status is not None
    assert status.state == "removing"


async def test_a_removal_that_failed_is_tried_again_by_itself() -> None:
    """The caller gives up after a while, the warden does not, and nobody gets a lease between."""
    world = World()
    warden = world.warden()
    lease = await take(warden, TIMEOUT)
    world.injector.is_listening = False
    start_s = world.clock.monotonic()
    with pytest.raises(LeaseError):
        await warden.release(lease.lease_id)
    assert world.clock.monotonic() - start_s <= PATIENCE_S
    with pytest.raises(LeaseHeld, match="removing"):
        await take(warden, SLOW)
    world.injector.is_listening = True
    world.clock.advance(10.0)
    await warden.tick()
    assert await warden.current() is None
    assert await world.hurt() == []


async def test_pauses_between_attempts_grow() -> None:
    """A stack that is down for long is not hammered."""
    world = World()
    warden = world.warden()
    await take(warden, TIMEOUT, ttl_s=0.1)
    world.injector.is_listening = False
    for _ in range(600):
        world.clock.advance(0.1)
        await warden.tick()
    attempts = [event for event, _ in world.journal.entries if event == "removal failed"]
    assert 14 <= len(attempts) <= 20


async def test_a_full_disk_stops_a_lease_before_it_starts() -> None:
    """Without the write-ahead nothing is touched."""
    world = World()
    warden = world.warden()
    world.storage.full = {LeaseState.APPLYING}
    with pytest.raises(LeaseError, match="nothing was touched"):
        await take(warden, TIMEOUT)
    assert world.diary == []
    assert await warden.current() is None


async def test_a_disk_that_fills_up_midway_ends_the_lease() -> None:
    """A lease that cannot be called held on disk is taken back."""
    world = World()
    warden = world.warden()
    world.storage.full = {LeaseState.HELD, LeaseState.REMOVING}
    with pytest.raises(LeaseError, match="No space"):
        await take(warden, TIMEOUT)
    assert await world.hurt() == []
    assert world.storage.lease is None


async def test_a_lease_that_cannot_be_forgotten_is_kept_and_tried_again() -> None:
    """Forgetting is part of the removal: a file left behind would be removed again at the start."""
    world = World()
    warden = world.warden()
    lease = await take(warden, TIMEOUT)
    world.storage.full = {"clear"}
    with pytest.raises(LeaseError, match="Read-only"):
        await warden.release(lease.lease_id)
    assert await world.hurt() == []
    world.storage.full = set()
    assert (await warden.release(lease.lease_id)).faults == (TIMEOUT,)


async def test_what_fails_halfway_is_taken_back_whole() -> None:
    """A service that will not start with a setting takes the other service's setting with it."""
    world = World()
    warden = world.warden()
    world.services.broken = {"payments"}
    with pytest.raises(LeaseError, match="payments"):
        await take(warden, TIMEOUT, checkout__pool_size=2, payments__pool_size=2)
    assert await world.changed() == []
    assert await world.hurt() == []
    assert world.storage.lease is None


async def test_a_fault_that_hangs_takes_the_settings_with_it() -> None:
    """All or nothing, also across the two kinds of harm."""
    world = World()
    warden = world.warden()
    world.injector.stuck = {"apply"}
    with pytest.raises(LeaseError, match="taken back"):
        await take(warden, TIMEOUT, checkout__pool_size=2)
    assert await world.changed() == []


async def test_a_call_that_arrives_late_is_caught_by_a_second_look() -> None:
    """A toxic whose call timed out may still be put on while it is being taken back."""
    world = World()
    warden = world.warden()
    world.injector.stuck = {"apply"}
    sleep = world.clock.sleep

    async def late(seconds: float) -> None:
        await sleep(seconds)
        if await world.hurt() == [] and "forget" not in world.diary:
            await MemoryInjector.apply(world.injector, TIMEOUT)

    world.clock.sleep = late  # type: ignore[method-assign]
    with pytest.raises(LeaseError, match="taken back"):
        await take(warden, TIMEOUT)
    assert await world.hurt() == []


async def test_a_fault_that_is_there_already_is_not_ours_to_take() -> None:
    """Nothing is written or touched, and the stranger's toxic stays."""
    world = World()
    warden = world.warden()
    await MemoryInjector.apply(world.injector, TIMEOUT)
    in_words = "expected free edges, found auth-users_db timeout timeout=0; `lab heal`"
    with pytest.raises(LeaseError, match=in_words):
        await take(warden, SLOW, TIMEOUT)
    assert world.diary == []
    assert await world.hurt() == ["auth-users_db"]


@pytest.mark.parametrize("state", list(LeaseState))
async def test_what_an_earlier_warden_left_is_removed_before_anything(state: LeaseState) -> None:
    """Whatever it was doing when it died: not ready until all the file names is gone."""
    world = World()
    await take(world.warden(), TIMEOUT, checkout__pool_size=2)
    assert world.storage.lease is not None
    world.storage.lease = replace(world.storage.lease, state=state)
    warden = world.warden()
    assert not warden.is_ready
    with pytest.raises(LeaseHeld):
        await take(warden, SLOW)
    await warden.tick()
    assert warden.is_ready
    assert (await world.hurt(), await world.changed()) == ([], [])
    assert world.storage.lease is None


async def test_a_start_without_a_lease_touches_nothing() -> None:
    """A toxic that no lease names is a stranger's, and a clean start costs no time."""
    world = World()
    await MemoryInjector.apply(world.injector, SLOW)
    warden = world.warden()
    assert warden.is_ready
    await warden.tick()
    assert await world.hurt() == ["catalog-catalog_db"]


async def test_an_unreadable_lease_makes_every_edge_suspect() -> None:
    """Nobody knows what it named, so everything is cleaned."""
    world = World()
    await take(world.warden(), TIMEOUT, checkout__pool_size=2)
    world.storage.is_readable = False
    warden = world.warden()
    assert not warden.is_ready
    await warden.tick()
    assert (await world.hurt(), await world.changed()) == ([], [])
    assert warden.is_ready


async def test_a_warden_that_is_asked_to_stop_leaves_a_clean_shop() -> None:
    """SIGTERM ends the lease; what it cannot end stays on disk for the next start."""
    world = World()
    warden = world.warden()
    await take(warden, TIMEOUT)
    await warden.shut_down()
    assert await world.hurt() == []
    assert world.storage.lease is None


async def test_a_stop_that_cannot_clean_keeps_the_lease_on_disk() -> None:
    """The next warden's start will."""
    world = World()
    warden = world.warden()
    await take(warden, TIMEOUT)
    world.injector.is_listening = False
    await warden.shut_down()
    assert world.storage.lease is not None
    world.injector.is_listening = True
    await world.warden().tick()
    assert await world.hurt() == []


async def test_a_take_that_is_cut_off_is_abandoned_and_undone() -> None:
    """A request cancelled in the middle leaves a lease that nobody applies any more."""
    world = World()
    warden = world.warden()
    reached = world.hang_after_applying()
    taking = asyncio.create_task(take(warden, TIMEOUT))
    await reached.wait()
    await warden.tick()
    assert await world.hurt() == ["auth-users_db"], "a lease being applied is left alone"
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    await warden.tick()
    assert await world.hurt() == []
    assert await warden.current() is None


async def test_settings_do_not_wait_for_the_second_look() -> None:
    """Whether a late call brings more harm shows after a while; the shop is mended meanwhile."""
    world = World()
    await take(world.warden(), TIMEOUT, checkout__pool_size=2)
    world.diary.clear()
    sleep = world.clock.sleep

    async def sleep_for_a_while(seconds: float) -> None:
        for _ in range(10):
            await sleep(seconds / 10)

    world.clock.sleep = sleep_for_a_while  # type: ignore[method-assign]
    await world.warden().tick()
    kept = [line for line in world.diary if line.startswith(("remove", "configure"))]
    assert kept == ["remove auth-users_db", "configure checkout {}", "remove auth-users_db"]


async def test_a_setting_that_stays_does_not_spare_the_second_look() -> None:
    """The service refuses at once; harm that comes late is found all the same."""
    world = World()
    await take(world.warden(), TIMEOUT, checkout__pool_size=2)
    world.services.broken = {"checkout"}
    sleep = world.clock.sleep

    async def harm_comes_late(seconds: float) -> None:
        await world.injector.apply(TIMEOUT)
        await sleep(seconds)

    world.clock.sleep = harm_comes_late  # type: ignore[method-assign]
    await world.warden().tick()
    assert await world.hurt() == []
    assert world.storage.lease is not None, "the setting is left, and with it the lease"


async def test_an_edge_that_lets_nothing_through_is_not_proven_clean() -> None:
    """Toxiproxy may say clean and still be stuck: only traffic proves it."""
    world = World()
    warden = world.warden()
    lease = await take(warden, TIMEOUT)
    world.refusals = {"auth-users_db": "auth-users_db: no answer within 1 s"}
    removal = await warden.release(lease.lease_id)
    assert removal.faults == (TIMEOUT,)
    assert not removal.proven_clean


async def test_a_probe_that_fails_once_is_asked_again() -> None:
    """A listener that has just come back may take a moment."""
    world = World()
    warden = world.warden()
    lease = await take(warden, TIMEOUT)
    world.refusals = {"auth-users_db": "refused"}
    sleep = world.clock.sleep

    async def recover(seconds: float) -> None:
        world.refusals.clear()
        await sleep(seconds)

    world.clock.sleep = recover  # type: ignore[method-assign]
    assert (await warden.release(lease.lease_id)).proven_clean


async def test_heal_undoes_settings_that_no_lease_names() -> None:
    """They are named by service and variable, since nobody knows the setting any more."""
    world = World()
    warden = world.warden()
    await world.services.configure("bank", {"SHOP_KEEP_ALIVE": "1s"})
    removal = await warden.heal()
    assert removal.conditions == ("bank.SHOP_KEEP_ALIVE",)
    assert await world.changed() == []


async def test_heal_without_a_stack_says_so_and_is_over() -> None:
    """Its failure leaves no removal behind that would refuse the next lease."""
    world = World()
    warden = world.warden()
    world.injector.is_listening = False
    with pytest.raises(LeaseError, match="nobody listens"):
        await warden.heal()
    world.injector.is_listening = True
    await take(warden, TIMEOUT)


async def test_heal_ends_a_removal_that_is_stuck() -> None:
    """It may be called in any state."""
    world = World()
    warden = world.warden()
    lease = await take(warden, TIMEOUT)
    world.injector.is_listening = False
    with pytest.raises(LeaseError):
        await warden.release(lease.lease_id)
    world.injector.is_listening = True
    assert (await warden.heal()).faults == (TIMEOUT,)
    assert await warden.current() is None


async def test_a_defect_in_a_removal_does_not_end_the_trying() -> None:
    """An error that nobody foresaw waits its turn like any other."""
    world = World()
    warden = world.warden()
    await take(warden, TIMEOUT, ttl_s=0.1)
    world.clock.advance(0.1)
    world.injector.remove = None  # type: ignore[method-assign, assignment]
    with pytest.raises(TypeError):
        await warden.tick()
    await warden.tick()
    del world.injector.remove
    world.clock.advance(1.0)
    await warden.tick()
    assert await world.hurt() == []


async def test_the_lever_outlives_the_warden_that_was_told() -> None:
    """The next one refuses harm from its start, and allows it once told."""
    world = World()
    await take(world.warden(), TIMEOUT)
    await world.warden().stop_harm()
    warden = world.warden()
    with pytest.raises(HarmStopped):
        await take(warden, TIMEOUT)
    assert world.storage.lease is None
    await warden.allow_harm()
    assert (await take(world.warden(), TIMEOUT)).state == LeaseState.HELD


async def test_a_mark_that_somebody_else_set_ends_the_lease_at_the_next_tick() -> None:
    """As when the warden hung while it was called."""
    world = World()
    warden = world.warden()
    await take(warden, TIMEOUT, ttl_s=60.0, checkout__pool_size=2)
    world.mark.set()
    await warden.tick()
    assert await world.hurt() == await world.changed() == []
    assert await warden.current() is None


async def test_a_mark_that_vanished_allows_nothing() -> None:
    """Its folder may have been removed by hand; only a word to the warden does."""
    world = World()
    warden = world.warden()
    await warden.stop_harm()
    world.mark.clear()
    with pytest.raises(HarmStopped):
        await take(warden, TIMEOUT)


async def test_a_lever_that_the_disk_does_not_keep_works_and_says_so() -> None:
    """Harm goes first; what stays undone is told."""
    world = World()
    warden = world.warden()
    await take(warden, TIMEOUT)
    world.mark.is_full = True
    with pytest.raises(LeaseError, match="starts anew will not know"):
        await warden.stop_harm()
    assert await world.hurt() == []
    with pytest.raises(HarmStopped):
        await take(warden, TIMEOUT)
    with pytest.raises(LeaseError, match="it stays stopped"):
        await warden.allow_harm()
    assert await warden.is_harm_stopped()


async def test_the_lever_cuts_short_a_lease_on_its_way_in() -> None:
    """No further fault comes after it, and the caller learns why."""
    world = World()
    warden = world.warden()
    apply = world.injector.apply

    async def pull_meanwhile(fault: Fault) -> None:
        await apply(fault)
        stopping.append(asyncio.create_task(warden.stop_harm()))
        await asyncio.sleep(0)

    stopping: list[asyncio.Task[Removal]] = []
    world.injector.apply = pull_meanwhile  # type: ignore[method-assign]
    with pytest.raises(HarmStopped):
        await take(warden, TIMEOUT, SLOW)
    (stopped,) = stopping
    assert (await stopped).count == 0, "the caller itself had taken it back"
    assert "apply catalog-catalog_db" not in world.diary
    assert await world.hurt() == []
    assert world.storage.lease is None


async def test_the_lever_holds_where_harm_cannot_be_removed_yet() -> None:
    """A hung Toxiproxy delays the removal, and never lets new harm in."""
    world = World()
    warden = world.warden()
    await take(warden, TIMEOUT)
    world.injector.is_listening = False
    with pytest.raises(LeaseError):
        await warden.stop_harm()
    world.injector.is_listening = True
    world.clock.advance(PATIENCE_S)
    await warden.tick()
    assert await world.hurt() == []
    with pytest.raises(HarmStopped):
        await take(warden, TIMEOUT)
