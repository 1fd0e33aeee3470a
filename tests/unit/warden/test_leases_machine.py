"""Random lives of wardens against one rule: never a toxic without a live lease on disk."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lab.domain.fault import Fault, Toxic
from lab.domain.schedule import Schedule
from lab.errors import LabError, LeaseGone, LeaseHeld
from lab.ports.warden import LeaseStatus
from lab.warden.lease import LeaseState
from lab.warden.leases import Leases
from tests.support.warden_fakes import World

T = TypeVar("T")

DICED = Fault("catalog-catalog_db", Toxic.LATENCY, {"latency": 80}, toxicity=0.3)
FAULTS = (
    Fault("auth-users_db", Toxic.TIMEOUT),
    Fault("auth-users_db", Toxic.LATENCY, {"latency": 80}),
    DICED,
    Fault("gateway-auth", Toxic.LATENCY, {"latency": 700}, schedule=Schedule(0.5, 1, 2, 0.4)),
    Fault("checkout-catalog", Toxic.BANDWIDTH, {"rate": 1}, schedule=Schedule(0, 1.5)),
    Fault("payments-bank", None),
)
SETTINGS: tuple[dict[str, int], ...] = (
    {},
    {"checkout.pool_size": 2},
    {"checkout.pool_size": 3, "auth.pool_size": 1},
)
TTL_S = 3.0
SEED = 7


class Crash(BaseException):
    """`kill -9`: nothing catches it, nothing is cleaned up."""


class Wardens(RuleBasedStateMachine):
    """The model is the lease that should be alive: its id, its faults, and since when."""

    @initialize()
    def start(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.world = World()
        self.warden: Leases = self.world.warden()
        self.lease_id: str | None = None
        self.faults: list[Fault] = []
        self.taken_s = self.beat_s = 0.0

    def teardown(self) -> None:
        """However it went: once Toxiproxy is well and time has passed, all harm is gone."""
        if not hasattr(self, "loop"):
            return
        self.world.injector.stuck, self.world.injector.is_listening = set(), True
        self.world.clock.advance(TTL_S)
        self.do(self.warden.tick())
        self.world.clock.advance(10.0)
        self.do(self.warden.tick())
        assert self.do(self.world.hurt()) == []
        assert self.do(self.world.changed()) == []
        assert self.warden.is_ready
        self.loop.close()

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(what)

    @property
    def now_s(self) -> float:
        return self.world.clock.monotonic()

    @rule(
        faults=st.lists(st.sampled_from(FAULTS[:5]), max_size=4, unique_by=id),
        conditions=st.sampled_from(SETTINGS),
    )
    def take(self, faults: list[Fault], conditions: dict[str, int]) -> None:
        try:
            status = self.do(self._take(faults, conditions))
        except LeaseHeld:
            assert self.do(self.warden.current()) is not None
        except LabError:
            self.lease_id = None
        else:
            self.lease_id, self.faults = status.lease_id, faults
            self.taken_s = self.beat_s = self.now_s
            self.assert_on_schedule()

    def _take(
        self, faults: list[Fault], conditions: dict[str, int]
    ) -> Coroutine[Any, Any, LeaseStatus]:
        return self.warden.take(
            holder="a run", faults=faults, conditions=conditions, ttl_s=TTL_S, seed=SEED
        )

    def assert_on_schedule(self) -> None:
        elapsed_s = self.now_s - self.taken_s
        due = {fault.edge for fault in self.faults if fault.is_on(elapsed_s, SEED)}
        assert set(self.do(self.world.hurt())) == due

    @rule(seconds=st.sampled_from([0.1, 0.4, 0.9, 2.0, 3.5]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule()
    def tick(self) -> None:
        self.do(self.warden.tick())
        lease = self.do(self.warden.current())
        if self.lease_id is not None and lease is not None and lease.state == LeaseState.HELD:
            self.assert_on_schedule()

    @precondition(lambda self: self.lease_id is not None)
    @rule()
    def heartbeat(self) -> None:
        assert self.lease_id is not None
        try:
            self.do(self.warden.heartbeat(self.lease_id))
        except LeaseGone:
            self.lease_id = None
        else:
            assert self.now_s - self.beat_s < TTL_S, "a lease outlived its time"
            self.beat_s = self.now_s

    @precondition(lambda self: self.lease_id is not None)
    @rule()
    def release(self) -> None:
        assert self.lease_id is not None
        try:
            self.do(self.warden.release(self.lease_id))
        except LabError:
            pass
        else:
            assert self.do(self.world.hurt()) == []
        self.lease_id = None

    @precondition(lambda self: self.lease_id is not None)
    @rule()
    def throw_the_dice_again(self) -> None:
        assert self.lease_id is not None
        try:
            self.do(self.warden.roll_again(self.lease_id, DICED.edge))
        except LabError:
            lease = self.do(self.warden.current())
            if lease is None or lease.state != LeaseState.HELD:
                self.lease_id = None
        else:
            assert DICED in self.faults
            assert DICED.edge in self.do(self.world.hurt())

    @rule()
    def heal(self) -> None:
        try:
            self.do(self.warden.heal())
        except LabError:
            assert not self.is_well, "a well Toxiproxy can be healed"
        else:
            assert self.do(self.world.hurt()) == []
            assert self.do(self.world.changed()) == []
        self.lease_id = None

    @property
    def is_well(self) -> bool:
        injector = self.world.injector
        return injector.is_listening and not injector.stuck

    @rule(stuck=st.sets(st.sampled_from(["edges", "apply", "remove", "reset", "answers"])))
    def toxiproxy_sticks(self, stuck: set[str]) -> None:
        self.world.injector.stuck = stuck

    @rule(is_listening=st.booleans())
    def toxiproxy_goes_or_comes(self, is_listening: bool) -> None:
        self.world.injector.is_listening = is_listening

    @rule()
    def kill_the_warden_at_rest(self) -> None:
        self.lease_id = None
        self.warden = self.world.warden()

    @rule(
        steps=st.integers(0, 12),
        faults=st.lists(st.sampled_from(FAULTS[1:]), min_size=1, max_size=3, unique_by=id),
        conditions=st.sampled_from(SETTINGS),
    )
    def kill_the_warden_at_work(
        self, steps: int, faults: list[Fault], conditions: dict[str, int]
    ) -> None:
        """Take, follow schedules, throw dice, release, and die after so many deeds."""
        self.world.diary[:] = []
        limited = _Mortal(self.world.diary, steps)
        self._lend_diary(limited)
        try:
            status = self.do(self._take(faults, conditions))
            for _ in range(4):
                self.world.clock.advance(0.5)
                self.do(self.warden.tick())
            if DICED in faults:
                self.do(self.warden.roll_again(status.lease_id, DICED.edge))
            self.do(self.warden.release(status.lease_id))
        except (LabError, Crash):
            pass
        finally:
            self._lend_diary(self.world.diary)
        self.kill_the_warden_at_rest()

    def _lend_diary(self, diary: list[str]) -> None:
        world = self.world
        world.injector.diary = world.services.diary = world.storage.diary = diary

    @invariant()
    def no_toxic_without_a_lease_on_disk(self) -> None:
        if not hasattr(self, "world"):
            return
        hurt, changed = self.do(self.world.hurt()), self.do(self.world.changed())
        lease = self.world.storage.lease
        assert set(hurt) <= ({fault.edge for fault in lease.faults} if lease else set())
        assert set(changed) <= (set(lease.services) if lease else set())


class _Mortal(list[str]):
    """A diary whose writer dies after its last line, with that deed done."""

    def __init__(self, diary: list[str], steps: int) -> None:
        super().__init__(diary)
        self._steps = steps

    def append(self, line: str) -> None:
        super().append(line)
        self._steps -= 1
        if self._steps < 0:
            raise Crash(line)


TestWardens = Wardens.TestCase
TestWardens.settings = settings(max_examples=60, stateful_step_count=30)
