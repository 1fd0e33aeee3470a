"""Fetch traces: those a case needs, by id and settled, or every one of a stretch of time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Final

from lab.domain.evidence import Sample
from lab.domain.trace import Trace
from lab.errors import TraceStoreError
from lab.frozen import dataclass
from lab.ports.clock import Clock
from lab.ports.trace_store import TraceSearch, TraceStore

AT_ONCE: Final = 8
"""Traces asked for at the same time; more make none of them come sooner."""

SHORTEST_S: Final = 1
"""Searches take whole seconds; a second with more traces than one answer holds is refused."""


async def trace_ids(
    store: TraceSearch, start_s: int, end_s: int, *, most: int, traceql: str = "{}"
) -> frozenset[str]:
    """Ids of all traces of the interval (Unix seconds), by halves where ``most`` were found.

    ``most`` is how many one answer holds. TraceStoreError where one second has more.
    """
    found = await store.search(traceql, start_s=start_s, end_s=end_s)
    if len(found) < most:
        return found
    if end_s - start_s <= SHORTEST_S:
        raise TraceStoreError(
            f"expected fewer than {most} traces in one second, found more in that of {start_s}; "
            "narrow the query"
        )
    middle = (start_s + end_s) // 2
    earlier = await trace_ids(store, start_s, middle, most=most, traceql=traceql)
    return earlier | await trace_ids(store, middle, end_s, most=most, traceql=traceql)


POLL_S: Final = 0.2
"""How long a trace must not have grown; the exporters' batches are as far apart."""

QUIET_S: Final = 6.0
"""A store that took nothing in for so long has what will ever come: the rest is lost."""

Progress = Callable[[int, int], None]
"""Told how many traces have settled, and of how many."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What came until the deadline.

    ``traces`` holds every trace of which anything came, whole or not; ``unsettled``
    the ids of those that never came, never became whole, or were still growing.
    ``problem`` is the last thing the store failed with, None if it always answered.
    """

    traces: Mapping[str, Trace]
    unsettled: frozenset[str]
    problem: str | None = None

    @property
    def settled(self) -> Mapping[str, Trace]:
        """The traces one may reason about: whole, and no longer growing."""
        return {key: trace for key, trace in self.traces.items() if key not in self.unsettled}


async def collect(
    store: TraceStore,
    clock: Clock,
    samples: Mapping[Sample, tuple[str, ...]],
    *,
    deadline_s: float,
    progress: Progress | None = None,
) -> Collected:
    """Fetch the traces of ``samples`` by id, for at most ``deadline_s``.

    A trace is settled when it is whole and has not grown for `POLL_S`: a second look
    found as many spans, or the store as a whole took in none meanwhile, which spares
    the second look. It is over early where the store has been quiet for `QUIET_S` and
    traces are missing still. What a store cannot give is missing from the answer; nothing is
    raised for it.
    """
    wanted = tuple(dict.fromkeys(chain.from_iterable(samples.values())))
    look = _Look(store)
    quiet = _Quiet(clock)
    ends_at = clock.monotonic() + deadline_s
    with contextlib.suppress(TimeoutError):
        # The clock may be a test's; what hangs is ended by real time.
        async with asyncio.timeout(deadline_s):
            while left := [each for each in wanted if each not in look.settled]:
                if clock.monotonic() >= ends_at:
                    break
                received = await look.spans_received()
                if quiet.lasts_s(received) >= QUIET_S:
                    break
                await clock.sleep(POLL_S)
                await look.at(left)
                if received is not None and received == await look.spans_received():
                    look.settle_whole_ones()
                if progress is not None:
                    progress(len(look.settled), len(wanted))
    return Collected(look.traces, frozenset(wanted) - look.settled, look.problem)


class _Quiet:
    """How long the store has taken nothing in."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._received: int | None = None
        self._since_s = clock.monotonic()

    def lasts_s(self, received: int | None) -> float:
        """Seconds since ``received`` was another number; what is unknown is not quiet."""
        if received is None or received != self._received:
            self._received, self._since_s = received, self._clock.monotonic()
        return self._clock.monotonic() - self._since_s


class _Look:
    """What repeated looks at the store have seen."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store
        self._seen_now: list[Trace] = []
        self.traces: dict[str, Trace] = {}
        self.settled: set[str] = set()
        self.problem: str | None = None

    async def spans_received(self) -> int | None:
        """The store's own count; None where it does not tell."""
        try:
            return await self._store.spans_received()
        except TraceStoreError as error:
            self.problem = str(error)
            return None

    async def at(self, trace_ids: Sequence[str]) -> None:
        """Look once at each, `AT_ONCE` at a time; a store that only fails is left alone."""
        self._seen_now = []
        waiting = iter(trace_ids)
        failed_in_a_row = 0

        async def work() -> None:
            nonlocal failed_in_a_row
            for trace_id in waiting:
                if failed_in_a_row >= AT_ONCE:
                    return
                try:
                    trace = await self._store.trace(trace_id)
                except TraceStoreError as error:
                    self.problem = str(error)
                    failed_in_a_row += 1
                    continue
                failed_in_a_row = 0
                if trace is not None:
                    self._compare(trace)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())

    def settle_whole_ones(self) -> None:
        """Nothing came since before this look, so what it saw whole stays as it is."""
        self.settled.update(trace.trace_id for trace in self._seen_now if trace.is_whole)

    def _compare(self, trace: Trace) -> None:
        before = self.traces.get(trace.trace_id)
        self.traces[trace.trace_id] = trace
        self._seen_now.append(trace)
        if before is not None and len(before.spans) == len(trace.spans) and trace.is_whole:
            self.settled.add(trace.trace_id)
