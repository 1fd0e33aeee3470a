"""The log lines of a case, cut out of the Collector's masked copy of all logs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from lab.adapters.cases.json_lines import whole_lines
from lab.adapters.otlp import fields
from lab.domain.evidence import Interval
from lab.frozen import dataclass

PATTERN: Final = "signals-logs*.jsonl"
"""The Collector's file and those it has moved aside at their size limit (``deploy/otelcol``)."""

_TRACE_ID_BYTES: Final = 16
_SPAN_ID_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One line of a case's logs; ids are lower-case hex, None where it is of no trace."""

    time_unix_s: float
    service: str
    severity: str
    body: Any
    trace_id: str | None
    span_id: str | None
    attributes: Mapping[str, Any]


def log_files(folder: Path, *, since_s: float) -> tuple[Path, ...]:
    """The Collector's log files below ``folder`` that were written to since then, oldest first."""
    dated = ((path.stat().st_mtime, path) for path in folder.rglob(PATTERN))
    return tuple(path for modified_s, path in sorted(dated) if modified_s >= since_s)


def cut_logs(
    sources: Iterable[Path], interval: Interval, trace_ids: Collection[str]
) -> Iterator[str]:
    """One JSON line for each record of the interval that belongs to the case.

    That is a record of one of the traces, or one of no trace at all: a pool that
    complains from the background has none. Each line is a `LogRecord`.
    Batches that are torn or malformed are left out; an exhibit that counts lines says so by its
    bound.
    """
    for source in sources:
        for record in log_records(source):
            wanted = record.trace_id is None or record.trace_id in trace_ids
            if wanted and record.time_unix_s in interval:
                yield json.dumps(asdict(record))


def log_records(source: Path) -> Iterator[LogRecord]:
    """Every record of one of the Collector's files."""
    for _, line in whole_lines(source):
        with contextlib.suppress(fields.MalformedOtlpError):
            yield from _records(line)


def _records(line: str) -> Iterator[LogRecord]:
    batch = fields.message(fields.parse(line), "line")
    for group in fields.messages(batch, "resourceLogs", "line"):
        resource = fields.attributes(fields.message(group.get("resource"), "resource"), "resource")
        service = str(resource.get("service.name", ""))
        for scope in fields.messages(group, "scopeLogs", "resourceLogs"):
            for record in fields.messages(scope, "logRecords", "scopeLogs"):
                yield _record(record, service)


def _record(record: Mapping[str, Any], service: str) -> LogRecord:
    at = "logRecord"
    observed_ns = fields.time_ns(record, "observedTimeUnixNano", at)
    return LogRecord(
        time_unix_s=(fields.time_ns(record, "timeUnixNano", at) or observed_ns) / 1e9,
        service=service,
        severity=fields.text(record, "severityText", at),
        body=fields.value(record.get("body"), f"{at}.body"),
        trace_id=fields.optional_identity(record, "traceId", _TRACE_ID_BYTES, at),
        span_id=fields.optional_identity(record, "spanId", _SPAN_ID_BYTES, at),
        attributes=fields.attributes(record, at),
    )
