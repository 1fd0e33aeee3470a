"""Random lives of wardens against one rule: no harm without a lease, nor 3 s after its end.

What must hold, whatever is cut short at whichever await:

- No edge is hurt, and no setting changed, that the lease on disk does not name, at the very
  moment of each change.
- Harm is gone 3 s after its lease has ended. Where Toxiproxy or the disk was not well, 3 s
  and the longest pause between two attempts after it is well again; where it is slow, 3 s
  after its last answer.
- One lease at a time; none while the safety lever is pulled, whatever became of the warden.
- Nothing is called proven clean that lets nothing through.

The exception is a Toxiproxy whose listings hide harm that is there: no caller of its API
can know of it, so a lease may be forgotten and its harm stay. Even then the last rule
holds, and so does the lever; and the first `heal` after it tells the truth removes all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lab.domain.fault import Fault, Toxic
from lab.domain.schedule import Schedule
from lab.errors import HarmStopped, LabError, LeaseGone, LeaseHeld
from lab.ports.warden import LeaseStatus, Removal
from lab.warden.ending import LONGEST_PAUSE_S
from lab.warden.lease import Lease, LeaseState
from lab.warden.leases import Leases
from tests.support.warden_mortal import Crash, Fate, WildWorld

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
TTLS_S = (3.0, 20.0)
"""As a run asks for one, and as a hold does."""

GONE_WITHIN_S = 3.0
TICK_S = 0.1
SEED = 7
MOODS = (
    *("edges hang", "apply hangs", "remove hangs", "reset hangs", "answers hang"),
    *("apply lies", "remove lies", "reset lies", "lists what was", "lists nothing"),
    *("slow", "times out", "never late", "gone"),
)

some_faults = st.lists(st.sampled_from(FAULTS), max_size=4, unique_by=id)
some_settings = st.sampled_from(SETTINGS)
some_awaits = st.tuples(st.integers(0, 60), st.none()) | st.tuples(
    st.integers(0, 5), st.sampled_from(["apply", "remove", "edges", "configure", "save", "clear"])
)
"""The n-th of all, or the n-th of those calls on which most depends."""

some_moods = st.sets(st.sampled_from(MOODS), min_size=1, max_size=3)
some_ttl_s = st.sampled_from(TTLS_S)


class Wardens(RuleBasedStateMachine):
    """The model: the lease that should be alive, until when its harm may be there, the lever."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world = WildWorld()
        self.world.injector.changed = self.see_harm
        self.world.journal.told = self.see_removal
        self.violations: list[str] = []
        self.fate = Fate()
        self.warden = self.start_warden()
        self.lease_id: str | None = None
        self.faults: list[Fault] = []
        self.asks_s = self.ttl_s = TTLS_S[0]
        self.taken_s = self.beat_s = 0.0
        self.may_harm_until_s = 0.0
        self.is_pulled = False

    def start_warden(self) -> Leases:
        self.fate = Fate()
        return self.world.warden(through=self.fate.over)

    def teardown(self) -> None:
        """However it went: once all is well and time has passed, all harm is gone."""
        self.all_is_well()
        self.pass_time(max(TTLS_S) + LONGEST_PAUSE_S + GONE_WITHIN_S)
        if self.world.injector.hid_harm:
            self.do(self.warden.heal())
        assert self.hurt() == self.changed() == set()
        assert self.world.storage.lease is None
        assert self.do(self.warden.current()) is None
        assert self.warden.is_ready
        self.loop.close()

    def do(self, what: Awaitable[T]) -> T:
        async def alone() -> T:
            return await what

        return self.loop.run_until_complete(alone())

    @property
    def now_s(self) -> float:
        return self.world.clock.monotonic()

    def hurt(self) -> set[str]:
        return set(self.do(self.world.hurt()))

    def changed(self) -> set[str]:
        return set(self.do(self.world.changed()))

    # ---- the world

    def all_is_well(self) -> None:
        self.note_trouble()
        self.world.injector.recover()
        self.world.storage.full.clear()
        self.world.mark.is_full = False

    @property
    def is_well(self) -> bool:
        return self.world.injector.is_well and not self.world.storage.full

    def note_trouble(self) -> None:
        if not self.is_well:
            self.world.injector.unwell_s = self.now_s

    @rule(moods=some_moods)
    def toxiproxy_changes(self, moods: set[str]) -> None:
        """It is in one mood, or in several at once."""
        self.note_trouble()
        self.world.injector.recover()
        for mood in moods:
            self.world.injector.fall_into(mood)

    @precondition(lambda self: self.lease_id is not None)
    @rule(moods=some_moods)
    def toxiproxy_changes_under_a_lease(self, moods: set[str]) -> None:
        """Where it matters most, and so it comes about more often."""
        self.toxiproxy_changes(moods)

    @rule(full=st.sets(st.sampled_from([*LeaseState, "clear", "mark"]), max_size=2))
    def the_disk_is_full(self, full: set[str]) -> None:
        self.note_trouble()
        self.world.storage.full, self.world.mark.is_full = full - {"mark"}, "mark" in full

    @rule()
    def all_comes_right(self) -> None:
        self.all_is_well()

    # ---- time

    @rule(seconds=st.sampled_from([0.1, 0.4, 0.9, 2.0]))
    def time_passes(self, seconds: float) -> None:
        self.pass_time(seconds)

    @rule()
    def more_time_passes_than_harm_may_last(self) -> None:
        self.pass_time(GONE_WITHIN_S + LONGEST_PAUSE_S + 0.5)

    def pass_time(self, seconds: float) -> None:
        """As long as the warden lives it is woken ten times a second."""
        until_s = self.now_s + seconds
        while self.now_s < until_s:
            self.world.clock.advance(TICK_S)
            self.tick()

    @rule(seconds=st.sampled_from([0.9, 4.0]))
    def the_machine_sleeps(self, seconds: float) -> None:
        """Time passes without the warden; nobody can hold it to that."""
        self.world.clock.advance(seconds)
        self.may_harm_until_s = max(self.may_harm_until_s, self.now_s)
        self.tick()

    def tick(self) -> None:
        self.note_trouble()
        self.do(self.warden.tick())
        lease = self.do(self.warden.current())
        if self.lease_id is not None and lease is not None and lease.state == LeaseState.HELD:
            self.assert_on_schedule()

    def assert_on_schedule(self) -> None:
        injector = self.world.injector
        if not injector.is_well or injector.slow_s or injector.hid_harm or injector.lied:
            return
        elapsed_s = self.now_s - self.taken_s
        due = {fault.edge for fault in self.faults if fault.is_on(elapsed_s, SEED)}
        assert self.hurt() == due

    # ---- what callers do

    @rule(faults=some_faults, conditions=some_settings, ttl_s=some_ttl_s)
    def take(self, faults: list[Fault], conditions: dict[str, int], ttl_s: float) -> None:
        self.asks_s = ttl_s
        is_free = self.do(self.warden.current()) is None and self.warden.is_ready
        is_easy = self.is_well and not self.hurt()
        try:
            status = self.do(self.asked(faults, conditions))
        except HarmStopped:
            assert self.is_pulled
        except LeaseHeld:
            assert not is_free
        except LabError:
            assert not is_easy, "a well shop can be hurt"
            self.lease_ends()
        else:
            self.lease_begins(status, faults)
            self.assert_on_schedule()

    @rule(faults=some_faults.filter(bool), conditions=some_settings, ttl_s=some_ttl_s)
    def take_in_good_times(
        self, faults: list[Fault], conditions: dict[str, int], ttl_s: float
    ) -> None:
        """Most of what can go wrong begins with a lease that is held."""
        self.all_is_well()
        self.allow_harm()
        self.heal()
        self.take(faults, conditions, ttl_s)
        assert self.lease_id is not None

    @precondition(lambda self: self.lease_id is None)
    @rule(faults=some_faults.filter(bool), ttl_s=some_ttl_s)
    def take_again_in_good_times(self, faults: list[Fault], ttl_s: float) -> None:
        self.take_in_good_times(faults, {}, ttl_s)

    @rule(faults=some_faults, others=some_faults)
    def two_take_at_once(self, faults: list[Fault], others: list[Fault]) -> None:
        outcomes = self.together(self.asked(faults, {}), self.asked(others, {}))
        given = [each for each in outcomes if isinstance(each, LeaseStatus)]
        assert len(given) <= 1
        for wish, outcome in zip((faults, others), outcomes, strict=True):
            if isinstance(outcome, LeaseStatus):
                self.lease_begins(outcome, wish)
            assert isinstance(outcome, LeaseStatus | LabError)

    @rule(faults=some_faults, conditions=some_settings)
    def somebody_pulls_the_lever_meanwhile(
        self, faults: list[Fault], conditions: dict[str, int]
    ) -> None:
        taken, *_ = self.together(
            self.asked(faults, conditions), self.warden.stop_harm(), self.warden.tick()
        )
        # Without anything to look at or to change it is held before anybody can pull.
        assert isinstance(taken, LabError) or not (faults or conditions)
        self.is_pulled = True
        self.lease_ends()

    def asked(
        self, faults: list[Fault], conditions: dict[str, int]
    ) -> Coroutine[Any, Any, LeaseStatus]:
        return self.warden.take(
            holder="a run", faults=faults, conditions=conditions, ttl_s=self.asks_s, seed=SEED
        )

    def together(self, *work: Awaitable[Any]) -> list[Any]:
        async def all_of_it() -> list[Any]:
            return await asyncio.gather(*work, return_exceptions=True)

        outcomes = self.do(all_of_it())
        for outcome in outcomes:
            if isinstance(outcome, BaseException) and not isinstance(outcome, LabError):
                raise outcome
        return outcomes

    def lease_begins(self, status: LeaseStatus, faults: list[Fault]) -> None:
        assert not self.is_pulled, "a lease was given while harm was stopped"
        lease = self.world.storage.lease
        assert lease is not None
        assert lease.lease_id == status.lease_id, "a lease that is not on disk"
        self.lease_id, self.faults, self.ttl_s = status.lease_id, faults, self.asks_s
        self.taken_s = self.beat_s = self.now_s
        self.may_harm_until_s = self.now_s + self.ttl_s

    def lease_ends(self) -> None:
        self.lease_id = None
        self.may_harm_until_s = self.now_s

    @precondition(lambda self: self.lease_id is not None)
    @rule()
    def heartbeat(self) -> None:
        assert self.lease_id is not None
        try:
            self.do(self.warden.heartbeat(self.lease_id))
        except (LeaseGone, HarmStopped):
            self.lease_id = None
            self.may_harm_until_s = min(self.may_harm_until_s, self.now_s)
        else:
            assert not self.is_pulled
            assert self.now_s - self.beat_s < self.ttl_s, "a lease outlived its time"
            self.beat_s = self.now_s
            self.may_harm_until_s = self.now_s + self.ttl_s

    @precondition(lambda self: self.lease_id is not None)
    @rule()
    def release(self) -> None:
        assert self.lease_id is not None
        with contextlib.suppress(LabError):
            self.do(self.warden.release(self.lease_id))
        self.lease_ends()

    @precondition(lambda self: self.lease_id is not None)
    @rule()
    def throw_the_dice_again(self) -> None:
        assert self.lease_id is not None
        try:
            self.do(self.warden.roll_again(self.lease_id, DICED.edge))
        except LabError:
            lease = self.do(self.warden.current())
            if lease is None or lease.state != LeaseState.HELD:
                self.lease_ends()
        else:
            assert DICED in self.faults

    @rule()
    def heal(self) -> None:
        was_well = self.is_well
        try:
            removal = self.do(self.warden.heal())
        except LabError:
            assert not was_well, "a well Toxiproxy can be healed"
        else:
            self.assert_healed(removal)
        self.lease_ends()

    @rule(by=st.sampled_from(["the warden", "the disk"]))
    def pull_the_lever(self, by: str) -> None:
        """The command does both; where the warden hangs, the mark on disk alone must do."""
        if by == "the warden":
            self.stop_harm()
        elif self.world.mark.is_full:
            return
        else:
            self.world.mark.set()
            self.pass_time(TICK_S)
        self.is_pulled = True
        self.lease_ends()

    def stop_harm(self) -> None:
        was_well = self.is_well and not self.world.mark.is_full
        try:
            removal = self.do(self.warden.stop_harm())
        except LabError:
            assert not was_well, "the lever works in a well shop"
        else:
            assert self.world.mark.is_set(), "the next warden would not know"
            self.assert_healed(removal)

    @precondition(lambda self: self.is_pulled)
    @rule()
    def allow_harm(self) -> None:
        try:
            self.do(self.warden.allow_harm())
        except LabError:
            assert self.world.mark.is_full
        else:
            assert not self.world.mark.is_set()
            self.is_pulled = False

    def assert_healed(self, removal: Removal) -> None:
        assert not (removal.proven_clean and self.world.blocked())
        assert self.changed() == set()
        if self.is_well and not self.world.injector.hid_harm:
            assert self.hurt() == set()

    # ---- how wardens end

    @rule(down_s=st.sampled_from([0.0, 0.3, 5.0]))
    def kill_the_warden_at_rest(self, down_s: float) -> None:
        self.fate.is_dead = True
        self.bury()
        self.world.clock.advance(down_s)
        self.succeed()

    def bury(self) -> None:
        """Nothing of a dead warden goes on."""
        left = asyncio.all_tasks(self.loop)

        async def end() -> None:
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

        self.loop.run_until_complete(end())

    def succeed(self) -> None:
        """Another warden comes; what the dead one had in memory is gone."""
        self.note_trouble()
        self.warden = self.start_warden()
        self.is_pulled = self.world.mark.is_set()
        assert self.do(self.warden.is_harm_stopped()) is self.is_pulled
        self.lease_ends()

    @rule(
        what=st.sampled_from(["take", "life", "life", "heal", "stop", "allow", "release"]),
        when=some_awaits,
        again=st.none() | some_awaits,
        faults=some_faults,
        conditions=some_settings,
    )
    def kill_the_warden_at_work(
        self,
        what: str,
        when: tuple[int, str | None],
        again: tuple[int, str | None] | None,
        faults: list[Fault],
        conditions: dict[str, int],
    ) -> None:
        """At any await of anything; and its successor once more, at any await of its removal."""
        self.asks_s = TTLS_S[0]
        self.fate.meet_after(*when)
        self.cut_short(self.deeds(what, faults, conditions))
        if again is not None:
            self.fate.meet_after(*again)
            self.cut_short(self.life([], {}))

    def cut_short(self, deeds: Coroutine[Any, Any, object]) -> None:
        with contextlib.suppress(LabError, Crash, asyncio.CancelledError):
            self.do(deeds)
        self.fate.is_dead = True
        self.bury()
        self.succeed()

    @rule(
        what=st.sampled_from(["take", "heal", "stop", "release", "dice"]),
        when=some_awaits,
        faults=some_faults,
        conditions=some_settings,
    )
    def give_up_waiting(
        self,
        what: str,
        when: tuple[int, str | None],
        faults: list[Fault],
        conditions: dict[str, int],
    ) -> None:
        """A caller's task is cancelled at any await; the warden lives on and clears up."""
        self.fate.meet_after(*when, cancels=True)
        self.asks_s = TTLS_S[0]
        before_s = self.may_harm_until_s
        with contextlib.suppress(LabError, asyncio.CancelledError):
            self.do(self.deeds(what, faults, conditions))
        self.fate.spare()
        self.lease_id = None
        # A lease whose taker is gone lives until its time is up, and no longer.
        self.may_harm_until_s = max(before_s, self.now_s + (self.asks_s if what == "take" else 0))
        if what == "stop":
            self.is_pulled = True
            self.may_harm_until_s = self.now_s

    def deeds(
        self, what: str, faults: list[Fault], conditions: dict[str, int]
    ) -> Coroutine[Any, Any, object]:
        warden, lease_id = self.warden, self.lease_id or "none"
        deeds: dict[str, Callable[[], Coroutine[Any, Any, object]]] = {
            "take": lambda: self.asked(faults, conditions),
            "life": lambda: self.life(faults, conditions),
            "heal": warden.heal,
            "stop": warden.stop_harm,
            "allow": warden.allow_harm,
            "release": lambda: warden.release(lease_id),
            "dice": lambda: warden.roll_again(lease_id, DICED.edge),
        }
        return deeds[what]()

    async def life(self, faults: list[Fault], conditions: dict[str, int]) -> None:
        """Clear up, take, follow schedules, throw dice, release."""
        for _ in range(3):
            await self.warden.tick()
            self.world.clock.advance(TICK_S)
        status = await self.asked(faults, conditions)
        for _ in range(4):
            self.world.clock.advance(0.5)
            await self.warden.tick()
        if DICED in faults:
            await self.warden.roll_again(status.lease_id, DICED.edge)
        await self.warden.release(status.lease_id)

    # ---- what must always hold

    def see_harm(self, fault: Fault) -> None:
        """Called at the very moment at which an edge is hurt."""
        lease = self.world.storage.lease
        if fault.edge not in self.edges_of(lease) and not self.world.injector.hid_harm:
            self.violations.append(f"{fault} without a lease on disk that names it")

    def see_removal(self, event: str, facts: dict[str, object]) -> None:
        """Called when a warden writes down that harm is gone, and whether that is proven."""
        if event == "removed" and facts["proven_clean"]:
            named = self.edges_of(self.world.storage.last)
            if stuck := self.world.blocked() & named:
                self.violations.append(f"{stuck} called clean, and lets nothing through")

    @staticmethod
    def edges_of(lease: Lease | None) -> set[str]:
        return {fault.edge for fault in lease.faults} if lease else set()

    @invariant()
    def no_harm_without_a_lease_on_disk(self) -> None:
        assert self.violations == []
        lease = self.world.storage.lease
        if not self.world.injector.hid_harm:
            assert self.hurt() <= self.edges_of(lease)
        assert self.changed() <= (set(lease.services) if lease else set())

    @invariant()
    def no_harm_three_seconds_after_its_end(self) -> None:
        if not self.is_well or self.world.injector.hid_harm:
            return
        injector = self.world.injector
        ended_s = max(self.may_harm_until_s, injector.unwell_s + LONGEST_PAUSE_S, injector.slowed_s)
        if self.now_s > ended_s + GONE_WITHIN_S:
            assert self.hurt() == self.changed() == set()

    @invariant()
    def harm_that_was_hidden_is_forgotten_with_it(self) -> None:
        """Once nothing is hurt, all rules hold again."""
        if not self.hurt() and self.world.injector.is_well:
            self.world.injector.hid_harm = False


TestWardens = Wardens.TestCase
TestWardens.settings = settings(max_examples=250, stateful_step_count=40)
