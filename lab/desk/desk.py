"""What every page works with: the cases, the ledger of each, and the clock."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Annotated, Final

from fastapi import Depends, Request

from lab.desk.runs import Runs
from lab.domain.case import Case, CaseFile
from lab.domain.evidence import Telemetry
from lab.domain.trace import Trace
from lab.errors import NothingToGrade
from lab.investigation.reading.waterfall import Waterfall, waterfall
from lab.investigation.solving.moves import Solving
from lab.ports.case_archive import CaseArchive
from lab.ports.clock import Clock
from lab.settings import Settings

MOST_CASES_IN_MEMORY: Final = 2
"""A case of a hundred traces takes some ten megabytes, and a learner reads one at a time."""

MOST_CHOICES: Final = 50
"""Of imports to compare one with."""


class Desk:
    """Cases by id, the newest read ones kept in memory.

    A sealed case never changes: what was found whole stays right until another takes its id.
    """

    def __init__(
        self, archive: CaseArchive, clock: Clock, settings: Settings, runs: Runs | None = None
    ) -> None:
        self.runs = runs or Runs(settings)
        self.archive = archive
        self.clock = clock
        self.settings = settings
        self.solving = Solving(archive, clock)
        self._read: OrderedDict[str, tuple[str, CaseFile]] = OrderedDict()
        self._reading = threading.Lock()
        self._drawn: Waterfall | None = None

    def case_file(self, case_id: str) -> CaseFile:
        """One case or a stranger's telemetry; CaseError where unknown, unfinished or damaged."""
        with self._reading:
            return self._kept(case_id)

    def _kept(self, case_id: str) -> CaseFile:
        fingerprint, kept = self.archive.fingerprint(case_id), self._read.pop(case_id, None)
        if kept is None or kept[0] != fingerprint:
            # Room first: while a case is read it takes twice its place.
            while len(self._read) >= MOST_CASES_IN_MEMORY:
                self._read.popitem(last=False)
                self._drawn = None  # It holds a trace of one that may be gone now.
            kept = (fingerprint, self.archive.open(case_id))
        self._read[case_id] = kept
        return kept[1]

    def other_imports(self, case: Telemetry) -> list[str]:
        """Other traces that somebody brought, newest first, which may be of a calm time."""
        brought = (each.case_id for each in self.archive.cases() if each.is_imported)
        return [each for each in brought if each != case.case_id][:MOST_CHOICES]

    def waterfall(self, case: CaseFile, trace: Trace) -> Waterfall:
        """The rows of a trace; the newest are kept, for a page and its script ask one by one."""
        kept = self._drawn
        if kept is None or kept.trace is not trace:
            kept = self._drawn = waterfall(trace, case.evidence.reference_stats)
        return kept


def _desk(request: Request) -> Desk:
    found: Desk = request.app.state.desk
    return found


TheDesk = Annotated[Desk, Depends(_desk)]
"""A route's parameter: the desk it belongs to."""


def _open_file(case_id: str, desk: TheDesk) -> CaseFile:
    return desk.case_file(case_id)


OpenFile = Annotated[CaseFile, Depends(_open_file)]
"""A route's parameter: what ``{case_id}`` in its path names, also where nobody can grade it."""


def _open_case(found: OpenFile) -> Case:
    if isinstance(found, Case):
        return found
    raise NothingToGrade(
        f"{found.case_id} is traces that somebody brought: nobody knows the truth of them, so "
        "there is no pager message, hint, accusation or debrief"
    )


OpenCase = Annotated[Case, Depends(_open_case)]
"""A route's parameter: the case that ``{case_id}`` in its path names."""
