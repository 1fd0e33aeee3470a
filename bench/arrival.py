"""How traces arrive in Tempo: all of them, and how soon."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
import httpx
from promises import MeasurementError

from lab.adapters.tempo import MOST_FOUND, TempoStore
from lab.domain.case import Case
from lab.ports import TraceStore
from lab.settings import Settings

PROBES: Final = 20
PROBE_AT_MOST_S: Final = 15.0
SEARCHES_AT_MOST: Final = 8
SEARCH_LAG_S: Final = 4.0
"""Longer than Tempo takes until a trace is found by search, so that a pause of this
length between two equal answers means that nothing is still on its way."""


def spans_ended(case: Case) -> int:
    """How many spans all processes of the run ended, by their own counters."""
    balance = next((f for f in case.proof.findings if f.check == "spans received"), None)
    counted = re.match(r"= (\d+) ended", balance.expected) if balance else None
    if counted is None:
        raise MeasurementError(f"{case.case_id}: a counter of ended spans could not be read")
    return int(counted[1])


async def all_traces(store: TraceStore, start_s: int, end_s: int) -> frozenset[str]:
    """Ids of all traces of the interval, by halves where one answer would be cut short."""
    found = await store.search("{}", start_s=start_s, end_s=end_s)
    if len(found) < MOST_FOUND:
        return found
    if end_s - start_s <= 1:
        raise MeasurementError(f"more than {MOST_FOUND} traces within one second")
    middle = (start_s + end_s) // 2
    earlier = await all_traces(store, start_s, middle)
    return earlier | await all_traces(store, middle, end_s)


async def agreed(ask: Callable[[], Awaitable[frozenset[str]]], pause_s: float) -> frozenset[str]:
    """What two answers in a row say, since a search lags behind what was received."""
    last: frozenset[str] | None = None
    for _ in range(SEARCHES_AT_MOST):
        found = await ask()
        if found == last:
            return found
        last = found
        await asyncio.sleep(pause_s)
    raise MeasurementError(f"no two of {SEARCHES_AT_MOST} searches found the same traces")


async def distinct_spans(settings: Settings, case: Case) -> int:
    """How many distinct span ids Tempo has of a run that has just ended."""
    start_s = int(case.journal[0].time_unix_s)
    end_s = int(case.opened_unix_s) + 1
    seen: set[tuple[str, str]] = set()
    limiter = anyio.CapacityLimiter(4)
    async with TempoStore(settings.url("tempo_http"), deadline_s=30) as store:

        async def fetch(trace_id: str) -> None:
            async with limiter:
                trace = await store.trace(trace_id)
            seen.update((trace_id, span.span_id) for span in trace or ())

        ids = await agreed(lambda: all_traces(store, start_s, end_s), SEARCH_LAG_S)
        async with anyio.create_task_group() as group:
            for trace_id in ids:
                group.start_soon(fetch, trace_id)
    return len(seen)


async def until_true(look: Callable[[], Awaitable[bool]], since: float, every_s: float) -> float:
    """Seconds from ``since`` (monotonic) until ``look`` sees it."""
    while not await look():
        if time.monotonic() - since > PROBE_AT_MOST_S:
            raise MeasurementError(f"a probe's trace was not whole within {PROBE_AT_MOST_S:g} s")
        await asyncio.sleep(every_s)
    return time.monotonic() - since


async def probes(settings: Settings) -> tuple[list[float], list[float]]:
    """From a request's answer to its whole trace, by id and by search, `PROBES` times."""
    gateway = settings.url("gateway")
    by_id, by_search = [], []
    async with (
        TempoStore(settings.url("tempo_http")) as store,
        httpx.AsyncClient(base_url=gateway, timeout=10) as client,
    ):
        user = {"email": "user0001@example.com", "password": "password-0001"}
        token = (await client.post("/login", json=user)).raise_for_status().json()["token"]
        for number in range(1, PROBES + 1):
            # Without a leading zero, which Tempo would drop from the id.
            trace_id = f"{secrets.randbits(127) | 1 << 127:032x}"
            root_id = f"{number:016x}"
            headers = {
                "Authorization": f"Bearer {token}",
                "traceparent": f"00-{trace_id}-{root_id}-01",
            }
            (await client.get(f"/products/{number}", headers=headers)).raise_for_status()
            answered, answered_unix_s = time.monotonic(), time.time()

            async def is_whole(trace_id: str = trace_id, root_id: str = root_id) -> bool:
                # Its root is ours and is never sent, so whole is: that span alone is missing.
                trace = await store.trace(trace_id)
                return trace is not None and trace.missing_parents == {root_id}

            async def is_found(
                trace_id: str = trace_id, since_s: float = answered_unix_s - 15
            ) -> bool:
                query = f'{{ trace:id = "{trace_id}" }}'
                found = await store.search(query, start_s=since_s, end_s=time.time() + 1)
                return trace_id in found and await is_whole(trace_id)

            by_id.append(await until_true(is_whole, answered, 0.02))
            by_search.append(await until_true(is_found, answered, 0.1))
    return by_id, by_search
