"""Collecting traces: settled is proven by a second look, and no store can stop a case."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from lab.adapters.memory.clock import FakeClock
from lab.adapters.memory.trace_store import MemoryTraceStore
from lab.domain.evidence import Sample
from lab.domain.trace import Trace
from lab.errors import TraceStoreError
from lab.investigation.running.collect import AT_ONCE, POLL_S, QUIET_S, Collected, collect
from tests.support.sample_case import healthy_trace

pytestmark = pytest.mark.anyio

IDS = tuple(f"{n:032x}" for n in range(1, 13))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Watched(MemoryTraceStore):
    """A store that takes a moment, remembers who asked when, and can be told to do more.

    A ``busy`` one takes in other people's spans all the time.
    """

    def __init__(
        self, clock: FakeClock, then: Callable[[str], None] | None = None, *, busy: bool = True
    ) -> None:
        super().__init__()
        self.busy = busy
        self.clock = clock
        self.then = then
        self.looks: dict[str, list[float]] = {}
        self.in_flight = 0
        self.most_in_flight = 0

    async def spans_received(self) -> int:
        if self.busy:
            self.receive(healthy_trace("ff" * 16).spans[:1])
        return await super().spans_received()

    async def trace(self, trace_id: str) -> Trace | None:
        self.looks.setdefault(trace_id, []).append(self.clock.monotonic())
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(0)
            return await super().trace(trace_id)
        finally:
            self.in_flight -= 1
            if self.then is not None:
                self.then(trace_id)


async def gather(
    store: MemoryTraceStore, clock: FakeClock, ids: tuple[str, ...] = IDS, deadline_s: float = 3.0
) -> Collected:
    return await collect(store, clock, {Sample.AFFECTED: ids}, deadline_s=deadline_s)


async def test_a_trace_settles_at_the_second_look_that_finds_no_more() -> None:
    """Every trace is asked for twice, at least `POLL_S` apart, and eight at a time."""
    clock = FakeClock()
    store = Watched(clock)
    for each in IDS:
        store.receive(healthy_trace(each))
    collected = await gather(store, clock)
    assert collected == Collected({each: healthy_trace(each) for each in IDS}, frozenset())
    assert store.most_in_flight == AT_ONCE
    for looks in store.looks.values():
        first, second = looks
        assert second - first >= POLL_S


async def test_one_look_is_enough_where_the_store_took_in_nothing() -> None:
    """The store's own counter stands for the second look at every trace."""
    clock = FakeClock()
    store = Watched(clock, busy=False)
    for each in IDS:
        store.receive(healthy_trace(each))
    collected = await gather(store, clock)
    assert collected.unsettled == frozenset()
    assert {len(looks) for looks in store.looks.values()} == {1}
    assert min(looks[0] for looks in store.looks.values()) >= POLL_S


async def test_a_quiet_store_settles_no_trace_that_is_not_whole() -> None:
    """Silence is no proof that a missing parent will not come."""
    clock = FakeClock()
    store = Watched(clock, busy=False)
    store.receive(healthy_trace(IDS[0]).spans[1:])
    assert (await gather(store, clock, IDS[:2])).unsettled == {IDS[0], IDS[1]}


async def test_a_store_that_stays_quiet_is_waited_for_no_longer() -> None:
    """What was lost on its way does not come, however long one waits."""
    clock = FakeClock()
    store = Watched(clock, busy=False)
    store.receive(healthy_trace(IDS[0]).spans[1:])
    collected = await gather(store, clock, IDS[:1], deadline_s=60.0)
    assert collected.unsettled == {IDS[0]}
    assert QUIET_S <= clock.monotonic() <= QUIET_S + 2 * POLL_S


async def test_a_trace_that_grows_between_two_looks_is_looked_at_again() -> None:
    """A late span starts the wait anew, and is in the result."""
    clock = FakeClock()
    late = healthy_trace(IDS[0]).spans[-1:]

    def then(_trace_id: str) -> None:
        if len(store.looks[IDS[0]]) == 1:
            store.receive(late)

    store = Watched(clock, then)
    store.receive(healthy_trace(IDS[0]).spans[:-1])
    collected = await gather(store, clock, IDS[:1])
    assert len(store.looks[IDS[0]]) == 3
    assert collected.traces[IDS[0]] == healthy_trace(IDS[0])
    assert collected.unsettled == frozenset()


