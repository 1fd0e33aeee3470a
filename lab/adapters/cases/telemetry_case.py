"""A case of a stranger's telemetry: spans in whatever order they come, sorted into traces."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Final

from lab.adapters.bounds import MOST_SPANS, MOST_TRACES
from lab.adapters.cases.case_folder import TRACES, seal_telemetry
from lab.adapters.cases.trace_index import Entry, write_index
from lab.adapters.formats.found import Account, Found, Skipped
from lab.adapters.otlp.masking import Masking
from lab.adapters.otlp.traces import (
    DEEPEST_TRACE,
    write_resource,
    write_scope,
    write_span,
)
from lab.adapters.otlp.traces import MOST_SPANS as MOST_SPANS_OF_A_TRACE
from lab.domain.rows import STATUS_CODES, status_told, summary_of
from lab.domain.trace import Kind, Link, Span, Status, Trace, in_time
from lab.errors import CaseError
from lab.frozen import dataclass

Tell = Callable[[str, int], None]
"""Told what is being counted, and how many there are so far."""

SHARED_ID: Final = "deadspan.shared_span_id"
"""Attribute of a server's span that came under its caller's id: that id."""

MASKED: Final = "value in which an address or a card number was masked"

_SORTING: Final = ".sorting.sqlite"
_TOLD_EVERY: Final = 500
_LATEST_NS: Final = 2**63 - 1
_KINDS: Final = tuple(Kind)
_STATUSES: Final = tuple(Status)
_CALLS: Final = {Kind.SERVER: Kind.CLIENT, Kind.CONSUMER: Kind.PRODUCER}
"""Who answers → who calls."""

_TABLES: Final = """
PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA temp_store=FILE;
CREATE TABLE origins (id INTEGER PRIMARY KEY, resource TEXT, scope TEXT, UNIQUE (resource, scope));
CREATE TABLE spans (
    trace_id TEXT, span_id TEXT, parent_id TEXT, name TEXT, kind INTEGER, service TEXT,
    start_ns INTEGER, end_ns INTEGER, status INTEGER, linked TEXT, code TEXT, origin INTEGER,
    body TEXT
);
"""


@dataclass(frozen=True, slots=True)
class _Row:
    """A span as it waits for the others of its trace: its outline, and its whole text."""

    span: Span
    origin: int
    body: str


class Gathering:
    """Spans into ``folder``, and a case out of them.

    They wait in a file that `close` takes away, so memory holds one trace at a time. With
    ``mask`` no text of a span is written before the Collector's patterns were laid over it.
    """

    def __init__(self, folder: Path, account: Account, tell: Tell, *, mask: bool = False) -> None:
        self._masking = Masking() if mask else None
        self._folder = folder
        self._account = account
        self._tell = tell
        self._origins: dict[tuple[str, str], int] = {}
        self._last: tuple[object, object, int] = (None, None, 0)
        self._sorting = sqlite3.connect(folder / _SORTING, isolation_level=None)
        self._sorting.executescript(_TABLES)
        self._sorting.execute("BEGIN")

    def add(self, found: Iterable[Found]) -> None:
        """Take in every span; CaseError where nobody could open what that makes."""
        try:
            self._sorting.executemany(
                "INSERT INTO spans VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                self._rows(found),
            )
        except sqlite3.Error as error:
            raise CaseError(f"expected to sort spans in {self._folder}, found: {error}") from error

    def _rows(self, found: Iterable[Found]) -> Iterator[tuple[object, ...]]:
        for one in found:
            if isinstance(one, Skipped):
                self._account.skip(one)
                continue
            each = one if self._masking is None else self._masking.span(one)
            self._account.read += 1
            if self._account.read > MOST_SPANS:
                raise CaseError(
                    f"expected at most {MOST_SPANS} spans in one case, found more; bring a shorter "
                    "stretch of time, or fewer files at once"
                )
            if self._account.read % _TOLD_EVERY == 0:
                self._tell("spans read", self._account.read)
            yield (
                each.trace_id, each.span_id, each.parent_id, each.name, _KINDS.index(each.kind),
                each.service, min(each.start_ns, _LATEST_NS), min(each.end_ns, _LATEST_NS),
                _STATUSES.index(each.status), ",".join(link.trace_id for link in each.links),
                status_told(each.attributes), self._origin(each),
                json.dumps(write_span(each), separators=(",", ":")),
            )  # fmt: skip

    def _origin(self, span: Span) -> int:
        """The number of its resource and scope, which most spans in a row share."""
        resource, scope, number = self._last
        # Readers give all spans of one group the same mapping, and the same URL with it.
        if resource is span.resource and scope is span.scope:
            return number
        place = write_resource(span.service, span.resource, span.resource_schema_url)
        told = place, write_scope(span.scope)
        key = json.dumps(told[0], separators=(",", ":")), json.dumps(told[1], separators=(",", ":"))
        if key not in self._origins:
            if len(self._origins) > MOST_TRACES:
                self._origins.clear()
            self._origins[key] = self._number(key)
        self._last = span.resource, span.scope, self._origins[key]
        return self._origins[key]

    def _number(self, key: tuple[str, str]) -> int:
        self._sorting.execute("INSERT OR IGNORE INTO origins (resource, scope) VALUES (?, ?)", key)
        (found,) = self._sorting.execute(
            "SELECT id FROM origins WHERE resource = ? AND scope = ?", key
        ).fetchone()
        return int(found)

    def close(self) -> None:
        """Take away the file in which spans waited."""
        self._sorting.close()
        (self._folder / _SORTING).unlink(missing_ok=True)

    def seal(self, title: str, source: str, opened_unix_s: float) -> None:
        """Write the case: its traces, their index and what it is; CaseError where there is none."""
        try:
            self._sorting.execute("CREATE INDEX by_trace ON spans (trace_id)")
            self._sorting.execute("COMMIT")
            entries, digest = self._write_traces()
        except sqlite3.Error as error:
            raise CaseError(f"expected to sort spans in {self._folder}, found: {error}") from error
        self.close()
        if not entries:
            raise CaseError(nothing_in(source, self._account))
        if self._masking is not None:
            self._account.remarks[MASKED] = self._masking.count
        write_index(self._folder, entries, digest)
        counts = {"traces": self._account.traces, "spans": self._account.kept}
        seal_telemetry(self._folder, title, source, opened_unix_s, **counts)

    def _write_traces(self) -> tuple[list[Entry], str]:
        origins = {
            number: (resource, scope)
            for number, resource, scope in self._sorting.execute("SELECT * FROM origins")
        }
        digest, entries, at = hashlib.sha256(), list[Entry](), 0
        with (self._folder / TRACES).open("wb") as file:
            for rows in self._of_each_trace():
                spans = self._settled(rows)
                if not spans:
                    continue
                trace = Trace(spans[0].span.trace_id, tuple(each.span for each in spans))
                line = _line(spans, origins).encode(errors="replace")
                file.write(line)
                digest.update(line)
                entries.append(Entry(summary_of(trace), at, len(line)))
                at += len(line)
                self._counted(len(spans))
            file.flush()
            os.fsync(file.fileno())
        return entries, digest.hexdigest()

    def _counted(self, spans: int) -> None:
        self._account.traces += 1
        self._account.kept += spans
        if self._account.traces > MOST_TRACES:
            raise CaseError(
                f"expected at most {MOST_TRACES} traces in one case, found more; bring a shorter "
                "stretch of time, or fewer files at once"
            )
        if self._account.traces % _TOLD_EVERY == 0:
            self._tell("traces written", self._account.traces)

    def _of_each_trace(self) -> Iterator[list[_Row]]:
        found = self._sorting.execute("SELECT * FROM spans ORDER BY trace_id, rowid")
        for _, rows in groupby(found, key=lambda row: row[0]):
            yield [_row(row) for row in rows]

    def _settled(self, rows: list[_Row]) -> list[_Row]:
        """The spans of one trace, each under an id of its own, in order of time."""
        kept: dict[str, _Row] = {}
        answers: list[_Row] = []
        for row in rows:
            first = kept.setdefault(row.span.span_id, row)
            if first is row:
                continue
            if first.body == row.body:
                self._account.duplicates += 1
            elif _are_halves(first.span, row.span) and not _is_known(answers, row):
                caller, answer = _halves(first, row)
                kept[row.span.span_id] = caller
                answers.append(answer)
            elif first.span.is_unfinished and not row.span.is_unfinished:
                kept[row.span.span_id] = row
                self._clashes(first)
            else:
                self._clashes(row, is_same=any(each.body == row.body for each in answers))
        if answers:
            kept = self._with_ids_of_their_own(kept, answers)
        ordered = sorted(kept.values(), key=lambda each: (*in_time(each.span), each.span.span_id))
        return self._bounded(ordered)

    def _clashes(self, row: _Row, *, is_same: bool = False) -> None:
        if is_same:
            self._account.duplicates += 1
        else:
            self._skip_read(row.span, "expected one span of this id, found one that differs")

    def _skip_read(self, span: Span, why: str) -> None:
        """Count one that was read as skipped after all."""
        self._account.read -= 1
        where = f"trace {span.trace_id} span {span.span_id}"
        self._account.skip(Skipped("in the files together", None, where, why))

    def _with_ids_of_their_own(
        self, kept: dict[str, _Row], answers: Sequence[_Row]
    ) -> dict[str, _Row]:
        """The same with each server that shares its caller's id below it, under a derived one."""
        derived = {
            (each.span.span_id, each.span.service): _derived_id(each.span) for each in answers
        }
        found: dict[str, _Row] = {}
        for row in kept.values():
            own = derived.get((row.span.parent_id or "", row.span.service))
            shared = kept.get(row.span.parent_id or "")
            # What the server did names the id that both have.
            below = own is not None and shared is not None
            found[row.span.span_id] = _moved(row, parent_id=own) if below else row
        for row in answers:
            own = derived[row.span.span_id, row.span.service]
            found[own] = _moved(row, parent_id=row.span.span_id, span_id=own)
            self._account.remark(
                "server's span that came under its caller's id and now has one derived from it"
            )
        return found

    def _bounded(self, rows: list[_Row]) -> list[_Row]:
        """None of them where a reader would refuse the trace."""
        too_many = len(rows) > MOST_SPANS_OF_A_TRACE
        too_deep = len(rows) > DEEPEST_TRACE and (
            Trace(rows[0].span.trace_id, tuple(each.span for each in rows)).depth > DEEPEST_TRACE
        )
        if not (too_many or too_deep):
            return rows
        limit = (
            f"at most {MOST_SPANS_OF_A_TRACE} spans in a trace"
            if too_many
            else f"at most {DEEPEST_TRACE} spans below each other"
        )
        for each in rows:
            self._skip_read(each.span, f"expected {limit}, found more")
        return []


