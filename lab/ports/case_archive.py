"""The cases of a checkout, and the journal that a run leaves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from lab.domain.case import Case, CaseFile, CaseSummary
from lab.domain.evidence import Evidence, Sight, Telemetry
from lab.domain.journal import JournalEntry, Step
from lab.domain.load import Request
from lab.domain.replay import Replay


class Journal(Protocol):
    """The run's diary, on disk as soon as written."""

    def record(self, step: Step, event: str, *, spoiler: bool = False, **data: object) -> None:
        """Write one entry; ``spoiler`` where it names an edge, a toxic or a setting."""
        ...

    def entries(self) -> tuple[JournalEntry, ...]:
        """All that was written, in order."""
        ...


class CaseArchive(Protocol):
    """Case folders: written atomically, read back whole."""

    def working_folder(self, case_id: str) -> Path:
        """A private folder for a run's files; not yet a case."""
        ...

    def journal(self, case_id: str) -> Journal:
        """The diary of the run in that folder."""
        ...

    def requests(self, case_id: str) -> tuple[Request, ...]:
        """What the load generator wrote into that folder so far."""
        ...

    def next_case_id(self, scenario_id: str) -> str:
        """The next free id, ``<scenario-id>-<n>``."""
        ...

    def logs_of(self, evidence: Evidence) -> tuple[str, ...]:
        """What services wrote in its windows, in its traces or in none; one JSON object each."""
        ...

    def seal(self, case: Case) -> Path:
        """Turn the working folder into a case, in one step."""
        ...

    def cases(self) -> tuple[CaseSummary, ...]:
        """All sealed cases, newest first."""
        ...

    def load(self, case_id: str | None) -> Case:
        """One case (None: the newest), without its answers applied; CaseError if damaged.

        NothingToGrade where it is a stranger's telemetry, which `open` gives.
        """
        ...

    def sight(self, case_id: str | None) -> Sight | Telemetry:
        """What anybody may look at of a case (None: the newest); the same errors as `open`.

        Quicker than `open`, because nothing of the scenario is read and only traces that
        are asked for.
        """

    def open(self, case_id: str | None) -> CaseFile:
        """One case (None: the newest), whether or not anybody knows the truth of it."""
        ...

    def refer(self, case_id: str, *, stretch: str | None = None, other: str | None = None) -> None:
        """Say what of a stranger's telemetry was healthy: ``FROM..TO``, or all of another one.

        Without either nothing is said of it any more. UsageError where that cannot be meant.
        """
        ...

    def fingerprint(self, case_id: str) -> str:
        """What tells a case from another that has, or had, the same id; `open` may be spared."""
        ...

    def holding(self, trace_id: str) -> tuple[str, ...]:
        """The ids of the cases with a trace whose id is, or begins with, that; newest first."""
        ...

    def replays(self, case_id: str) -> tuple[Replay, ...]:
        """Each replay of a case, newest first: what its spans were called elsewhere."""
        ...

    def logs(self, case_id: str) -> tuple[str, ...]:
        """The log lines of a case, one JSON object each."""
        ...

    def record_verdict(self, case_id: str, entry: Mapping[str, object]) -> None:
        """Append one judged accusation, or another thing a learner did, to the case's ledger."""
        ...

    def delete(self, case_id: str) -> None:
        """Remove a case for good, with all that was found out in it.

        CaseAtWork while a run writes into it, NotOurs where it holds what is not the lab's.
        """
        ...

    def level(self, case_id: str) -> int | None:
        """How difficult the case is; None of a stranger's telemetry."""
        ...

    def records(self, case_id: str) -> tuple[Mapping[str, object], ...]:
        """All that `record_verdict` wrote, in order; what nobody wrote so is left out."""
        ...
