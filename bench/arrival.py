"""How traces arrive in Tempo: all of them, and how soon."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import anyio
import httpx
from promises import MeasurementError

from lab.adapters.tempo import MOST_FOUND, TempoStore
from lab.domain.case import Case
from lab.investigation.running.collect import trace_ids
from lab.ports.trace_store import TraceStore
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

        ids = await agreed(lambda: trace_ids(store, start_s, end_s, most=MOST_FOUND), SEARCH_LAG_S)
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


@dataclass(frozen=True, slots=True)
class Probe:
    """One request whose trace is waited for; its root span is ours and never sent."""

    number: int
    trace_id: str

    @classmethod
    def fresh(cls, number: int) -> Probe:
        """A new trace id, without a leading zero, which Tempo would drop."""
        return cls(number, f"{secrets.randbits(127) | 1 << 127:032x}")

    async def send(self, client: httpx.AsyncClient) -> None:
        """Ask for a product as part of the trace."""
        parent = f"00-{self.trace_id}-{self.number:016x}-01"
        answer = await client.get(f"/products/{self.number}", headers={"traceparent": parent})
        answer.raise_for_status()

    async def is_whole(self, store: TraceStore) -> bool:
        """Whether the root alone is missing."""
        trace = await store.trace(self.trace_id)
        return trace is not None and trace.missing_parents == {f"{self.number:016x}"}

    async def is_found(self, store: TraceStore, since_s: float) -> bool:
        """Whether a search from ``since_s`` (Unix seconds) to now names it, and it is whole."""
        query = f'{{ trace:id = "{self.trace_id}" }}'
        found = await store.search(query, start_s=since_s, end_s=time.time() + 1)
        return self.trace_id in found and await self.is_whole(store)


async def probes(settings: Settings) -> tuple[list[float], list[float]]:
    """Seconds from an answer to its whole trace, by id and by search, `PROBES` times."""
    by_id, by_search = [], []
    async with (
        TempoStore(settings.url("tempo_http")) as store,
        httpx.AsyncClient(base_url=settings.url("gateway"), timeout=10) as client,
    ):
        user = {"email": "user0001@example.com", "password": "password-0001"}
        token = (await client.post("/login", json=user)).raise_for_status().json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        began_s = time.time() - 1
        for number in range(1, PROBES + 1):
            # Tempo makes traces searchable once a second. A probe sent when the last was
            # found would always meet the same moment of it; these meet all.
            await asyncio.sleep(number / PROBES)
            probe = Probe.fresh(number)
            await probe.send(client)
            answered = time.monotonic()
            whole = partial(probe.is_whole, store)
            found = partial(probe.is_found, store, began_s)
            by_id.append(await until_true(whole, answered, 0.02))
            by_search.append(await until_true(found, answered, 0.1))
    return by_id, by_search
