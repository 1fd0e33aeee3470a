"""Records as any store gives them, and as the real one reads them from the files of a stack."""

import json
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from lab.adapters.memory.records import MemoryRecords
from lab.adapters.stack.record_files import RecordFiles
from lab.domain.evidence import Interval
from lab.domain.record import Record, RecordQuery, Source
from lab.errors import RecordsMissing
from lab.ports.records import RecordStore

EPOCH_S = 1_700_000_000
RUN = Interval(EPOCH_S, EPOCH_S + 60)
CHARGES = RecordQuery(Source.LOGS, "charged ", "bank")
CALLS = RecordQuery(
    Source.METRICS, "http.server.request.duration", "payments", {"http.route": "/charges"}
)
WAITS = RecordQuery(Source.DATABASE_LOG, "lock wait")
TRACE_ID = "5b8efff798038103d269b633813fc60c"

Write = Callable[[Path], None]


def attribute(key: str, value: str) -> dict[str, object]:
    return {"key": key, "value": {"stringValue": value}}


def resource(service: str) -> dict[str, object]:
    return {"attributes": [attribute("service.name", service)]}


def log_line(service: str, body: str, at_s: float) -> str:
    record = {
        "timeUnixNano": str(int(at_s * 1e9)),
        "severityText": "INFO",
        "body": {"stringValue": body},
        "traceId": TRACE_ID,
    }
    scope = {"logRecords": [record]}
    group = {"resource": resource(service), "scopeLogs": [scope]}
    return json.dumps({"resourceLogs": [group]}) + "\n"


def write_logs(folder: Path) -> None:
    """Two charges of the run, out of order; another's, another line, one of before, a torn one."""
    lines = [
        log_line("bank", "charged 200 cents", EPOCH_S + 2),
        log_line("bank", "charged 100 cents", EPOCH_S + 1),
        log_line("payments", "charged 1 cent", EPOCH_S + 1),
        log_line("bank", "declined", EPOCH_S + 1),
        log_line("bank", "charged 300 cents", EPOCH_S - 1),
        '{"resourceLogs": 1}\n',
        log_line("bank", "charged 400 cents", EPOCH_S + 3)[:-9],
    ]
    (folder / "signals-logs.jsonl").write_text("".join(lines), encoding="utf-8")


def metrics_line(service: str, at_s: float, *points: tuple[str, int, float]) -> str:
    """One export: points of (route, how often, since when)."""
    data = [
        {
            "attributes": [attribute("http.route", route)],
            "startTimeUnixNano": str(int(since_s * 1e9)),
            "timeUnixNano": str(int(at_s * 1e9)),
            "count": str(count),
        }
        for route, count, since_s in points
    ]
    metrics = [
        {"name": "http.server.request.duration", "histogram": {"dataPoints": data}},
        {"name": "declines", "sum": {"dataPoints": [{"asInt": "7"}]}},
    ]
    group = {"resource": resource(service), "scopeMetrics": [{"metrics": metrics}]}
    return json.dumps({"resourceMetrics": [group]}) + "\n"


def write_metrics(folder: Path) -> None:
    """Two exports of payments, the first from before the run, and one of somebody else."""
    lines = [
        metrics_line("payments", EPOCH_S - 1, ("/charges", 3, EPOCH_S - 9), ("/x", 9, EPOCH_S)),
        metrics_line("bank", EPOCH_S + 1, ("/charges", 50, EPOCH_S)),
        metrics_line(
            "payments", EPOCH_S + 1, ("/charges", 8, EPOCH_S - 9), ("/charges", 2, EPOCH_S)
        ),
    ]
    (folder / "signals-metrics.jsonl").write_text("".join(lines), encoding="utf-8")


def write_database_log(folder: Path) -> None:
    """One wait for a lock that two hold, and what else such a log says."""
    stamp = "2023-11-14 22:13:2"
    (folder / "postgres.log").write_text(
        f"{stamp}0.000 UTC [9] LOG:  database system is ready to accept connections\n"
        f"{stamp}1.250 UTC [12] shop@ledger LOG:  process 12 still waiting for ShareLock on "
        "transaction 801 after 1000.158 ms\n"
        f"{stamp}1.250 UTC [12] shop@ledger DETAIL:  Processes holding the lock: 44, 45. "
        "Wait queue: 12, 13.\n"
        f"{stamp}2.000 UTC [12] shop@ledger LOG:  process 12 acquired ShareLock on transaction "
        "801 after 1750.2 ms\n"
        f"{stamp}3.000 UTC [13] shop@ledger LOG:  process 13 still waiting for ShareLock on "
        "transaction 801 after 1000.158 ms\n",
        encoding="utf-8",
    )


def read(store: RecordStore, query: RecordQuery) -> tuple[Record, ...]:
    return anyio.run(lambda: store.records(query, RUN))


@pytest.mark.parametrize("kind", ["real", "memory"])
def test_records_come_in_order_of_time_and_of_the_run_alone(tmp_path: Path, kind: str) -> None:
    write_logs(tmp_path)
    lines = tuple(Record(EPOCH_S + n, TRACE_ID) for n in (2, 1, -1))
    stores: dict[str, RecordStore] = {
        "real": RecordFiles(tmp_path),
        "memory": MemoryRecords({Source.LOGS: lines}),
    }
    found = read(stores[kind], CHARGES)
    assert [each.time_unix_s for each in found] == [EPOCH_S + 1, EPOCH_S + 2]
    assert {each.trace_id for each in found} == {TRACE_ID}


@pytest.mark.parametrize("kind", ["real", "memory"])
def test_a_source_that_is_not_there_is_missing_and_not_empty(tmp_path: Path, kind: str) -> None:
    """A PostgreSQL of the user's own writes its log where nobody can read it."""
    stores: dict[str, RecordStore] = {
        "real": RecordFiles(tmp_path), "memory": MemoryRecords()
    }  # fmt: skip
    with pytest.raises(RecordsMissing):
        read(stores[kind], WAITS)


def test_a_log_line_is_kept_word_for_word(tmp_path: Path) -> None:
    write_logs(tmp_path)
    found = read(RecordFiles(tmp_path), CHARGES)
    assert [each.attributes for each in found] == [
        {"body": "charged 100 cents"}, {"body": "charged 200 cents"}
    ]  # fmt: skip


def test_a_metric_is_summed_over_its_series_and_read_from_before_the_run_on(
    tmp_path: Path,
) -> None:
    """The last point of before is where a growth is counted from."""
    write_metrics(tmp_path)
    found = read(RecordFiles(tmp_path), CALLS)
    assert [(each.time_unix_s, each.value, each.since_unix_s) for each in found] == [
        (EPOCH_S - 1, 3, EPOCH_S - 9), (EPOCH_S + 1, 10, EPOCH_S - 9)
    ]  # fmt: skip


def test_a_wait_for_a_lock_names_who_waits_and_everybody_who_holds(tmp_path: Path) -> None:
    write_database_log(tmp_path)
    found = read(RecordFiles(tmp_path), WAITS)
    assert [(each.attributes["waiting"], each.attributes["holding"]) for each in found] == [
        (12, 44), (12, 45)
    ]  # fmt: skip
    assert found[0].time_unix_s == EPOCH_S + 1.25
    assert found[0].attributes["waited_ms"] == 1000.158


def test_what_is_searched_for_is_in_no_file(tmp_path: Path) -> None:
    with pytest.raises(RecordsMissing):
        read(RecordFiles(tmp_path), RecordQuery(Source.TRACES, "{ }"))
