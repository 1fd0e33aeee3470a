"""Spans ended against spans received, where they come late, not at all, or without an end."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import anyio
import pytest

from lab.adapters.memory.clock import FakeClock
from lab.adapters.memory.stack import MemoryStack
from lab.adapters.memory.trace_store import MemoryTraceStore
from lab.domain.load import LoadReport
from lab.errors import TraceStoreError
from lab.investigation.running import span_counts
from lab.investigation.running.integrity import SpanBalance, span_balance

ENDED: Final = 20


class TallyStore(MemoryTraceStore):
    """A store whose count of spans follows the clock; None where it does not answer."""

    def __init__(self, clock: FakeClock, received_at: Callable[[float], int | None]) -> None:
        super().__init__()
        self._clock = clock
        self._received_at = received_at

    async def spans_received(self) -> int:
        received = self._received_at(self._clock.monotonic())
        if received is None:
            raise TraceStoreError("expected a count, got none in time")
        return received


def balance_at_the_end(
    received_at: Callable[[float], int | None],
) -> tuple[SpanBalance | None, float]:
    """What `counting.balanced` finds of `ENDED` spans, and how long it took in seconds."""
    clock, stack = FakeClock(), MemoryStack()
    report = LoadReport(spans_ended=ENDED, spans_failed=0, lateness_p99_ms=None)

    async def main() -> SpanBalance | None:
        async for _ in stack.up():
            pass
        before = await span_counts.snapshot(stack, MemoryTraceStore())
        store = TallyStore(clock, received_at)
        after = await span_counts.balanced(before, report, stack, store, clock)
        return span_balance(before, after, report)

    return anyio.run(main), clock.monotonic()


@pytest.mark.parametrize(
    ("received_at", "received", "within_s"),
    [
        pytest.param(lambda _: ENDED, ENDED, (0, 0), id="all there"),
        pytest.param(lambda now: min(ENDED, 14 + 2 * int(now / 3)), ENDED, (9, 10), id="late"),
        pytest.param(lambda _: 14, 14, (4, 5), id="lost"),
        pytest.param(lambda now: None if now < 3 else ENDED, ENDED, (3, 4), id="silent at first"),
        pytest.param(lambda now: 30 + int(now), 60, (30, 31), id="without an end"),
    ],
)
def test_spans_are_awaited_as_long_as_any_come(
    received_at: Callable[[float], int | None], received: int, within_s: tuple[float, float]
) -> None:
    """A busy machine delivers late; what has stood still for a while is all there will be."""
    balance, took_s = balance_at_the_end(received_at)
    assert balance is not None
    assert balance.ended == ENDED
    assert balance.received == pytest.approx(received, abs=1)
    assert balance.is_even is (received == ENDED)
    assert within_s[0] <= took_s <= within_s[1]


def test_a_count_that_never_comes_is_no_balance() -> None:
    """And nobody waits for it as long as for spans."""
    balance, took_s = balance_at_the_end(lambda _: None)
    assert balance is None
    assert took_s < span_counts.BALANCE_WITHIN_S


@pytest.mark.parametrize("rest_at_s", [0, 7])
def test_a_run_counts_from_when_nothing_of_another_is_on_its_way(rest_at_s: int) -> None:
    """Spans of an earlier run that come late are not this one's."""
    clock, stack = FakeClock(), MemoryStack()
    store = TallyStore(clock, lambda now: min(math.ceil(now), rest_at_s))
    seen = anyio.run(span_counts.at_rest, stack, store, clock)
    assert seen.spans_received == rest_at_s
    assert clock.monotonic() == pytest.approx(rest_at_s + span_counts.AT_REST_FOR_S, abs=1)
