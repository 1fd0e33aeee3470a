"""Records out of what the stack writes to disk: the Collector's masked copies, Postgres's log."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from lab.adapters.cases.json_lines import whole_lines
from lab.adapters.cases.logs import log_files, log_records
from lab.adapters.otlp import fields
from lab.domain.evidence import Interval
from lab.domain.record import Record, RecordQuery, Scalar, Source
from lab.domain.trace import AttributeValue
from lab.errors import RecordsMissing

LOCK_WAIT: Final = "lock wait"
"""The one kind of message that is read."""

_WAIT: Final = re.compile(
    r"^(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC \[\d+\] .*"
    r"process (?P<waiting>\d+) still waiting for (?P<lock>.+) after (?P<waited>[\d.]+) ms$"
)
_HOLDERS: Final = re.compile(r"DETAIL:  Process(?:es)? holding the lock: (?P<holders>[\d, ]+)\.")


def lock_waits(text: str) -> Iterator[Record]:
    """One record for each process that waited and each that held the lock.

    Its attributes are ``waiting`` and ``holding`` (process ids), ``lock`` and ``waited_ms``.
    The line in which the holders stand follows that of the wait; a torn end is left out.
    """
    wait: re.Match[str] | None = None
    for line in text.splitlines():
        if wait is not None and (holders := _HOLDERS.search(line)):
            for holder in holders["holders"].split(","):
                yield Record(
                    _unix_s(wait["time"]),
                    attributes={
                        "waiting": int(wait["waiting"]),
                        "holding": int(holder),
                        "lock": wait["lock"],
                        "waited_ms": float(wait["waited"]),
                    },
                )
        wait = _WAIT.match(line)


def _unix_s(written: str) -> float:
    return datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp()


_METRICS: Final = "signals-metrics*.jsonl"
_LAG_S: Final = 5.0
"""How much later than its run a line of it may be written."""


class RecordFiles:
    """`RecordStore` over the files below ``log_dir``."""

    def __init__(self, log_dir: Path) -> None:
        self._log_dir = log_dir

    async def records(self, query: RecordQuery, run: Interval) -> tuple[Record, ...]:
        """All that was written in ``run``, in order of time; RecordsMissing without its source."""
        read = _READERS.get(query.source)
        if read is None:
            raise RecordsMissing(f"expected {query.source} in no file; they are searched for")
        until = Interval(run.start_s, run.end_s + _LAG_S)
        found = await asyncio.to_thread(lambda: list(read(self._log_dir, query, until)))
        return tuple(sorted(found, key=lambda record: record.time_unix_s or 0.0))


def _logs(folder: Path, query: RecordQuery, run: Interval) -> Iterator[Record]:
    """Lines that begin as asked, of that service."""
    for source in log_files(folder, since_s=run.start_s):
        for line in log_records(source):
            if (
                line.time_unix_s in run
                and query.service in {None, line.service}
                and str(line.body).startswith(query.what)
            ):
                yield Record(line.time_unix_s, line.trace_id, attributes={"body": str(line.body)})


def _metrics(folder: Path, query: RecordQuery, run: Interval) -> Iterator[Record]:
    """One point for each export, summed over all series with these attributes.

    Points from before the run are read as well: growth is counted from the last one.
    """
    for source in sorted(folder.rglob(_METRICS), key=lambda path: path.stat().st_mtime):
        for _, line in whole_lines(source):
            try:
                for point in _points(fields.message(fields.parse(line), "line"), query):
                    if (point.time_unix_s or 0.0) < run.end_s:
                        yield point
            except fields.MalformedOtlpError:
                continue


def _points(batch: Mapping[str, Any], query: RecordQuery) -> Iterator[Record]:
    for group in fields.messages(batch, "resourceMetrics", "line"):
        resource = fields.attributes(fields.message(group.get("resource"), "resource"), "resource")
        if query.service not in {None, resource.get("service.name")}:
            continue
        for scope in fields.messages(group, "scopeMetrics", "resourceMetrics"):
            for metric in fields.messages(scope, "metrics", "scopeMetrics"):
                if fields.text(metric, "name", "metric") == query.what:
                    yield from _summed(metric, query.attributes)


def _summed(metric: Mapping[str, Any], wanted: Mapping[str, Scalar]) -> Iterator[Record]:
    data = fields.message(metric.get("sum") or metric.get("histogram"), "metric")
    series = [
        point
        for point in fields.messages(data, "dataPoints", "metric")
        if _has(fields.attributes(point, "point"), wanted)
    ]
    if series:
        yield Record(
            max(fields.time_ns(point, "timeUnixNano", "point") for point in series) / 1e9,
            value=sum(_count(point) for point in series),
            since_unix_s=min(
                fields.time_ns(point, "startTimeUnixNano", "point") for point in series
            )
            / 1e9,
        )


def _count(point: Mapping[str, Any]) -> float:
    """What a sum stands at, or how many values a histogram has taken in."""
    if point.get("count") is not None:
        return fields.integer(point["count"], "point.count")
    if point.get("asInt") is not None:
        return fields.integer(point["asInt"], "point.asInt")
    return fields.double(point.get("asDouble", 0.0), "point.asDouble")


def _has(found: Mapping[str, AttributeValue], wanted: Mapping[str, Scalar]) -> bool:
    return all(found.get(key) == value for key, value in wanted.items())


def _database_log(folder: Path, _: RecordQuery, run: Interval) -> Iterator[Record]:
    log = folder / "postgres.log"
    if not log.is_file():
        raise RecordsMissing(
            f"expected the database's log at {log}, found none: a PostgreSQL of your own "
            "(LAB_POSTGRES_DSN) keeps its log to itself"
        )
    text = log.read_text(encoding="utf-8", errors="replace")
    return (each for each in lock_waits(text) if (each.time_unix_s or 0.0) in run)


_Reader = Callable[[Path, RecordQuery, Interval], Iterator[Record]]
_READERS: Final[Mapping[Source, _Reader]] = MappingProxyType(
    {Source.LOGS: _logs, Source.METRICS: _metrics, Source.DATABASE_LOG: _database_log}
)
