"""The index of a stranger's traces: what a list shows of each, and where in the file it lies.

It is made of ``traces.jsonl`` and of nothing else, so it is no part of what is sealed: it is
written when traces are brought, or when a case without one is first opened, never taken from
an archive, and thrown away where it is of another file than the one that lies beside it.

Its first line says of which file it is; each other one is a trace, in order of time, as an
array in the order of `_FIELDS`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.adapters.cases.strict_reading import damaged
from lab.adapters.cases.traces_on_disk import bounded_lines, traces_of_line
from lab.domain.trace import Trace
from lab.domain.trace_summary import TraceSummary, summary_of

INDEX: Final = ".index.jsonl"
"""A dot in front, as nothing has that is sealed."""

_VERSION: Final = 1
_FIELDS: Final = (
    "trace_id", "service", "name", "start_ns", "duration_ms", "spans", "errors", "own_errors",
    "unfinished", "is_whole", "services", "linked", "at", "length",
)  # fmt: skip
MOST_KEPT: Final = 64
"""Traces in memory at once; whoever reads them all reads each once."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A trace: what a list shows, and its line's first byte and length in ``traces.jsonl``."""

    summary: TraceSummary
    at: int
    length: int


def write_index(folder: Path, entries: Iterable[Entry], traces_sha256: str) -> tuple[Entry, ...]:
    """Write the index of the traces with that SHA-256; the entries in order of time."""
    ordered = tuple(sorted(entries, key=lambda each: each.summary.place_in_time))
    rows = "".join(json.dumps(_row(each), separators=(",", ":")) + "\n" for each in ordered)
    path = folder / INDEX
    part = path.with_name(f"{INDEX}.part-{os.getpid()}")
    with part.open("w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(_head(traces_sha256, rows)) + "\n" + rows)
    part.replace(path)
    return ordered


def _head(traces_sha256: str, rows: str) -> dict[str, Any]:
    """What says of which traces the index is, and that it is whole."""
    digest = hashlib.sha256(rows.encode()).hexdigest()
    return {"version": _VERSION, "traces": traces_sha256, "rows": digest}


def made_index(folder: Path, traces: Path, traces_sha256: str) -> tuple[Entry, ...]:
    """The index of a case that has none, by reading all of it; kept where the disk takes it.

    CaseDamaged where a line is no trace.
    """
    found = {
        trace_id: Entry(summary_of(trace), at, length)
        for at, length, read in bounded_lines(traces)
        for trace_id, trace in read.items()
    }
    try:
        return write_index(folder, found.values(), traces_sha256)
    except OSError:
        # It is read without one, only more slowly.
        with contextlib.suppress(OSError):
            (folder / f"{INDEX}.part-{os.getpid()}").unlink()
        return tuple(sorted(found.values(), key=lambda each: each.summary.place_in_time))


def read_index(folder: Path, traces_sha256: str) -> tuple[Entry, ...] | None:
    """What `write_index` wrote; None where there is none that can be believed."""
    try:
        head, _, rows = (folder / INDEX).read_text(encoding="utf-8").partition("\n")
        if json.loads(head) != _head(traces_sha256, rows):
            return None
        read = json.loads("[" + rows.rstrip("\n").replace("\n", ",") + "]")
        return tuple(map(_entry, read))
    except (OSError, ValueError, TypeError, RecursionError):
        return None


def _row(entry: Entry) -> list[Any]:
    told = (getattr(entry.summary, name) for name in _FIELDS[:-2])
    return [*told, entry.at, entry.length]


def _entry(row: list[Any]) -> Entry:
    *told, at, length = row
    fields = dict(zip(_FIELDS[:-2], told, strict=True))
    fields["services"], fields["linked"] = tuple(fields["services"]), tuple(fields["linked"])
    return Entry(TraceSummary(**fields), at, length)


class IndexedTraces(Mapping[str, Trace]):
    """Trace id → trace, in order of time, each read when somebody asks for it."""

    def __init__(self, path: Path, entries: Iterable[Entry]) -> None:
        self._path = path
        self._entries = {each.summary.trace_id: each for each in entries}
        self._read: OrderedDict[str, Trace] = OrderedDict()

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
