"""What a run wrote down as it went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Step(StrEnum):
    """The steps of a case, in order."""

    PREFLIGHT = "preflight"
    SETTLE = "settle"
    REFERENCE = "reference"
    CRIME = "crime"
    RECOVERY = "recovery"
    EVIDENCE = "evidence"
    PROOF = "proof"
    OPENED = "opened"


class Ending(StrEnum):
    """How a run ended: only *completed* runs may be proven."""

    COMPLETED = "completed"
    DEVIATED = "deviated"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """One line of the journal: wall clock for people, monotonic for arithmetic.

    ``spoiler`` entries name an edge, toxic or setting, and are shown for an
    unsolved case only on request.
    """

    time_unix_s: float
    monotonic_s: float
    step: Step
    event: str
    data: Mapping[str, Any]
    spoiler: bool = False
