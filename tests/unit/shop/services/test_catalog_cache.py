"""What the catalogue's cache keeps, for how long, and who waits for whom."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from lab.shop.services.catalog import Cache


class Shelf:
    """Counts how often it was asked, and takes its time."""

    def __init__(self) -> None:
        self.asked = 0

    async def fetch(self) -> str:
        self.asked += 1
        await asyncio.sleep(0.01)
        return "a lamp"


def lookups(cache: Cache[str], shelf: Shelf, *, at_once: int) -> list[str]:
    async def all_of_them() -> list[str]:
        return await asyncio.gather(*(cache.lookup("lamp", shelf.fetch) for _ in range(at_once)))

    return asyncio.run(all_of_them())


def test_a_ttl_of_zero_keeps_nothing_and_lets_nobody_wait() -> None:
    """By default every lookup asks the database, at the same time as the others."""
    shelf = Shelf()
    cache: Cache[str] = Cache(timedelta(0), single_flight=True)
    assert lookups(cache, shelf, at_once=5) == ["a lamp"] * 5
    assert shelf.asked == 5


@pytest.mark.parametrize(("single_flight", "fetches"), [(True, 1), (False, 5)])
def test_single_flight_fetches_once_for_all_who_wait(*, single_flight: bool, fetches: int) -> None:
    """Five who miss the same key at once fetch it once with single flight, five times without."""
    shelf = Shelf()
    cache: Cache[str] = Cache(timedelta(seconds=60), single_flight=single_flight)
    lookups(cache, shelf, at_once=5)
    assert shelf.asked == fetches


def test_a_value_is_kept_for_its_time_and_no_longer() -> None:
    """A fresh value is not fetched again; an old one is."""
    shelf = Shelf()
    cache: Cache[str] = Cache(timedelta(seconds=1), single_flight=True)

    async def thrice() -> None:
        await cache.lookup("lamp", shelf.fetch)
        await cache.lookup("lamp", shelf.fetch)
        assert shelf.asked == 1
        await asyncio.sleep(1.01)
        await cache.lookup("lamp", shelf.fetch)
        assert shelf.asked == 2

    asyncio.run(thrice())


def test_a_failed_fetch_keeps_nothing() -> None:
    """Whoever fetches in vain gets the error, and the next one tries again."""
    shelf = Shelf()
    cache: Cache[str] = Cache(timedelta(seconds=60), single_flight=True)

    async def fail() -> str:
        raise LookupError

    async def twice() -> None:
        with pytest.raises(LookupError):
            await cache.lookup("lamp", fail)
        assert await cache.lookup("lamp", shelf.fetch) == "a lamp"

    asyncio.run(twice())
