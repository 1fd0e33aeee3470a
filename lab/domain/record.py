"""What a proof needs beyond sampled spans: log lines, counters, finds of a search, lock waits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from lab.frozen import dataclass

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
