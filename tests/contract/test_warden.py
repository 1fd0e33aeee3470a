"""What every warden does: the fake, the state machine itself, and the client over real HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
import uvicorn

from lab.adapters.clock import SystemClock
from lab.adapters.harm_mark import HarmMarkFile
from lab.adapters.memory.injector import MemoryInjector
from lab.adapters.memory.services import MemoryServices
from lab.adapters.memory.warden import MemoryHarmMark, MemoryWarden
from lab.adapters.toxiproxy import ToxiproxyInjector
from lab.adapters.warden_client import WardenClient
from lab.domain.fault import Fault, Toxic
from lab.domain.schedule import Schedule
from lab.errors import HarmStopped, LeaseError, LeaseGone, LeaseHeld, StackNotReady
from lab.ports.injector import Injector
from lab.ports.services import Services
from lab.ports.warden import HarmMark, Warden
from lab.shop.topology import HOST, SERVICES
from lab.warden.app import MAX_BODY_BYTES, create_app
from lab.warden.assembly import assemble
from lab.warden.leases import Leases
from tests.support.busy_machine import quickest
from tests.support.warden_parts import EDGE_NAMES, Toxiproxy, free_ports

TIMEOUT = Fault("auth-users_db", Toxic.TIMEOUT, {"timeout": 0})
CUT = Fault("payments-bank", None)
"""One edge before Postgres, one before a service."""

SLOW = Fault("gateway-auth", Toxic.LATENCY, {"latency": 700})
COMB = replace(SLOW, schedule=Schedule(0.5, on_s=1.0, every_s=30.0, jitter_s=0.5))
SEED = 7


@dataclass
class Scene:
    """A warden, and what it works on."""

    warden: Warden
    injector: Injector


async def _never() -> None:
    raise AssertionError("a restart of Toxiproxy was not called for")


def leases_on(
    injector: Injector, services: Services, edge_ports: dict[str, int], folder: Path
) -> Leases:
    return assemble(
        injector=injector,
        services=services,
        restart=_never,
        edge_ports=edge_ports,
        clock=SystemClock(),
        mark=HarmMarkFile(folder),
        run_dir=folder,
        log_dir=folder,
    )


@contextlib.asynccontextmanager
async def served(leases: Leases) -> AsyncIterator[str]:
    """The real application behind a real socket; its URL."""
    port = free_ports(1)[0]
    server = uvicorn.Server(
        uvicorn.Config(create_app(leases), host=HOST, port=port, log_level="error", lifespan="on")
    )
    serving = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 -- uvicorn tells it by a flag
        await asyncio.sleep(0.01)
    try:
        yield f"http://{HOST}:{port}"
    finally:
        server.should_exit = True
        await serving


@pytest.fixture(params=["memory", "leases", "http"])
def scene(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Callable[[], contextlib.AbstractAsyncContextManager[Scene]]:
    """Opens one kind of warden; the last two on a real Toxiproxy."""

    @contextlib.asynccontextmanager
    async def memory() -> AsyncIterator[Scene]:
        injector = MemoryInjector(EDGE_NAMES)
        yield Scene(MemoryWarden(injector, SystemClock()), injector)

    @contextlib.asynccontextmanager
    async def real() -> AsyncIterator[Scene]:
        toxiproxy: Toxiproxy = request.getfixturevalue("toxiproxy")
        injector = ToxiproxyInjector(HOST, toxiproxy.port)
        leases = leases_on(injector, MemoryServices(SERVICES), toxiproxy.edge_ports, tmp_path)
        async with contextlib.AsyncExitStack() as stack:
            url = await stack.enter_async_context(served(leases))
            if request.param == "leases":
                yield Scene(leases, injector)
            else:
                client = await stack.enter_async_context(WardenClient(url))
                yield Scene(client, injector)

    if request.param != "memory":
        request.getfixturevalue("toxiproxy")
    return memory if request.param == "memory" else real


Open = Callable[[], contextlib.AbstractAsyncContextManager[Scene]]


def test_a_warden_tells_of_every_service(scene: Open) -> None:
    """Name by name, as its keeper has it, and that their settings can be changed."""

    async def story() -> None:
        async with scene() as it:
            shop = await it.warden.shop()
            assert set(shop.services) == set(SERVICES)
            assert shop.can_configure
            assert all(state.healthy for state in shop.services.values())

    asyncio.run(story())


def test_a_lease_is_applied_and_released(scene: Open) -> None:
    """Faults are there once `take` returns, and proven gone once `release` does."""

    async def story() -> None:
        async with scene() as it:
            lease = await it.warden.take(
                holder="a run", faults=[TIMEOUT, CUT], conditions={}, ttl_s=60.0
            )
            assert (lease.holder, lease.state) == ("a run", "held")
            assert 50.0 < lease.expires_in_s <= 60.0
            edges = await it.warden.edges()
            assert edges[TIMEOUT.edge].toxics == (TIMEOUT,)
            assert not edges[CUT.edge].enabled
            removal = await it.warden.release(lease.lease_id)
            assert sorted(fault.edge for fault in removal.faults) == [
                "auth-users_db",
                "payments-bank",
            ]
            assert (removal.method, removal.proven_clean, removal.count) == ("api", True, 2)
            assert all(edge.is_clean for edge in (await it.warden.edges()).values())
            assert await it.warden.current() is None

    asyncio.run(story())


def test_a_lease_runs_out_within_a_second_of_its_time(scene: Open) -> None:
    """Without heartbeats harm ends by itself, and the lease is gone."""

    async def run_out(it: Scene) -> float:
        asked_s = time.monotonic()
        lease = await it.warden.take(holder="a run", faults=[TIMEOUT], conditions={}, ttl_s=0.4)
        held_s = time.monotonic()
        while await it.warden.current() is not None:  # noqa: ASYNC110 -- over HTTP
            await asyncio.sleep(0.02)
        gone_s = time.monotonic()
        assert gone_s - asked_s >= 0.4
        assert (await it.warden.edges())[TIMEOUT.edge].is_clean
        with pytest.raises(LeaseGone):
            await it.warden.heartbeat(lease.lease_id)
        with pytest.raises(LeaseGone):
            await it.warden.release(lease.lease_id)
        return gone_s - held_s

    async def story() -> None:
        async with scene() as it:
            assert await quickest(lambda: run_out(it), below_s=1.4) < 1.4

    asyncio.run(story())


def test_heartbeats_keep_a_lease_alive(scene: Open) -> None:
    """Each one starts the time to live anew."""

    async def story() -> None:
        async with scene() as it:
            lease = await it.warden.take(holder="a run", faults=[TIMEOUT], conditions={}, ttl_s=2.0)
            for _ in range(5):
                await asyncio.sleep(0.5)
                beat = await it.warden.heartbeat(lease.lease_id)
                assert beat.expires_in_s > 1.5
            assert (await it.warden.edges())[TIMEOUT.edge].shows(TIMEOUT)
            await it.warden.release(lease.lease_id)

    asyncio.run(story())


def test_a_second_caller_is_told_who_holds_it(scene: Open) -> None:
    """One lease at a time; the refusal says whose and until when, and changes nothing."""

    async def story() -> None:
        async with scene() as it:
            first = await it.warden.take(holder="the first", faults=[], conditions={}, ttl_s=2.0)
            with pytest.raises(LeaseHeld, match=r"the first .*for another \d\.\d s"):
                await it.warden.take(holder="the second", faults=[CUT], conditions={}, ttl_s=2.0)
            assert (await it.warden.edges())[CUT.edge].is_clean
            current = await it.warden.current()
            assert current is not None
            assert current.lease_id == first.lease_id
            await it.warden.release(first.lease_id)
            second = await it.warden.take(holder="the second", faults=[], conditions={}, ttl_s=2.0)
            await it.warden.release(second.lease_id)

    asyncio.run(story())


def test_a_scheduled_fault_comes_and_goes_and_is_reported(scene: Open) -> None:
    """Without a call from its holder; at each look edges and expectation are of one moment."""

    async def story() -> None:
        async with scene() as it:
            lease = await it.warden.take(
                holder="a run", faults=[COMB, TIMEOUT], conditions={}, ttl_s=60.0, seed=SEED
            )
            taken_s, taken_unix_s = time.monotonic(), time.time()
            seen: list[bool] = []
            while seen.count(False) < 2:
                looked = await it.warden.leased_edges(lease.lease_id)
                is_on = SLOW in looked.on
                assert looked.on == ((SLOW, TIMEOUT) if is_on else (TIMEOUT,))
                assert looked.edges[SLOW.edge].toxics == ((SLOW,) if is_on else ())
                if seen[-1:] != [is_on]:
                    seen.append(is_on)
                assert time.monotonic() < taken_s + 30, "expected it to come and go"
                await asyncio.sleep(0.02)
            assert seen == [False, True, False]
            removal = await it.warden.release(lease.lease_id)
            assert removal.faults == (TIMEOUT,)
            assert removal.proven_clean
            assert [(each.fault, each.is_on) for each in removal.switches] == [
                (SLOW, True),
                (SLOW, False),
            ]
            assert COMB.schedule is not None
            due_s = COMB.schedule.interval(0, f"{SEED} {COMB.edge} {COMB.toxic_name}")
            for switch, at_s in zip(removal.switches, due_s, strict=True):
                assert -0.1 < switch.unix_s - taken_unix_s - at_s < 10, "late, but never early"
                assert 0 <= switch.late_s < 10

    asyncio.run(story())


def test_a_scheduled_fault_that_is_on_goes_with_its_lease(scene: Open) -> None:
    """And does not come back."""
    always_back = replace(SLOW, schedule=Schedule(on_s=0.5, every_s=1.0))

    async def story() -> None:
        async with scene() as it:
            lease = await it.warden.take(
                holder="a run", faults=[always_back], conditions={}, ttl_s=60.0
            )
            assert (await it.warden.edges())[SLOW.edge].toxics == (SLOW,)
            assert (await it.warden.release(lease.lease_id)).faults == (SLOW,)
            await asyncio.sleep(1.2)
            assert (await it.warden.edges())[SLOW.edge].is_clean
            with pytest.raises(LeaseGone):
                await it.warden.leased_edges(lease.lease_id)

    asyncio.run(story())


def test_a_lease_that_cannot_be_applied_leaves_nothing(scene: Open) -> None:
    """The second fault cannot be, so the first is not there either, and the next is welcome."""
    impossible = Fault("auth-nobody", Toxic.TIMEOUT)

    async def story() -> None:
        async with scene() as it:
            with pytest.raises(LeaseError) as refusal:
                await it.warden.take(
                    holder="a run", faults=[TIMEOUT, impossible], conditions={}, ttl_s=2.0
                )
            told = (str(refusal.value), *getattr(refusal.value, "__notes__", ()))
            assert any("auth-nobody" in words for words in told)
            assert all(edge.is_clean for edge in (await it.warden.edges()).values())
            assert await it.warden.current() is None

    asyncio.run(story())


def test_the_dice_of_a_fractional_fault_are_thrown_again_under_its_lease(scene: Open) -> None:
    """The same fault is there afterwards, and so is the lease; other faults have no dice."""
    sick = Fault("catalog-catalog_db", Toxic.LATENCY, {"latency": 600}, toxicity=0.3)

    async def story() -> None:
        async with scene() as it:
            lease = await it.warden.take(
                holder="a run", faults=[sick, TIMEOUT], conditions={}, ttl_s=60.0
            )
            again = await it.warden.roll_again(lease.lease_id, sick.edge)
            assert (again.lease_id, again.state) == (lease.lease_id, "held")
            assert (await it.warden.edges())[sick.edge].toxics == (sick,)
            with pytest.raises(LeaseError):
                await it.warden.roll_again(lease.lease_id, TIMEOUT.edge)
            removal = await it.warden.release(lease.lease_id)
            assert sorted(map(str, removal.faults)) == sorted(map(str, (sick, TIMEOUT)))
            with pytest.raises(LeaseGone):
                await it.warden.roll_again(lease.lease_id, sick.edge)

    asyncio.run(story())


def test_heal_ends_a_lease_and_takes_strangers_harm_too(scene: Open) -> None:
    """It counts what it removed; the second time that is nothing."""
    stranger = Fault("checkout-catalog", Toxic.BANDWIDTH, {"rate": 1})

    async def story() -> None:
        async with scene() as it:
            lease = await it.warden.take(holder="a run", faults=[TIMEOUT], conditions={}, ttl_s=3.0)
            await it.injector.apply(stranger)
            removal = await it.warden.heal()
            assert (removal.count, removal.proven_clean) == (2, True)
            assert all(edge.is_clean for edge in (await it.warden.edges()).values())
            assert await it.warden.current() is None
            assert (await it.warden.heal()).count == 0
            with pytest.raises(LeaseGone):
                await it.warden.heartbeat(lease.lease_id)

    asyncio.run(story())


def test_the_safety_lever_ends_a_lease_and_refuses_the_next(scene: Open) -> None:
    """All harm is gone at once, the holder is told why, and only `allow_harm` ends it."""

    async def story() -> None:
        async with scene() as it:
            assert not await it.warden.is_harm_stopped()
            lease = await it.warden.take(
                holder="a run", faults=[TIMEOUT, CUT], conditions={}, ttl_s=60.0
            )
            removal = await it.warden.stop_harm()
            assert (removal.count, removal.proven_clean) == (2, True)
            assert all(edge.is_clean for edge in (await it.warden.edges()).values())
            assert await it.warden.current() is None
            assert await it.warden.is_harm_stopped()
            with pytest.raises(HarmStopped, match="lab allow-harm"):
                await it.warden.heartbeat(lease.lease_id)
            with pytest.raises(HarmStopped):
                await it.warden.leased_edges(lease.lease_id)
            with pytest.raises(LeaseGone):
                await it.warden.release(lease.lease_id)
            for faults in ([], [TIMEOUT]):
                with pytest.raises(HarmStopped, match="no lease is given"):
                    await it.warden.take(holder="a run", faults=faults, conditions={}, ttl_s=9.0)
            assert (await it.warden.stop_harm()).count == 0
            for _ in range(2):
                await it.warden.allow_harm()
                assert not await it.warden.is_harm_stopped()
            lease = await it.warden.take(holder="a run", faults=[CUT], conditions={}, ttl_s=9.0)
            await it.warden.release(lease.lease_id)

    asyncio.run(story())


def test_the_safety_lever_takes_strangers_harm_too(scene: Open) -> None:
    """As `heal` does: whoever pulls it wants a shop that nothing hurts."""

    async def story() -> None:
        async with scene() as it:
            await it.injector.apply(CUT)
            assert (await it.warden.stop_harm()).faults == (CUT,)
            assert all(edge.is_clean for edge in (await it.warden.edges()).values())

    asyncio.run(story())


@pytest.fixture(params=["memory", "file"])
def mark(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], HarmMark]:
    """Opens the safety lever as the next process would."""
    kept = MemoryHarmMark()
    return lambda: kept if request.param == "memory" else HarmMarkFile(tmp_path / "state")


def test_the_mark_of_the_lever_outlives_who_set_it(mark: Callable[[], HarmMark]) -> None:
    """Set and cleared, each as often as one likes."""
    assert not mark().is_set()
    mark().clear()
    for _ in range(2):
        mark().set()
        assert mark().is_set()
    for _ in range(2):
        mark().clear()
        assert not mark().is_set()


def test_a_release_leaves_a_strangers_toxic_but_is_not_proven(scene: Open) -> None:
    """What the lease did not put there is reported, not deleted unasked."""
    stranger = Fault("checkout-catalog", Toxic.BANDWIDTH, {"rate": 1})

    async def story() -> None:
        async with scene() as it:
            lease = await it.warden.take(holder="a run", faults=[TIMEOUT], conditions={}, ttl_s=3.0)
            await it.injector.apply(stranger)
            removal = await it.warden.release(lease.lease_id)
            assert removal.faults == (TIMEOUT,)
            assert not removal.proven_clean
            assert (await it.warden.edges())["checkout-catalog"].toxics == (stranger,)

    asyncio.run(story())


def test_harm_that_vanished_under_the_lease_is_not_counted(scene: Open) -> None:
    """A restarted Toxiproxy loses toxics; the removal says that there was nothing to remove."""

    async def story() -> None:
        async with scene() as it:
            lease = await it.warden.take(holder="a run", faults=[TIMEOUT], conditions={}, ttl_s=3.0)
            await it.injector.reset()
            assert (await it.warden.release(lease.lease_id)).faults == ()

    asyncio.run(story())


def test_a_warden_that_is_down_is_a_stack_that_is_not_ready() -> None:
    """The client says who did not answer, and what to do."""

    async def story() -> None:
        async with WardenClient(f"http://{HOST}:{free_ports(1)[0]}") as client:
            with pytest.raises(StackNotReady, match="lab up"):
                await client.current()

    asyncio.run(story())


def _at_the_door(tmp_path: Path, ask: Callable[[httpx.AsyncClient], object]) -> httpx.Response:
    """What the warden's HTTP answers to one request."""

    async def story() -> httpx.Response:
        leases = leases_on(MemoryInjector(EDGE_NAMES), MemoryServices(SERVICES), {}, tmp_path)
        async with served(leases) as url, httpx.AsyncClient(base_url=url, trust_env=False) as http:
            answer: httpx.Response = await ask(http)  # type: ignore[misc]
            assert await leases.current() is None
            return answer

    return asyncio.run(story())


