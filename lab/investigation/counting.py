"""Reading the counters at both ends of a run; what cannot be read is None, never a guess."""

from __future__ import annotations

from typing import Final

from lab.domain.load import LoadReport
from lab.errors import LabError
from lab.investigation.integrity import Snapshot, span_balance
from lab.ports import Clock, Stack, TraceStore

BALANCE_WITHIN_S: Final = 4.0
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


async def balanced(
    before: Snapshot, report: LoadReport, stack: Stack, store: TraceStore, clock: Clock
) -> Snapshot:
    """The counters once as many spans have arrived as ended, or when that took too long."""
    give_up_s = clock.monotonic() + BALANCE_WITHIN_S
    while True:
        after = await snapshot(stack, store)
        balance = span_balance(before, after, report)
        if balance is None or balance.is_even or clock.monotonic() > give_up_s:
            return after
        await clock.sleep(POLL_S)
