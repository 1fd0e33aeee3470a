"""The request log: as the load process writes it and as the lab reads it."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.adapters.cases.case_folder import read_requests
from lab.domain.load import Request, Window
from lab.load.request_log import Entry, LogRefused, RequestLog, nearest_rank


def entry(status: int = 201, latency_ms: float = 12.5, window: str = "crime") -> Entry:
    return Entry(
        window=window,
        planned_s=100.0,
        start_s=100.25,
        latency_ms=latency_ms,
        actor="shopper",
        route="POST /checkout",
        tenant="birch",
        status=status,
        trace_id="0" * 31 + "1",
    )


def test_what_is_written_is_read_back_at_once(tmp_path: Path) -> None:
    """Each line is flushed, so a reader sees every request that has ended."""
    log = RequestLog(tmp_path / "requests.jsonl")
    log.write(entry())

    assert read_requests(tmp_path / "requests.jsonl") == (
        Request(
            window=Window.CRIME,
            planned_s=100.0,
            start_s=100.25,
            latency_ms=12.5,
            actor="shopper",
            route="POST /checkout",
            tenant="birch",
            status=201,
            trace_id="0" * 31 + "1",
        ),
    )


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="skipped: not Linux")
def test_a_full_disk_is_said_so() -> None:
    """The file, the system's own word, and the way out."""
    log = RequestLog(Path("/dev/full"))
    with pytest.raises(LogRefused, match=r"/dev/full.*No space left.*free some space"):
        log.write(entry())


def test_progress_counts_the_window_that_is_on(tmp_path: Path) -> None:
    """Stragglers of the window before are not the new window's errors."""
    log = RequestLog(tmp_path / "requests.jsonl")
    log.write(entry(status=0, window="transition"))
    for status in (201, 201, 400, 504):
        log.write(entry(status=status, latency_ms=float(status)))

    last = log.last_second("crime", age_s=0.5)

    assert (last.requests, last.requests_per_s) == (4, 8.0)
    assert last.error_rate == 0.25
    assert last.p95_ms == 504.0


def test_progress_of_a_silent_second_is_zero(tmp_path: Path) -> None:
    """No request is no error and no latency."""
    last = RequestLog(tmp_path / "requests.jsonl").last_second("crime", age_s=5)

    assert (last.requests, last.error_rate, last.p95_ms) == (0, 0.0, 0.0)


def test_the_nearest_rank_is_a_value_that_occurred() -> None:
    """Of a hundred values the 99th percentile is the 99th smallest."""
    assert nearest_rank([float(n) for n in range(100, 0, -1)], 99) == 99.0
    assert nearest_rank([7.0], 99) == 7.0