async def test_what_never_comes_or_never_gets_whole_is_unsettled_at_the_deadline() -> None:
    """One missing trace raises nothing, and hides none of the others."""
    clock = FakeClock()
    store = Watched(clock)
    store.receive(healthy_trace(IDS[0]))
    store.receive(healthy_trace(IDS[1]).spans[1:])
    collected = await gather(store, clock, IDS[:3], deadline_s=2.0)
    assert collected.unsettled == {IDS[1], IDS[2]}
    assert set(collected.traces) == {IDS[0], IDS[1]}
    assert collected.problem is None
    assert 2.0 <= clock.monotonic() <= 2.0 + POLL_S + 0.001
    assert len(store.looks[IDS[0]]) == 2


async def test_an_unreachable_store_is_told_and_not_raised() -> None:
    """It is asked a few times a round, not once for every trace."""
    clock = FakeClock()
    store = Watched(clock)
    store.break_off()
    ids = tuple(f"{n:032x}" for n in range(1, 251))
    collected = await gather(store, clock, ids, deadline_s=1.0)
    assert collected.traces == {}
    assert collected.unsettled == frozenset(ids)
    assert collected.problem is not None
    rounds = 1.0 / POLL_S
    assert sum(map(len, store.looks.values())) <= rounds * 2 * AT_ONCE


async def test_a_store_that_comes_back_is_used() -> None:
    """A short failure costs time only; the problem stays on record."""
    clock = FakeClock()

    def then(_trace_id: str) -> None:
        if clock.monotonic() > 0.5:
            store.break_off(broken=False)

    store = Watched(clock, then)
    for each in IDS:
        store.receive(healthy_trace(each))
    store.break_off()
    collected = await gather(store, clock)
    assert collected.unsettled == frozenset()
    assert collected.problem is not None


async def test_one_trace_that_cannot_be_read_stops_no_other() -> None:
    """The store's complaint about one answer is about that one."""
    clock = FakeClock()

    class Choosy(Watched):
        async def trace(self, trace_id: str) -> Trace | None:
            if trace_id == IDS[0]:
                raise TraceStoreError("expected a trace, found something else")
            return await super().trace(trace_id)

    store = Choosy(clock)
    for each in IDS:
        store.receive(healthy_trace(each))
    collected = await gather(store, clock, deadline_s=1.0)
    assert collected.unsettled == {IDS[0]}
    assert collected.problem == "expected a trace, found something else"


async def test_a_store_that_hangs_is_left_at_the_deadline() -> None:
    """The deadline holds for an answer that never comes."""

    class Hanging(MemoryTraceStore):
        async def trace(self, trace_id: str) -> Trace | None:
            await asyncio.sleep(60)
            return None

    collected = await asyncio.wait_for(gather(Hanging(), FakeClock(), deadline_s=0.2), timeout=5)
    assert collected.unsettled == frozenset(IDS)


async def test_nothing_asked_for_is_nothing_to_wait_for() -> None:
    """No samples, no look, no wait."""
    clock = FakeClock()
    assert await collect(Watched(clock), clock, {}, deadline_s=3.0) == Collected({}, frozenset())
    assert clock.monotonic() == 0.0


async def test_progress_counts_what_has_settled() -> None:
    """Whoever shows progress sees it end at the whole."""
    clock = FakeClock()
    store = Watched(clock)
    for each in IDS:
        store.receive(healthy_trace(each))
    seen: list[tuple[int, int]] = []
    samples = {Sample.AFFECTED: IDS[:6], Sample.UNAFFECTED: IDS[4:]}
    await collect(
        store, clock, samples, deadline_s=3.0, progress=lambda *counts: seen.append(counts)
    )
    assert seen == [(0, 12), (12, 12)]
