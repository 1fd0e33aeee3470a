"""Wait for an answer that no longer changes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from lab.errors import PartFailed
from lab.ports.clock import Clock

POLL_S: Final = 1.0
GIVE_UP_S: Final = 45.0
"""Longer than Tempo takes to finish a block, four times an hour, while it answers late or not."""

Answer = TypeVar("Answer")


async def until_same(
    ask: Callable[[], Awaitable[Answer]], clock: Clock, *, for_s: float
) -> tuple[Answer, bool]:
    """Ask until the answer has stayed the same for so long: it, and whether it did.

    After `GIVE_UP_S` the last answer is given. A part that fails is asked again, for a busy
    machine may have kept it from answering in time; if it fails at the end, that is raised.
    """
    give_up_s = clock.monotonic() + GIVE_UP_S
    last: Answer | None = None
    since_s = clock.monotonic()
    while True:
        is_over = clock.monotonic() > give_up_s
        try:
            seen = await ask()
        except PartFailed:
            if is_over:
                raise
            last = None
        else:
            if last is None or seen != last:
                last, since_s = seen, clock.monotonic()
            elif clock.monotonic() - since_s >= for_s:
                return seen, True
            if is_over:
                return seen, False
        await clock.sleep(POLL_S)
