"""Time limits that a busy machine cannot break and a wrong product cannot keep."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

TRIES = 3


async def quickest(attempt: Callable[[], Awaitable[float]], *, below_s: float) -> float:
    """Seconds of the quickest of `TRIES` attempts; the first below ``below_s`` is the last.

    A neighbour that takes the processor for a moment spoils one attempt, a product that
    is too slow spoils each.
    """
    took_s = await attempt()
    for _ in range(TRIES - 1):
        if took_s < below_s:
            break
        took_s = min(took_s, await attempt())
    return took_s
