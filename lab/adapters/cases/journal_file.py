"""The journal of a run as a file: append-only, on disk with each entry."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from lab.adapters.cases.json_lines import append_line, whole_lines
from lab.adapters.cases.strict_reading import adapter, out_of_bounds
from lab.domain.journal import JournalEntry, Step
from lab.errors import CaseError, DiskRefused
from lab.ports.clock import Clock

YEAR_10000_UNIX_S: Final = 253_402_300_800.0
"""What is later than any clock shows, and than Python's calendar goes."""


class JournalFile:
    """`Journal` over one file of JSON lines."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def record(self, step: Step, event: str, *, spoiler: bool = False, **data: object) -> None:
        """Write one entry; DiskRefused where the disk does not take it."""
        entry = JournalEntry(
            time_unix_s=self._clock.unix(),
            monotonic_s=self._clock.monotonic(),
            step=step,
            event=event,
            data=data,
            spoiler=spoiler,
        )
        try:
            append_line(self._path, write_entry(entry))
        except OSError as error:
            raise DiskRefused(
                f"expected to write {self._path}, found: {error.strerror}; "
                "the run's diary needs a disk that takes it"
            ) from error

    def entries(self) -> tuple[JournalEntry, ...]:
        """All that was written, in order."""
        return read_journal(self._path)


def write_entry(entry: JournalEntry) -> str:
    """One line of a journal, without its end."""
    return adapter(JournalEntry).dump_json(entry).decode()


def read_journal(path: Path) -> tuple[JournalEntry, ...]:
    """Every entry of a journal whose last line may be torn; CaseError names a damaged line."""
    entries = []
    for number, line in whole_lines(path):
        try:
            entries.append(_read_entry(line))
        except ValueError as error:
            raise CaseError(
                f"{path}:{number}: expected a journal entry, found {line.strip()[:60]!r} "
                f"({_first_line(error)}); the file was changed after the run"
            ) from error
    return tuple(entries)


def _first_line(error: ValueError) -> str:
    return str(error).partition("\n")[0]


def _read_entry(line: str) -> JournalEntry:
    entry: JournalEntry = adapter(JournalEntry).validate_json(line)
    if not 0 <= entry.time_unix_s < YEAR_10000_UNIX_S:
        raise ValueError("a time outside the calendar")
    if problem := out_of_bounds(entry):
        expected, found = problem
        raise ValueError(f"expected {expected}, found {found}")
    return entry
