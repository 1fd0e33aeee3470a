"""What a proof needs beyond sampled spans: log lines, counters, finds of a search, lock waits."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

Scalar = str | bool | int | float
"""What is written down of a line, beside its time."""


class Source(StrEnum):
    """Where records come from; a closed list."""

    LOGS = "logs"
    METRICS = "metrics"
    TRACES = "traces"
    DATABASE_LOG = "database-log"


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Which records are kept of a run.

    ``what`` is read by the source: the beginning of a log line, the name of a metric (its
    points are summed over the series with these ``attributes``), the TraceQL of a search,
    or a kind of message in the database's log (``lock wait``).
    """

    source: Source
    what: str
    service: str | None = None
    attributes: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Record:
    """One line, point or find.

    ``time_unix_s`` is None where the source does not tell; ``value`` is what a counter
    stood at, since ``since_unix_s``.
    """

    time_unix_s: float | None = None
    trace_id: str | None = None
    value: float | None = None
    since_unix_s: float | None = None
    attributes: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecordsLine:
    """All records of one name, as a line of a case file has them."""

    name: str
    source: Source
    records: tuple[Record, ...]


Records = Mapping[str, tuple[Record, ...]]
"""The name that a scenario gave a query → what was found, in order of time where it is known."""


def count_by_trace(records: tuple[Record, ...]) -> Mapping[str, int]:
    """How many of ``records`` each trace has."""
    return Counter(each.trace_id for each in records if each.trace_id is not None)


SEVERITIES: Final = ("FATAL", "ERROR", "WARN", "INFO", "DEBUG")
"""Worst first; what a service calls otherwise is none of these and comes last."""

LONGEST_BODY: Final = 2_000

_SEVERITIES: Final = {"WARNING": "WARN", "CRITICAL": "FATAL"}

_VARYING: Final = re.compile(
    "|".join(
        (
            r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b",  # An id of an order.
            r"\b\d{1,3}(?:\.\d{1,3}){3}(?::\d+)?\b",  # An address, with its port.
            r"\[[0-9a-f]*:[0-9a-f:.]*\](?::\d+)?",
            r"\b0x[0-9a-f]+\b",
            r"\b(?=[a-f]*\d)[0-9a-f]{6,}\b",  # A short id; a word of six such letters has no digit.
            r"\b[0-9a-f]{8,}\b",
            r"\d+(?:\.\d+)?",
        )
    ),
    re.IGNORECASE,
)
"""What differs from line to line, the longest first, so that an id is one mark and not five."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One record; ids as the service wrote them, None where it is of no trace."""

    time_unix_s: float
    service: str
    severity: str
    body: str
    trace_id: str | None
    span_id: str | None

    @property
    def pattern(self) -> str:
        """The body's first line, with ``#`` for what differs from line to line."""
        return _VARYING.sub("#", self.body.partition("\n")[0])

    def says(self, text: str) -> bool:
        """Whether ``text`` stands in the body or in its pattern, in whatever case."""
        wanted = text.lower()
        return wanted in self.body.lower() or wanted in self.pattern.lower()


def read_line(text: str) -> LogLine | None:
    """The line that a case file holds as JSON; None for what is no log record."""
    try:
        record: dict[str, Any] = json.loads(text)
        severity = str(record.get("severity") or "").upper()
        return LogLine(
            time_unix_s=float(record["time_unix_s"]),
            service=str(record.get("service") or "?"),
            severity=_SEVERITIES.get(severity, severity or "?"),
            body=str(record.get("body") or "")[:LONGEST_BODY],
            trace_id=_id(record.get("trace_id")),
            span_id=_id(record.get("span_id")),
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def lines_of(lines: Iterable[str], trace_ids: Container[str]) -> tuple[str, ...]:
    """Those of the lines, each as JSON, that belong to one of these traces, or to none."""
    read = ((text, read_line(text)) for text in lines)
    return tuple(
        text
        for text, line in read
        if line and (line.trace_id is None or line.trace_id in trace_ids)
    )


def _id(value: object) -> str | None:
    return value if isinstance(value, str) else None
