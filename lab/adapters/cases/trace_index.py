"""The index of a stranger's traces: what a list shows of each, and where in the file it lies.

It is made of ``traces.jsonl`` and of nothing else, so it is no part of what is sealed: it is
written when traces are brought, or when a case without one is first opened, never taken from
an archive, and thrown away where it is of another file than the one that lies beside it.

Its first line says of which file it is; each other one is a trace, in order of time, as an
array in the order of `_FIELDS`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic_core import from_json

from lab.adapters.cases.own_note import read_note, write_note
from lab.domain.rows import TraceSummary

INDEX: Final = ".index.jsonl"
"""A dot in front, as nothing has that is sealed."""

_VERSION: Final = 2
_FIELDS: Final = (
    "trace_id", "service", "name", "start_ns", "duration_ms", "spans", "errors", "own_errors",
    "unfinished", "is_whole", "services", "linked", "root_ms", "status", "at", "length",
)  # fmt: skip

_SERVICES, _LINKED = _FIELDS.index("services"), _FIELDS.index("linked")


class Entry(NamedTuple):
    """A trace: what a list shows, and its line's first byte and length in ``traces.jsonl``."""

    summary: TraceSummary
    at: int
    length: int


def write_index(folder: Path, entries: Iterable[Entry], traces_sha256: str) -> tuple[Entry, ...]:
    """Write the index of the traces with that SHA-256; the entries in order of time."""
    ordered = tuple(sorted(entries, key=lambda each: each.summary.place_in_time))
    rows = "".join(json.dumps(_row(each), separators=(",", ":")) + "\n" for each in ordered)
    write_note(folder / INDEX, rows, _made_of(traces_sha256))
    return ordered


def read_index(folder: Path, traces_sha256: str) -> tuple[Entry, ...] | None:
    """What `write_index` wrote; None where there is none that can be believed."""
    rows = read_note(folder / INDEX, _made_of(traces_sha256))
    try:
        return None if rows is None else tuple(map(_entry, _arrays(rows)))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None


def _made_of(traces_sha256: str) -> dict[str, Any]:
    return {"version": _VERSION, "traces": traces_sha256}


def _arrays(rows: bytes) -> Any:
    # Hardly a text of it is there twice.
    return from_json(b"[" + rows.rstrip(b"\n").replace(b"\n", b",") + b"]", cache_strings="none")


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
    if len(row) != len(_FIELDS):
        raise ValueError("another number of fields")
    length, at = row.pop(), row.pop()
    # By their places, which are those in `TraceSummary`; only lists have to become tuples.
    row[_SERVICES], row[_LINKED] = tuple(row[_SERVICES]), tuple(row[_LINKED])
    return Entry(TraceSummary._make(row), at, length)
