"""A clock that stands still until somebody sleeps."""

from __future__ import annotations

import asyncio


class FakeClock:
    """`Clock` for tests: sleeping takes no time and moves the clock.

    ``unix`` runs ``offset_s`` ahead of ``monotonic``; `advance` moves both by hand.
    """

    def __init__(self, start_s: float = 0.0, *, offset_s: float = 1_700_000_000.0) -> None:
        self._now_s = start_s
        self._offset_s = offset_s

    def monotonic(self) -> float:
        """Seconds since the clock was made, plus its start."""
        return self._now_s

    def unix(self) -> float:
        """The same moment in seconds since the epoch."""
        return self._now_s + self._offset_s

    async def sleep(self, seconds: float) -> None:
        """Let every other task run once, then be that much later than before, or later still.

        Who sleeps beside another does not make the time of both go twice as fast.
        """
        wakes_s = self._now_s + seconds
        await asyncio.sleep(0)
        self._now_s = max(self._now_s, wakes_s)

    def advance(self, seconds: float) -> None:
        """Be that much later at once."""
        self._now_s += max(0.0, seconds)
