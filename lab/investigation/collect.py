"""Fetch the traces a case needs, and say of each whether it had settled."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from lab.domain.evidence import Sample
from lab.domain.trace import Trace
from lab.errors import TraceStoreError
from lab.ports import Clock, TraceStore

AT_ONCE: Final = 8
"""Requests in flight: faster than one by one by half, and Tempo keeps taking spans in."""

POLL_S: Final = 0.2
"""Least time between two looks at one trace; the exporters' batches are as far apart."""

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


async def collect(
    store: TraceStore,
    clock: Clock,
    samples: Mapping[Sample, tuple[str, ...]],
    *,
    deadline_s: float,
    progress: Progress | None = None,
) -> Collected:
    """Fetch the traces of ``samples`` by id, for at most ``deadline_s``.

    A trace is settled when it is whole and a second look, at least `POLL_S` later,
    finds no more spans. What a store cannot give is missing from the answer; nothing
    is raised for it.
    """
    wanted = tuple(dict.fromkeys(chain.from_iterable(samples.values())))
    look = _Look(store)
    ends_at = clock.monotonic() + deadline_s
    while (left := [each for each in wanted if each not in look.settled]) and (
        (left_s := ends_at - clock.monotonic()) > 0
    ):
        began = clock.monotonic()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                await look.at(left)
        if progress is not None:
            progress(len(look.settled), len(wanted))
        if len(look.settled) < len(wanted):
            await clock.sleep(max(0.0, POLL_S - (clock.monotonic() - began)))
    return Collected(look.traces, frozenset(wanted) - look.settled, look.problem)


class _Look:
    """What repeated looks at the store have seen."""

    def __init__(self, store: TraceStore) -> None:
        self._store = store
        self.traces: dict[str, Trace] = {}
        self.settled: set[str] = set()
        self.problem: str | None = None

    async def at(self, trace_ids: Sequence[str]) -> None:
        """Look once at each, `AT_ONCE` at a time; a store that only fails is left alone."""
        waiting = iter(trace_ids)
        failed_in_a_row = 0

        async def work() -> None:
            nonlocal failed_in_a_row
            for trace_id in waiting:
                if failed_in_a_row >= AT_ONCE:
                    return
                try:
                    self._compare(trace_id, await self._store.trace(trace_id))
                    failed_in_a_row = 0
                except TraceStoreError as error:
                    self.problem = str(error)
                    failed_in_a_row += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(work())

    def _compare(self, trace_id: str, trace: Trace | None) -> None:
        if trace is None:
            return
        before = self.traces.get(trace_id)
        self.traces[trace_id] = trace
        if before is not None and len(before.spans) == len(trace.spans) and trace.is_whole:
            self.settled.add(trace_id)
