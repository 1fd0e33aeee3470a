"""Every trace of a stretch of time, out of a store that tells only so many at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Final

from lab.domain.trace import Trace
from lab.errors import TraceStoreError
from lab.ports import TraceStore

AT_ONCE: Final = 8
"""Traces asked for at the same time; more make none of them come sooner."""

SHORTEST_S: Final = 1
"""Searches take whole seconds; a second with more traces than one answer holds is refused."""


async def trace_ids(
    store: TraceStore, start_s: int, end_s: int, *, most: int, traceql: str = "{}"
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
            "narrow the search"
        )
    middle = (start_s + end_s) // 2
    earlier = await trace_ids(store, start_s, middle, most=most, traceql=traceql)
    return earlier | await trace_ids(store, middle, end_s, most=most, traceql=traceql)


async def fetch(store: TraceStore, ids: frozenset[str]) -> AsyncIterator[Trace]:
    """Each trace of ``ids`` that is still there, `AT_ONCE` asked for at a time."""
    waiting = sorted(ids)
    for start in range(0, len(waiting), AT_ONCE):
        some = waiting[start : start + AT_ONCE]
        for trace in await asyncio.gather(*(store.trace(each) for each in some)):
            if trace is not None:
                yield trace
