"""Values kept for a while, with a span that says whether one was there."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Generic, TypeVar

from lab.shop.telemetry import tracer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """Values by key, each for ``ttl``.

    With ``single_flight`` a missing value is fetched once for all who wait for
    it. A ``ttl`` of zero keeps nothing, so nobody waits for anybody either.
    """

    def __init__(self, ttl: timedelta, *, single_flight: bool) -> None:
        self._ttl_s = ttl.total_seconds()
        self._single_flight = single_flight and self._ttl_s > 0
        self._kept: dict[str, tuple[float, Value]] = {}
        self._flights: dict[str, asyncio.Lock] = {}

    async def lookup(self, key: str, fetch: Callable[[], Awaitable[Value]]) -> Value:
        """The value of ``key``, by ``fetch`` if it is missing or too old.

        The span ``cache.lookup`` lasts until the value is there, fetching included.
        """
        with tracer.start_as_current_span("cache.lookup", attributes={"cache.key": key}) as span:
            async with self._flight(key):
                value = self._fresh(key)
                span.set_attribute("cache.hit", value is not None)
                if value is None:
                    value = await fetch()
                    if self._ttl_s > 0:
                        self._kept[key] = (time.monotonic() + self._ttl_s, value)
                return value

    def _fresh(self, key: str) -> Value | None:
        expires_s, value = self._kept.get(key, (0.0, None))
        return value if time.monotonic() < expires_s else None

    def _flight(self, key: str) -> AbstractAsyncContextManager[object]:
        return (
            self._flights.setdefault(key, asyncio.Lock()) if self._single_flight else nullcontext()
        )
