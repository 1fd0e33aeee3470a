"""The traces of a stranger's case, each read by its place in the file when somebody asks for it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, Self

from lab.adapters.cases.own_note import sha256_of
from lab.adapters.cases.strict_reading import damaged
from lab.adapters.cases.trace_index import Entry, read_index, saying, write_index
from lab.adapters.cases.traces_on_disk import bounded_lines, traces_of_line
from lab.domain.rows import TraceSummary, summary_of
from lab.domain.trace import Trace

MOST_KEPT: Final = 64
"""Traces in memory at once; whoever reads them all reads each once."""


def made_index(folder: Path, traces: Path, traces_sha256: str) -> tuple[Entry, ...]:
    """The index of a case that has none, by reading all of it; kept where the disk takes it.

    CaseDamaged where a line is no trace.
    """
    found = {
        trace_id: Entry(summary_of(trace), at, length)
        for at, length, read in bounded_lines(traces)
        for trace_id, trace in read.items()
    }
    with suppress(OSError):  # It is read without one, only more slowly.
        if sha256_of(traces) == traces_sha256:
            return write_index(folder, found.values(), traces_sha256)
    return tuple(sorted(found.values(), key=lambda each: each.summary.place_in_time))


class IndexedTraces(Mapping[str, Trace]):
    """Trace id → trace, in order of time, each read when somebody asks for it."""

    def __init__(self, path: Path, entries: Iterable[Entry]) -> None:
        self._path = path
        self._entries = {each.summary.trace_id: each for each in entries}
        self._read: OrderedDict[str, Trace] = OrderedDict()

    @classmethod
    def of(cls, folder: Path, traces: Path, traces_sha256: str) -> Self:
        """By the index of ``folder``; all of it is read only where there is none yet."""
        entries = read_index(folder, traces_sha256)
        return cls(traces, entries or made_index(folder, traces, traces_sha256))

    @property
    def index(self) -> tuple[TraceSummary, ...]:
        """Every trace as a list shows it."""
        return tuple(each.summary for each in self._entries.values())

    def lines_with(self, texts: Sequence[str], trace_ids: Sequence[str]) -> Iterator[str]:
        """Those of the traces in whose line all of the lower-case ASCII ``texts`` stand."""
        return saying(self._path, texts, (self._entries[each] for each in trace_ids))

    def __getitem__(self, trace_id: str) -> Trace:
        """The trace; CaseDamaged where it is not where the index says."""
        if trace_id in self._read:
            self._read.move_to_end(trace_id)
            return self._read[trace_id]
        trace = self._at(self._entries[trace_id])
        self._read[trace_id] = trace
        while len(self._read) > MOST_KEPT:
            self._read.popitem(last=False)
        return trace

    def _at(self, entry: Entry) -> Trace:
        try:
            with self._path.open("rb") as file:
                file.seek(entry.at)
                line = file.read(entry.length)
        except OSError as error:
            raise damaged(self._path, f"a readable file, found: {error.strerror}") from error
        read = traces_of_line(self._path, 0, line.decode(errors="replace"))
        if entry.summary.trace_id not in read:
            raise damaged(self._path, f"trace {entry.summary.trace_id} at byte {entry.at}")
        return read[entry.summary.trace_id]

    def __contains__(self, trace_id: object) -> bool:
        """Whether there is such a trace; reads none."""
        return trace_id in self._entries

    def __iter__(self) -> Iterator[str]:
        """The ids of all."""
        return iter(self._entries)

    def __len__(self) -> int:
        """How many there are."""
        return len(self._entries)
