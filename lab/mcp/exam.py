"""One task of the benchmark: a task file is asked about, and the answer is written to a file."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from lab import umask
from lab.errors import DiskRefused, UsageError
from lab.mcp.answers import Answer, Arguments
from lab.mcp.dossier import Dossier

FORMAT: Final = "deadspan-accusation-1"


class ExamRoom:
    """A dossier alone: nobody here knows the truth, so an accusation is kept and not judged.

    ``target`` is the file that the accusation is written to; the last one counts. What was asked
    and how much was read is written beside it.
    """

    def __init__(self, dossier: Dossier, target: Path, who: str = "an agent") -> None:
        self._dossier = dossier
        self._target = target
        self._who = who
        self._calls = 0
        self._bytes = 0
        self._began_s = time.monotonic()

    def read_ahead(self) -> None:
        """It was read before."""

    def case_ids(self) -> Sequence[str]:
        """The one that there is."""
        return [self._dossier.case_id]

    def summaries(self) -> list[Answer]:
        """One row."""
        return [{"case_id": self._dossier.case_id, "title": self._dossier.title}]

    def dossier(self, case_id: str | None) -> Dossier:
        """The one that there is; UsageError for any other."""
        if case_id not in {None, self._dossier.case_id}:
            raise UsageError(f"expected {self._dossier.case_id}, got {case_id!r:.80}")
        return self._dossier

    def note(self, _case_id: str, _call: str) -> None:
        """Count it."""
        self._calls += 1

    def look(self, case_id: str, trace_id: str) -> None:
        """Nobody keeps a ledger here."""

    def sent(self, size: int) -> None:
        """Count what the agent was given to read, in bytes."""
        self._bytes += size

    def accuse(self, _case_id: str, claim: Arguments) -> Answer:
        """Write it down."""
        document: dict[str, Any] = {
            "format": FORMAT,
            "task": self._dossier.case_id,
            "who": self._who,
            "nobody": bool(claim.get("nobody")),
            **{key: _pairs(claim, key) for key in ("spans", "path")},
            "mechanisms": list(claim.get("mechanisms", ())),
            "scope": claim.get("scope"),
            "evidence": list(claim.get("evidence", ())),
            "calls": self._calls,
            "bytes_read": self._bytes,
            "seconds": round(time.monotonic() - self._began_s, 3),
        }
        try:
            with umask.asked_for():
                self._target.parent.mkdir(parents=True, exist_ok=True)
            with umask.whole_file(self._target) as file:
                file.write((json.dumps(document, indent=2) + "\n").encode())
        except OSError as error:
            raise DiskRefused(
                f"expected to write the accusation to {self._target}, found: {error.strerror}; "
                "say another file with --accusation"
            ) from error
        return {"written": True, "judged": "later, by whoever set the task; the last one counts"}

    def hint(self, _case_id: str, _number: int | None) -> Answer:
        """There is none in an examination."""
        return {"hints": []}

    def search_live(self, _query: str, _start_s: float, _end_s: float) -> None:
        """No store runs beside a task file."""


def _pairs(claim: Arguments, key: str) -> list[list[str]]:
    return [[each["trace_id"], each["span_id"]] for each in claim.get(key, ())]
