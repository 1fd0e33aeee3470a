"""A case of a stranger's telemetry, written trace by trace, however many there are."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from lab.adapters.bounds import MOST_SPANS, MOST_TRACES
from lab.adapters.cases.case_folder import TRACES, seal_telemetry
from lab.adapters.cases.manifest import TelemetryManifest
from lab.adapters.otlp import fields
from lab.adapters.otlp.fields import MalformedOtlpError
from lab.adapters.otlp.traces import read_traces, trace_to_otlp
from lab.domain.trace import Trace
from lab.errors import CaseError

Tell = Callable[[str, int], None]
"""Told what is being counted, and how many there are so far."""

_SORTING: Final = ".sorting.sqlite"
_TOLD_EVERY: Final = 500


class TelemetryWriter:
    """Traces into ``folder``, one at a time; a context manager round all of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = (folder / TRACES).open("w", encoding="utf-8", errors="replace", newline="\n")
        self.traces = 0
        self.spans = 0
        self.last_ns = 0

    def __enter__(self) -> Self:
        """Be open for as long as the context lasts."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.close()

    def add(self, trace: Trace) -> None:
        """Write one more; CaseError where nobody could open what that makes."""
        self.traces += 1
        self.spans += len(trace.spans)
        if self.traces > MOST_TRACES or self.spans > MOST_SPANS:
            raise CaseError(
                f"expected at most {MOST_TRACES} traces and {MOST_SPANS} spans in one case, found "
                f"{self.traces} and {self.spans} so far; bring a shorter stretch of time, "
                "or split the file"
            )
        self.last_ns = max(self.last_ns, *(span.end_ns for span in trace.spans))
        self._file.write(json.dumps(trace_to_otlp(trace)) + "\n")

    def seal(self, title: str, source: str, opened_unix_s: float) -> TelemetryManifest:
        """Bring all of it to disk and write what it is; CaseError where there is no trace."""
        if not self.traces:
            raise CaseError(f"expected traces from {source}, found none")
        self._file.flush()
        os.fsync(self._file.fileno())
        return seal_telemetry(
            self._folder, title, source, opened_unix_s, traces=self.traces, spans=self.spans
        )


def sorted_traces(groups: Iterable[Mapping[str, Any]], folder: Path, tell: Tell) -> Iterator[Trace]:
    """The traces that the ``resourceSpans`` in ``groups`` hold, whatever order spans came in.

    Spans are sorted in a file of ``folder``, which is gone afterwards, so memory holds one
    group or one trace. CaseError names a trace that is not as OTLP has it.
    """
    path = folder / _SORTING
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as sorting:
            sorting.executescript(
                "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA temp_store=FILE;"
                "CREATE TABLE resources (id INTEGER PRIMARY KEY, body TEXT UNIQUE);"
                "CREATE TABLE spans (trace_id TEXT, resource INTEGER, body TEXT);"
            )
            _sort_in(sorting, groups, tell)
            yield from _sorted_out(sorting)
    except MalformedOtlpError as error:
        raise CaseError(f"expected spans as OTLP/JSON has them, found {error}") from error
    except sqlite3.Error as error:
        raise CaseError(f"expected to sort spans in {folder}, found: {error}") from error
    finally:
        path.unlink(missing_ok=True)


def _sort_in(sorting: sqlite3.Connection, groups: Iterable[Mapping[str, Any]], tell: Tell) -> None:
    count = 0
    sorting.execute("BEGIN")
    for group in groups:
        resource = _resource_id(sorting, group)
        rows = [(trace_id, resource, body) for trace_id, body in _spans(group)]
        sorting.executemany("INSERT INTO spans VALUES (?, ?, ?)", rows)
        count += len(rows)
        if count > MOST_SPANS:
            raise CaseError(
                f"expected at most {MOST_SPANS} spans in one case, found {count} so far; "
                "split the file"
            )
        tell("spans read", count)
    sorting.execute("CREATE INDEX by_trace ON spans (trace_id)")
    sorting.execute("COMMIT")


def _resource_id(sorting: sqlite3.Connection, group: Mapping[str, Any]) -> int:
    body = json.dumps(group.get("resource"))
    sorting.execute("INSERT OR IGNORE INTO resources (body) VALUES (?)", (body,))
    (found,) = sorting.execute("SELECT id FROM resources WHERE body = ?", (body,)).fetchone()
    return int(found)


def _spans(group: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for s, scope in enumerate(fields.messages(group, "scopeSpans", "resourceSpans")):
        at = f"resourceSpans.scopeSpans[{s}]"
        for n, span in enumerate(fields.messages(scope, "spans", at)):
            yield fields.identity(span, "traceId", 16, f"{at}.spans[{n}]"), json.dumps(span)


def _sorted_out(sorting: sqlite3.Connection) -> Iterator[Trace]:
    resources = dict(sorting.execute("SELECT id, body FROM resources"))
    gathered: list[tuple[int, str]] = []
    current: str | None = None
    for trace_id, resource, body in sorting.execute(
        "SELECT trace_id, resource, body FROM spans ORDER BY trace_id, rowid"
    ):
        if trace_id != current and gathered:
            yield from _assembled(gathered, resources)
            gathered = []
        current = trace_id
        gathered.append((resource, body))
    if gathered:
        yield from _assembled(gathered, resources)


def _assembled(gathered: list[tuple[int, str]], resources: Mapping[int, str]) -> Iterator[Trace]:
    groups: dict[int, list[str]] = {}
    for resource, body in gathered:
        groups.setdefault(resource, []).append(body)
    document = ",".join(
        f'{{"resource":{resources[resource]},"scopeSpans":[{{"spans":[{",".join(spans)}]}}]}}'
        for resource, spans in groups.items()
    )
    yield from read_traces(fields.parse(f'{{"resourceSpans":[{document}]}}')).values()


def write_all(writer: TelemetryWriter, traces: Iterable[Trace], tell: Tell) -> None:
    """Add every one of ``traces``, telling now and then how many there are."""
    for trace in traces:
        writer.add(trace)
        if writer.traces % _TOLD_EVERY == 0:
            tell("traces written", writer.traces)