def nothing_in(source: str, account: Account) -> str:
    """Why there is no case: what was found in place of traces."""
    told = "; ".join(str(each) for each in account.skipped[:5])
    more = account.skipped_spans + account.skipped_pieces - 5
    rest = f"; and {more} more" if more > 0 else ""
    return f"expected traces from {source}, found none" + (f": {told}{rest}" if told else "")


def _row(found: tuple[object, ...]) -> _Row:
    (trace_id, span_id, parent_id, name, kind, service, start_ns, end_ns, status, linked, code,
     origin, body) = found  # fmt: skip
    links = tuple(Link(each, "") for each in str(linked).split(",") if each)
    span = Span(
        trace_id=str(trace_id),
        span_id=str(span_id),
        parent_id=None if parent_id is None else str(parent_id),
        name=str(name),
        kind=_KINDS[int(str(kind))],
        service=str(service),
        start_ns=int(str(start_ns)),
        end_ns=int(str(end_ns)),
        status=_STATUSES[int(str(status))],
        links=links,
        attributes={STATUS_CODES[0]: str(code)},
    )
    return _Row(span, int(str(origin)), str(body))


def _are_halves(one: Span, other: Span) -> bool:
    return _CALLS.get(one.kind) is other.kind or _CALLS.get(other.kind) is one.kind


