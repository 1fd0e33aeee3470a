"""The safety lever reaches the warden in two ways, and says where neither is open."""

from __future__ import annotations

import pytest

from lab.adapters.memory.clock import FakeClock
from lab.adapters.memory.injector import MemoryInjector
from lab.adapters.memory.warden import MemoryHarmMark, MemoryWarden
from lab.errors import HarmStopped, InjectorError, LeaseError, StackNotReady
from lab.investigation.running.lever import Lever
from lab.ports.warden import Removal
from lab.shop.topology import EDGES

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class DownWarden(MemoryWarden):
    """Nobody listens."""

    async def stop_harm(self) -> Removal:
        raise StackNotReady("nobody listens")

    async def allow_harm(self) -> None:
        raise StackNotReady("nobody listens")

    async def is_harm_stopped(self) -> bool:
        raise StackNotReady("nobody listens")


class StuckWarden(MemoryWarden):
    """Stops all harm but what there is."""

    async def stop_harm(self) -> Removal:
        raise InjectorError("it hangs")


def lever(
    kind: type[MemoryWarden] = MemoryWarden, mark: MemoryHarmMark | None = None
) -> tuple[Lever, MemoryWarden]:
    warden = kind(MemoryInjector(edge.name for edge in EDGES), FakeClock(), mark=mark)
    return Lever(warden, mark), warden


async def test_a_warden_that_answers_says_what_it_removed() -> None:
    """And the mark is on the disk as well."""
    mark = MemoryHarmMark()
    pulled, _ = lever(mark=mark)
    removal = await pulled.stop()
    assert removal is not None
    assert removal.proven_clean
    assert mark.is_set()
    assert await pulled.is_pulled()
    await pulled.allow()
    assert not mark.is_set()
    assert not await pulled.is_pulled()


async def test_a_warden_that_is_down_finds_the_mark_at_its_start() -> None:
    """Until then the lever itself tells that it is pulled."""
    mark = MemoryHarmMark()
    pulled, _ = lever(DownWarden, mark)
    assert await pulled.stop() is None
    assert await pulled.is_pulled()
    _, warden = lever(mark=mark)
    with pytest.raises(HarmStopped):
        await warden.take(holder="a run", faults=(), conditions={}, ttl_s=3.0)
    await pulled.allow()
    assert not await pulled.is_pulled()


async def test_a_warden_that_is_down_elsewhere_cannot_be_told() -> None:
    """Nothing is said to be stopped that is not."""
    pulled, _ = lever(DownWarden)
    for act in (pulled.stop, pulled.allow, pulled.is_pulled):
        with pytest.raises(StackNotReady):
            await act()


async def test_a_full_disk_is_no_reason_not_to_tell_the_warden() -> None:
    """It is one to complain where the warden is down besides."""
    _, warden = lever()
    assert await Lever(warden, MemoryHarmMark(is_full=True)).stop() is not None
    assert await warden.is_harm_stopped()
    pulled, _ = lever(DownWarden, MemoryHarmMark(is_full=True))
    with pytest.raises(OSError, match="No space"):
        await pulled.stop()


async def test_harm_that_stays_is_told_beside_what_was_stopped() -> None:
    """Whoever pulled the lever must not believe that it did nothing, nor that it did all."""
    mark = MemoryHarmMark()
    pulled, _ = lever(StuckWarden, mark)
    with pytest.raises(LeaseError, match=r"no lease is given any more, .*it hangs"):
        await pulled.stop()
    assert mark.is_set()
