"""One lease at a time: the state machine between what callers ask and what edges get."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Final, NoReturn

from lab.domain.fault import Conditions, Fault
from lab.errors import HarmStopped, LabError, LeaseError, LeaseGone, LeaseHeld
from lab.ports.clock import Clock
from lab.ports.injector import EdgeState
from lab.ports.services import ShopState
from lab.ports.warden import HarmMark, LeasedEdges, LeaseStatus, Removal
from lab.warden.applying import Applier, check_request
from lab.warden.diary import WardenJournal
from lab.warden.ending import Undoing
from lab.warden.lease import Lease, LeaseState
from lab.warden.removing import Remover
from lab.warden.storage import LeaseStorage
from lab.warden.switching import Switchboard

SHUTDOWN_PATIENCE_S: Final = 2.5


class Leases:
    """The warden without its HTTP: implements `Warden`.

    Whoever runs it calls `start` once and then `tick` several times a second.
    The order is always the same: write down, do, read back; and at the end: undo,
    prove, forget. So whatever dies in between, the file names all harm there is,
    also what a schedule has yet to bring.
    """

    def __init__(
        self,
        *,
        applier: Applier,
        remover: Remover,
        storage: LeaseStorage,
        mark: HarmMark,
        clock: Clock,
        journal: WardenJournal,
    ) -> None:
        self._applier = applier
        self._remover = remover
        self._storage = storage
        self._mark = mark
        self._clock = clock
        self._journal = journal
        self._lock = asyncio.Lock()
        self._lease: Lease | None = None
        self._deadline_s = 0.0
        self._board: Switchboard | None = None
        self._undoing: Undoing | None = None
        self._last_end = "none was given since the warden started"
        self._ready = False
        self._is_stopped = False

    @property
    def is_ready(self) -> bool:
        """Whether it has started, and everything that an earlier warden left behind is gone."""
        return self._ready

    def start(self) -> None:
        """Find what an earlier warden left; the ticks that follow take it away."""
        unreadable = False
        try:
            left = self._storage.load()
        except LeaseError as error:
            self._journal.record("lease unreadable, all edges are suspect", problem=str(error))
            unreadable = True
            left = Lease("unreadable", "an earlier warden", 0.0, self._clock.unix(), (), {})
        self._journal.record("warden started", left=left and left.lease_id)
        if left is None:
            self._ready = True
        else:
            self._lease = left
            self._begin_removal("left by an earlier warden", sweep=unreadable, in_doubt=True)

    async def take(
        self,
        *,
        holder: str,
        faults: Sequence[Fault],
        conditions: Conditions,
        ttl_s: float,
        seed: int = 0,
    ) -> LeaseStatus:
        """Write down, apply settings, then the faults that are due; all or nothing.

        HarmStopped while harm is, LeaseHeld while another lease or a removal is under
        way, LeaseError where the request makes no sense or could not be carried out;
        then whatever had been done of it is taken back, or is being taken back.
        """
        check_request(faults, conditions, ttl_s)
        self._refuse_if_stopped()
        self._refuse_if_held()
        lease = Lease(
            lease_id=uuid.uuid4().hex,
            holder=holder,
            ttl_s=ttl_s,
            taken_unix_s=self._clock.unix(),
            faults=tuple(faults),
            conditions=dict(conditions),
            seed=seed,
        )
        self._lease = lease
        async with self._lock:
            await self._write_ahead(lease)
            try:
                self._board = await self._applier.apply(lease, self._refuse_if_stopped)
                self._lease = replace(lease, state=LeaseState.HELD)
                self._storage.save(self._lease)
            except (LabError, OSError) as error:
                await self._take_back(error)
            self._deadline_s = self._clock.monotonic() + ttl_s
            self._board.begin()
        self._journal.record("held", lease=lease.lease_id, ttl_s=ttl_s)
        return self._status(self._lease)

    def _refuse_if_stopped(self) -> None:
        if self._sees_stop():
            raise HarmStopped

    def _sees_stop(self) -> bool:
        """Whether harm is stopped: somebody has said so here, or the mark says it.

        What was seen once is remembered until `allow_harm`, for a mark that vanished with
        its folder allows nothing.
        """
        self._is_stopped = self._is_stopped or self._mark.is_set()
        return self._is_stopped

    def _refuse_if_held(self) -> None:
        if self._lease is not None:
            status = self._status(self._lease)
            raise LeaseHeld(
                f"expected no lease, found one of {status.holder} ({status.state}) for another "
                f"{status.expires_in_s:.1f} s, longer if it is prolonged; wait, or `lab heal`"
            )
        if self._undoing is not None or not self._ready:
            raise LeaseHeld("expected a shop at rest, found it being healed; wait")

    async def _write_ahead(self, lease: Lease) -> None:
        try:
            await self._applier.check_edges(lease)
            self._storage.save(lease)
        except LabError:
            self._lease = None
            raise
        except OSError as error:
            self._lease = None
            raise LeaseError(
                f"expected to write the lease down first, found {error}; nothing was touched; "
                "free some disk space"
            ) from error
        self._journal.record(
            "applying",
            lease=lease.lease_id,
            holder=lease.holder,
            faults=[asdict(fault) for fault in lease.faults],
            conditions=dict(lease.conditions),
            seed=lease.seed,
        )

    async def _take_back(self, error: Exception) -> NoReturn:
        """Undo a lease that could not be applied, and say so."""
        undoing = self._begin_removal(f"could not be applied: {error}")
        self._ended(undoing, await undoing.patiently())
        if isinstance(error, HarmStopped):
            raise error
        raise LeaseError(f"{error} (all of the lease was taken back)") from error

    async def heartbeat(self, lease_id: str) -> LeaseStatus:
        """Start the time to live anew; LeaseGone where it has run out, if only just."""
        lease = self._held(lease_id)
        self._deadline_s = self._clock.monotonic() + lease.ttl_s
        return self._status(lease)

    def _held(self, lease_id: str) -> Lease:
        self._refuse_if_stopped()
        lease = self._lease
        if lease is None or lease.lease_id != lease_id:
            raise LeaseGone(f"expected lease {lease_id} to be held; {self._last_end}")
        if lease.state is not LeaseState.HELD or self._is_over:
            raise LeaseGone(f"expected lease {lease_id} to be held, found it ending or ended")
        return lease

    @property
    def _is_over(self) -> bool:
        return self._clock.monotonic() >= self._deadline_s

    async def roll_again(self, lease_id: str, edge: str) -> LeaseStatus:
        """Roll the dice of that edge's fractional fault anew; a lease that fails in it ends.

        LeaseError where the lease has no such fault, or more than one.
        """
        async with self._lock:
            lease, board = self._held(lease_id), self._board
            assert board is not None
            numbers = [n for n, fault in enumerate(lease.faults) if fault.is_rolled_on(edge)]
            if len(numbers) != 1:
                raise LeaseError(
                    f"expected one fault of {edge} with a toxicity below 1 and no schedule, "
                    f"found {len(numbers)}"
                )
            try:
                await board.roll_again(numbers[0])
            except LabError as error:
                self._begin_removal(f"could not be rolled again: {error}")
                raise LeaseError(f"{error} (the lease is being taken back)") from error
            return self._status(lease)

    async def release(self, lease_id: str) -> Removal:
        """Take the lease's harm away and prove it gone; LeaseGone for any other lease's id.

        LeaseError when it is not gone after `PATIENCE_S`; the warden goes on trying.
        """
        async with self._lock:
            if self._lease is None or self._lease.lease_id != lease_id:
                raise LeaseGone(f"expected lease {lease_id} to be held; {self._last_end}")
            undoing = self._undoing or self._begin_removal("released")
            return self._ended(undoing, await undoing.patiently())

    async def stop_harm(self) -> Removal:
        """Refuse every lease from now on, also after a restart, and heal.

        LeaseError where the disk does not keep it: harm is then stopped as long as this
        process lives.
        """
        self._is_stopped = True
        self._journal.record("harm stopped")
        unkept = None
        try:
            self._mark.set()
        except OSError as error:
            unkept = error
        removal = await self._heal("harm was stopped")
        if unkept is not None:
            raise LeaseError(
                f"expected to write down that harm is stopped, found {unkept}; all harm is gone "
                "and none is let in, but a warden that starts anew will not know it"
            ) from unkept
        return removal

    async def allow_harm(self) -> None:
        """Give leases again; LeaseError, and harm stays stopped, where the mark stays."""
        try:
            self._mark.clear()
        except OSError as error:
            raise LeaseError(
                f"expected to write down that harm is allowed, found {error}; it stays stopped"
            ) from error
        self._is_stopped = False
        self._journal.record("harm allowed")

    async def is_harm_stopped(self) -> bool:
        """Whether no lease is given until `allow_harm`."""
        return self._sees_stop()

    async def heal(self) -> Removal:
        """End any lease, clean every edge, undo every setting, whoever it was."""
        return await self._heal("healed")

    async def _heal(self, why: str) -> Removal:
        async with self._lock:
            if self._lease is None:
                undoing = self._undo(why, sweep=True, in_doubt=False)
            else:
                undoing = self._begin_removal(why, sweep=True)
            try:
                return self._ended(undoing, await undoing.patiently())
            finally:
                if self._lease is None:
                    self._undoing = None

    async def current(self) -> LeaseStatus | None:
        """The lease, be it held, on its way in, or on its way out."""
        return None if self._lease is None else self._status(self._lease)

    async def edges(self) -> Mapping[str, EdgeState]:
        """Every edge as Toxiproxy has it."""
        return await self._applier.edges()

    async def shop(self) -> ShopState:
        """Every service as its keeper has it."""
        return await self._applier.shop()

    async def leased_edges(self, lease_id: str) -> LeasedEdges:
        """The edges and the faults that are due, of one moment; LeaseGone as for a heartbeat."""
        self._held(lease_id)
        assert self._board is not None
        seen = await self._board.look()
        self._held(lease_id)  # It may have ended meanwhile, and its harm with it.
        return seen

    async def tick(self) -> None:
        """Let time do its work: expiry, schedules, the next attempt at a removal that failed.

        Harm that was stopped by the mark alone, without a word to this process, ends here.
        """
        is_stopped = self._sees_stop()
        if self._lease is None or self._lock.locked():
            return
        async with self._lock:
            if self._lease.state is LeaseState.APPLYING:
                # The lock is free, so whoever was applying it is gone.
                self._begin_removal("abandoned while applying")
            elif self._lease.state is LeaseState.HELD and is_stopped:
                self._begin_removal("harm was stopped")
            elif self._lease.state is LeaseState.HELD and self._is_over:
                self._begin_removal("expired")
            elif self._lease.state is LeaseState.HELD:
                await self._follow_schedules()
            if self._undoing is not None and self._undoing.is_due:
                with contextlib.suppress(LabError):
                    self._ended(self._undoing, await self._undoing.attempt())

    async def _follow_schedules(self) -> None:
        """Switch what is due; a lease whose harm is not what it says ends.

        A second try would come late, and nobody who reads the evidence would know.
        """
        board = self._board
        assert board is not None
        if board.is_midway:
            # The lock is free, so whoever was switching is gone.
            self._begin_removal("abandoned while switching")
            return
        while not self._is_over and (number := board.next_due()) is not None:
            try:
                await board.switch(number)
            except LabError as error:
                self._begin_removal(f"could not be switched: {error}")
                return

    async def shut_down(self) -> None:
        """Try once to leave a clean shop; where that fails, the next warden's start will."""
        try:
            async with asyncio.timeout(SHUTDOWN_PATIENCE_S), self._lock:
                if self._lease is None:
                    return
                undoing = self._undoing or self._begin_removal("shut down")
                self._ended(undoing, await undoing.attempt())
        except (LabError, TimeoutError) as error:
            self._journal.record("warden shut down with a lease", problem=repr(error))

    @property
    def _is_in_doubt(self) -> bool:
        """Whether calls that nobody waits for any more may still arrive at Toxiproxy."""
        if self._undoing is not None:
            return self._undoing.in_doubt
        if self._board is not None:
            return self._board.is_midway
        return self._lease is not None and self._lease.state is LeaseState.APPLYING

    def _begin_removal(self, why: str, *, sweep: bool = False, in_doubt: bool = False) -> Undoing:
        assert self._lease is not None
        undoing = self._undo(why, sweep=sweep, in_doubt=in_doubt or self._is_in_doubt)
        self._lease = replace(self._lease, state=LeaseState.REMOVING)
        self._journal.record("removing", lease=self._lease.lease_id, why=why)
        try:
            self._storage.save(self._lease)
        except OSError as error:
            # The file as it was names the same harm, which is all that a restart needs.
            self._journal.record("lease not written", problem=str(error))
        return undoing

    def _undo(self, why: str, *, sweep: bool, in_doubt: bool) -> Undoing:
        self._undoing = Undoing(
            self._lease,
            why,
            sweep=sweep,
            in_doubt=in_doubt,
            remover=self._remover,
            storage=self._storage,
            clock=self._clock,
            journal=self._journal,
        )
        return self._undoing

    def _ended(self, undoing: Undoing, removal: Removal) -> Removal:
        """Be free for the next lease, and report with the removal what was switched before it."""
        switches = () if self._board is None else self._board.switches
        lease_id = self._lease.lease_id if self._lease else None
        self._last_end = f"the last one, {lease_id}, ended: {undoing.why}"
        self._lease = None
        self._board = None
        self._undoing = None
        self._ready = True
        return replace(removal, switches=switches)

    def _status(self, lease: Lease) -> LeaseStatus:
        left_s = {
            LeaseState.APPLYING: lease.ttl_s,
            LeaseState.HELD: max(0.0, self._deadline_s - self._clock.monotonic()),
            LeaseState.REMOVING: 0.0,
        }
        return LeaseStatus(lease.lease_id, lease.holder, lease.state, left_s[lease.state])
