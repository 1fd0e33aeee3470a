"""Ending a lease: one removal, tried until all harm is gone and the lease is forgotten."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from lab.errors import LabError, LeaseError
from lab.ports.clock import Clock
from lab.ports.warden import Removal
from lab.warden.diary import WardenJournal
from lab.warden.lease import Lease
from lab.warden.removing import Harm, Remover
from lab.warden.storage import LeaseStorage

PATIENCE_S: Final = 10.0
"""How long a caller waits for a removal; the warden itself goes on for as long as it takes."""

_FIRST_PAUSE_S: Final = 0.25
LONGEST_PAUSE_S: Final = 4.0


class Undoing:
    """A removal that may need several attempts, with longer and longer pauses between them.

    ``sweep`` and ``in_doubt`` are those of `Harm`; what is there is surveyed once,
    at the first attempt that can.
    """

    def __init__(
        self,
        lease: Lease | None,
        why: str,
        *,
        sweep: bool,
        in_doubt: bool,
        remover: Remover,
        storage: LeaseStorage,
        clock: Clock,
        journal: WardenJournal,
    ) -> None:
        self.why = why
        self.in_doubt = in_doubt
        self._lease = lease
        self._sweep = sweep
        self._remover = remover
        self._storage = storage
        self._clock = clock
        self._journal = journal
        self._harm: Harm | None = None
        self._pause_s = _FIRST_PAUSE_S
        self._next_try_s = 0.0

    @property
    def is_due(self) -> bool:
        """Whether the pause since the last attempt is over."""
        return self._clock.monotonic() >= self._next_try_s

    async def attempt(self) -> Removal:
        """Try the whole removal once; whatever goes wrong, the next try waits a little longer."""
        try:
            return await self._remove()
        except LabError as error:
            self._journal.record("removal failed", why=self.why, problem=str(error))
            raise
        finally:
            self._next_try_s = self._clock.monotonic() + self._pause_s
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)

    async def patiently(self) -> Removal:
        """Try until it is gone or `PATIENCE_S` are over; LeaseError says what was last seen."""
        deadline_s = self._clock.monotonic() + PATIENCE_S
        while True:
            try:
                return await self.attempt()
            except LabError as error:
                if self._next_try_s > deadline_s:
                    raise LeaseError(
                        f"expected all harm gone within {PATIENCE_S:.0f} s, found: {error}; "
                        "`lab status` shows what is down"
                    ) from error
            await self._clock.sleep(self._next_try_s - self._clock.monotonic())

    async def _remove(self) -> Removal:
        if self._harm is None:
            self._harm = await self._remover.survey(
                self._lease, sweep=self._sweep, in_doubt=self.in_doubt
            )
        removal = await self._remover.remove(self._harm)
        try:
            self._storage.clear()
        except OSError as error:
            raise LeaseError(f"expected to forget the lease, found {error}") from error
        self._journal.record(
            "removed",
            lease=self._lease and self._lease.lease_id,
            why=self.why,
            method=removal.method,
            proven_clean=removal.proven_clean,
            faults=[asdict(fault) for fault in removal.faults],
            conditions=list(removal.conditions),
        )
        return removal
