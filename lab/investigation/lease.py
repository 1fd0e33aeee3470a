"""Holding a lease for the length of a window: heartbeats, a watch on the edges, release."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

import anyio

from lab.domain.fault import Conditions, Fault
from lab.errors import LabError
from lab.investigation.integrity import edges_match
from lab.ports import Clock, Removal, Warden

TTL_S: Final = 3.0
HEARTBEAT_S: Final = 0.5


class HeldLease:
    """What a run knows of its lease: was it alive, did the edges show it, how did it end."""

    def __init__(self, warden: Warden, clock: Clock, faults: Sequence[Fault]) -> None:
        self._warden = warden
        self._clock = clock
        self._faults = tuple(faults)
        self.looks = 0
        self.strays = 0
        self.problem: str | None = None
        self.removal: Removal | None = None

    async def _beat(self, lease_id: str) -> None:
        while True:
            await self._clock.sleep(HEARTBEAT_S)
            with self._noting_problems():
                await self._warden.heartbeat(lease_id)
            await self.look()

    async def look(self) -> None:
        """Compare the edges with the lease once."""
        with self._noting_problems():
            edges = await self._warden.edges()
            self.looks += 1
            self.strays += not edges_match(edges, self._faults)

    @contextlib.contextmanager
    def _noting_problems(self) -> Iterator[None]:
        """A warden that fails does not end a run: it makes it one that cannot be trusted."""
        try:
            yield
        except LabError as error:
            self.problem = str(error)

    @contextlib.asynccontextmanager
    async def hold(self, holder: str, conditions: Conditions) -> AsyncIterator[None]:
        """Hold it while the body runs; whatever ends the body, everything is taken away."""
        with anyio.CancelScope(shield=True):  # else a lease could be held by nobody
            lease = await self._warden.take(
                holder=holder, faults=self._faults, conditions=conditions, ttl_s=TTL_S
            )
        beating = asyncio.create_task(self._beat(lease.lease_id))
        try:
            yield
            await self.look()
        finally:
            with anyio.CancelScope(shield=True):
                beating.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await beating
                with self._noting_problems():
                    self.removal = await self._warden.release(lease.lease_id)


@contextlib.asynccontextmanager
async def harm(
    warden: Warden, clock: Clock, holder: str, faults: Sequence[Fault], conditions: Conditions
) -> AsyncIterator[HeldLease]:
    """Faults and settings for as long as the body runs; without either, only the watch."""
    lease = HeldLease(warden, clock, faults)
    if not faults and not conditions:
        await lease.look()
        yield lease
        await lease.look()
        return
    async with lease.hold(holder, conditions):
        yield lease
