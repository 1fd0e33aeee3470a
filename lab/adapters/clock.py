"""The machine's own clock."""

from __future__ import annotations

import time


class SystemClock:
    """`Clock` by the operating system."""

    def monotonic(self) -> float:
        """Seconds that never jump."""
        return time.monotonic()

    def unix(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    async def sleep(self, seconds: float) -> None:
        """Wait that long."""
        import asyncio  # Who only asks for the time does not wait for it.

        await asyncio.sleep(seconds)
