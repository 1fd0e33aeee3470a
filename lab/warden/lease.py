"""A lease: who holds which harm, and how far along it is."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from lab.domain.fault import Fault
from lab.domain.variation import SettingValue
from lab.frozen import dataclass


class LeaseState(StrEnum):
    """What the warden is doing with a lease. In each of them harm may be in place."""

    APPLYING = "applying"
    HELD = "held"
    REMOVING = "removing"


@dataclass(frozen=True, slots=True)
class Lease:
    """Everything needed to take harm away again, as it is written ahead to disk.

    ``taken_unix_s`` is for people; the time to live runs on the monotonic clock
    of the process that gave the lease, and ends with that process.
    """

    lease_id: str
    holder: str
    ttl_s: float
    taken_unix_s: float
    faults: tuple[Fault, ...]
    conditions: Mapping[str, SettingValue]
    seed: int = 0
    state: LeaseState = LeaseState.APPLYING

    @property
    def services(self) -> tuple[str, ...]:
        """The services whose settings it changes."""
        return tuple(sorted({name.partition(".")[0] for name in self.conditions}))