def _halves(one: _Row, other: _Row) -> tuple[_Row, _Row]:
    """The caller and who answers."""
    return (other, one) if one.span.kind in _CALLS else (one, other)


def _is_known(answers: Iterable[_Row], row: _Row) -> bool:
    return any(each.span.span_id == row.span.span_id for each in answers)


def _derived_id(span: Span) -> str:
    told = f"{span.trace_id} {span.span_id} {span.kind.value} {span.service}"
    return hashlib.sha256(told.encode(errors="replace")).hexdigest()[:16]


def _moved(row: _Row, *, parent_id: str | None, span_id: str | None = None) -> _Row:
    """The same span below another, and under an id of its own where one is given."""
    body = json.loads(row.body)
    body["parentSpanId"] = parent_id
    span = replace(row.span, parent_id=parent_id)
    if span_id is not None:
        told = {"key": SHARED_ID, "value": {"stringValue": row.span.span_id}}
        body |= {"spanId": span_id, "attributes": [*body["attributes"], told]}
        span = replace(span, span_id=span_id)
    return _Row(span, row.origin, json.dumps(body, separators=(",", ":")))


def _line(rows: Sequence[_Row], origins: dict[int, tuple[str, str]]) -> str:
    """One trace as a ``TracesData`` document, put together from texts that are JSON already."""
    groups = []
    for origin, made in groupby(rows, key=lambda row: row.origin):
        resource, scope = origins[origin]
        inner = f"{scope[1:-1]}," if scope != "{}" else ""
        spans = ",".join(each.body for each in made)
        groups.append(f'{{{resource[1:-1]},"scopeSpans":[{{{inner}"spans":[{spans}]}}]}}')
    return f'{{"resourceSpans":[{",".join(groups)}]}}\n'
