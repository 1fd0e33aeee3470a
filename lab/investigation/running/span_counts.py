"""Reading the counters at both ends of a run; what cannot be read is None, never a guess."""

from __future__ import annotations

from functools import partial
from typing import Final

from lab.domain.load import LoadReport
from lab.errors import LabError
from lab.investigation.running.integrity import Snapshot, SpanBalance, span_balance
from lab.investigation.running.waiting import until_same
from lab.ports.clock import Clock
from lab.ports.stack import Stack
from lab.ports.trace_store import TraceStore

AT_REST_FOR_S: Final = 1.0
"""As long as a request that was given up may take to be written down."""

STILL_FOR_S: Final = 4.0
"""Nothing that ended comes later than that, unless something came in between."""

BALANCE_WITHIN_S: Final = 30.0
POLL_S: Final = 0.25


async def snapshot(stack: Stack, store: TraceStore) -> Snapshot:
    """The counters of this moment."""
    try:
        counters = await stack.counters()
    except LabError:
        counters = None
    try:
        received = await store.spans_received()
    except LabError:
        received = None
    return Snapshot(counters, received)


async def at_rest(stack: Stack, store: TraceStore, clock: Clock) -> Snapshot:
    """The counters once nothing of an earlier run is on its way, or when that took too long."""
    seen, _ = await until_same(partial(snapshot, stack, store), clock, for_s=AT_REST_FOR_S)
    return seen


async def balanced(
    before: Snapshot, report: LoadReport, stack: Stack, store: TraceStore, clock: Clock
) -> Snapshot:
    """The counters once as many spans have arrived as ended, or once no more are coming."""
    began_s = since_s = clock.monotonic()
    last: SpanBalance | None = None
    while True:
        after = await snapshot(stack, store)
        balance, now_s = span_balance(before, after, report), clock.monotonic()
        if balance is not None and balance.is_even:
            return after
        if balance != last:
            last, since_s = balance, now_s
        if now_s - since_s > STILL_FOR_S or now_s - began_s > BALANCE_WITHIN_S:
            return after
        await clock.sleep(POLL_S)
