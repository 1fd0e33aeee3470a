"""Holding a lease for the length of a window: heartbeats, a watch on the edges, release."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

import anyio

from lab.domain.fault import Conditions, Fault
from lab.errors import HarmStopped, LabError
from lab.investigation.running.integrity import edges_match
from lab.ports.clock import Clock
from lab.ports.warden import LeasedEdges, Removal, Warden

TTL_S: Final = 3.0
HEARTBEAT_S: Final = 0.5


class HeldLease:
    """What a run knows of its lease: was it alive, did the edges show it, how did it end."""

    def __init__(self, warden: Warden, clock: Clock, faults: Sequence[Fault]) -> None:
        self._warden = warden
        self._clock = clock
        self._faults = tuple(faults)
        self._lease_id: str | None = None
        self._stopped: HarmStopped | None = None
        self.looks = 0
        self.strays = 0
        self.problem: str | None = None
        self.removal: Removal | None = None

    @contextlib.asynccontextmanager
    async def attended(self) -> AsyncIterator[None]:
        """Beat while the body runs; HarmStopped ends it at once where the safety lever is pulled.

        Load goes on without a lease too, and may be all the harm there is; so the lever
        is watched also where no lease is held.
        """
        with anyio.CancelScope() as body:
            beating = asyncio.create_task(self._beat_or_end(body))
            try:
                yield
            finally:
                with anyio.CancelScope(shield=True):
                    beating.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await beating
        if self._stopped is not None:
            raise self._stopped

    async def _beat_or_end(self, body: anyio.CancelScope) -> None:
        while True:
            await self._clock.sleep(HEARTBEAT_S)
            try:
                await self._beat()
            except HarmStopped as error:
                self._stopped = error
                body.cancel()
                return

    async def _beat(self) -> None:
        with self._noting_problems():
            if self._lease_id is None:
                if await self._warden.is_harm_stopped():
                    raise HarmStopped
                return
            await self._warden.heartbeat(self._lease_id)
        await self.look()

    async def look(self) -> None:
        """Compare the edges with the lease once.

        Which scheduled fault is due at this moment the warden knows; which faults there
        are at all, and that those without a schedule are always on, the run knows itself.
        """
        with self._noting_problems():
            seen = await self._see()
            self.looks += 1
            wanted = [
                fault.unscheduled
                for fault in self._faults
                if fault.schedule is None or fault.unscheduled in seen.on
            ]
            self.strays += not edges_match(seen.edges, wanted)

    async def _see(self) -> LeasedEdges:
        if self._lease_id is None:
            return LeasedEdges(await self._warden.edges(), on=())
        return await self._warden.leased_edges(self._lease_id)

    async def roll_again(self, edge: str) -> None:
        """Let the dice of that edge's fractional fault fall anew."""
        if self._lease_id is not None:
            await self._warden.roll_again(self._lease_id, edge)

    @contextlib.contextmanager
    def _noting_problems(self) -> Iterator[None]:
        """A warden that fails does not end a run: it makes it one that cannot be trusted."""
        try:
            yield
        except HarmStopped:
            raise
        except LabError as error:
            self.problem = str(error)

    @contextlib.asynccontextmanager
    async def hold(self, holder: str, conditions: Conditions, seed: int) -> AsyncIterator[None]:
        """Hold it while the body runs; whatever ends the body, everything is taken away."""
        with anyio.CancelScope(shield=True):  # else a lease could be held by nobody
            lease = await self._warden.take(
                holder=holder, faults=self._faults, conditions=conditions, ttl_s=TTL_S, seed=seed
            )
        self._lease_id = lease.lease_id
        try:
            async with self.attended():
                yield
                await self.look()
        finally:
            with anyio.CancelScope(shield=True), self._noting_problems():
                self.removal = await self._warden.release(lease.lease_id)


@contextlib.asynccontextmanager
async def harm(
    warden: Warden,
    clock: Clock,
    holder: str,
    faults: Sequence[Fault],
    conditions: Conditions,
    seed: int,
) -> AsyncIterator[HeldLease]:
    """Faults and settings for as long as the body runs; without either, only the watch.

    ``seed`` decides the jitter of scheduled faults.
    """
    lease = HeldLease(warden, clock, faults)
    if not faults and not conditions:
        async with lease.attended():
            await lease.look()
            yield lease
            await lease.look()
        return
    async with lease.hold(holder, conditions, seed):
        yield lease
