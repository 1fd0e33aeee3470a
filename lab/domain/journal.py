"""What a run wrote down as it went."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from lab.frozen import dataclass


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
    """How a run ended: only *completed* runs may be proven.

    *Deviated* where something it needed failed, *interrupted* where it was told to
    end, or died.
    """

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


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a run left behind, whether it was opened as a case or not.

    ``is_at_work`` says whether its process lives.
    """

    case_id: str
    entries: tuple[JournalEntry, ...]
    is_case: bool
    is_at_work: bool = False

    @property
    def told_ending(self) -> Ending | None:
        """The ending it wrote down itself; None where it never came to that."""
        told = [entry.data.get("ending") for entry in self.entries]
        return next((Ending(word) for word in reversed(told) if word in tuple(Ending)), None)

    @property
    def ending(self) -> Ending | None:
        """How it ended, None while it goes on; whoever ends without a word was interrupted.

        A run that says it is complete and yet became no case died while it was being stored.
        """
        if self.is_case:
            return Ending.COMPLETED
        if self.is_at_work:
            return None
        told = self.told_ending
        return told if told in (Ending.DEVIATED, Ending.INTERRUPTED) else Ending.INTERRUPTED

    @property
    def reached(self) -> Step | None:
        """The last step it wrote something about, its ending apart."""
        steps = [entry.step for entry in self.entries if "ending" not in entry.data]
        return steps[-1] if steps else None
