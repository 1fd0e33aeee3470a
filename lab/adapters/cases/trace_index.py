"""The index of a stranger's traces: what a list shows of each, and where in the file it lies.

It is made of ``traces.jsonl`` and of nothing else, so it is no part of what is sealed: it is
written when traces are brought, or when a case without one is first opened, never taken from
an archive, and thrown away where it is of another file than the one that lies beside it.

Its first line says of which file it is; each other one is a trace, in order of time, as an
array in the order of `_FIELDS`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from lab.domain.rows import TraceSummary

INDEX: Final = ".index.jsonl"
"""A dot in front, as nothing has that is sealed."""

_VERSION: Final = 2
_FIELDS: Final = (
    "trace_id", "service", "name", "start_ns", "duration_ms", "spans", "errors", "own_errors",
    "unfinished", "is_whole", "services", "linked", "root_ms", "status", "at", "length",
)  # fmt: skip


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


def saying(path: Path, texts: Iterable[str], entries: Iterable[Entry]) -> Iterator[str]:
    """The ids of those traces in whose line at ``path`` all of the lower-case texts stand."""
    wanted = [json.dumps(each)[1:-1].encode() for each in texts]
    with path.open("rb") as file:
        for entry in sorted(entries, key=lambda each: each.at):
            file.seek(entry.at)
            line = file.read(entry.length).lower()
            if all(each in line for each in wanted):
                yield entry.summary.trace_id


def _row(entry: Entry) -> list[Any]:
    told = (getattr(entry.summary, name) for name in _FIELDS[:-2])
    return [*told, entry.at, entry.length]


def _entry(row: list[Any]) -> Entry:
    (*before, services, linked, root_ms, status, at, length) = row
    if len(row) != len(_FIELDS):
        raise ValueError("another number of fields")
    # By their places, which are those in `TraceSummary`: half of the time of a list of thousands.
    told = *before, tuple(services), tuple(linked), root_ms, status
    return Entry(TraceSummary(*told), at, length)