WISH = {"holder": "a page", "faults": [], "conditions": {}, "ttl_s": 2.0}


def test_a_foreign_host_is_refused(tmp_path: Path) -> None:
    """A name that was rebound to 127.0.0.1 gives itself away by its Host."""
    answer = _at_the_door(
        tmp_path, lambda http: http.post("/leases", json=WISH, headers={"Host": "evil.example"})
    )
    assert answer.status_code == 400


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:1", "null"])
def test_a_cross_site_request_is_refused(tmp_path: Path, origin: str) -> None:
    """Pages of other origins, another port of this machine included, have no business here."""
    answer = _at_the_door(
        tmp_path, lambda http: http.post("/leases", json=WISH, headers={"Origin": origin})
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_over_the_limit_is_refused(tmp_path: Path, chunked: bool) -> None:
    """Whether its length is announced or not."""

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY_BYTES // 1024 + 1):
            yield b" " * 1024

    body = chunks() if chunked else b" " * (MAX_BODY_BYTES + 1)
    answer = _at_the_door(tmp_path, lambda http: http.post("/leases", content=body))
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "wish",
    [
        {**WISH, "ttl_s": 0},
        {**WISH, "ttl_s": "soon"},
        {**WISH, "surprise": 1},
        {**WISH, "conditions": {"auth.nonsense": 1}},
        {**WISH, "conditions": {"nobody.pool_size": 1}},
        {**WISH, "faults": [{"edge": "auth-users_db", "toxic": "curse"}]},
        {**WISH, "faults": [{"edge": "auth-users_db", "toxic": "timeout", "toxicty": 1}]},
        {**WISH, "faults": [{"edge": "auth-users_db", "toxic": "latency", "attributes": {"l": 1}}]},
        {**WISH, "faults": [{"edge": "auth-users_db", "toxic": "timeout"}] * 2},
        {**WISH, "seed": "odd"},
        {**WISH, "seed": 0.5},
        *(
            {
                **WISH,
                "faults": [{"edge": "auth-users_db", "toxic": "timeout", "schedule": schedule}],
            }
            for schedule in (
                {"start": 5},
                {"start_s": "soon"},
                {"start_s": -1},
                {"start_s": "inf"},
                {"on_s": 0.1},
                {"every_s": 60},
                {"on_s": 15, "every_s": 15},
                {"on_s": 15, "every_s": 20, "jitter_s": 5},
                5,
            )
        ),
        {
            **WISH,
            "faults": [
                {"edge": "auth-users_db", "toxic": "timeout", "schedule": {"on_s": 1}},
                {"edge": "auth-users_db", "toxic": "timeout", "schedule": {"start_s": 5}},
            ],
        },
        {
            **WISH,
            "faults": [
                {"edge": "auth-users_db", "toxic": "timeout"},
                {"edge": "auth-users_db", "toxic": None},
            ],
        },
    ],
)
def test_a_wish_that_makes_no_sense_is_refused(tmp_path: Path, wish: dict[str, object]) -> None:
    """Nothing of it is applied."""
    answer = _at_the_door(tmp_path, lambda http: http.post("/leases", json=wish))
    assert answer.status_code == 422
