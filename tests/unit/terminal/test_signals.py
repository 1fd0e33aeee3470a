"""Signals as sparklines and log lines as tables: over one axis, in words, at any width."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, RenderableType
from typer.testing import CliRunner

from lab.adapters.cases.archive import FolderArchive
from lab.cli import app
from lab.domain.evidence import Evidence, Interval
from lab.domain.load import Window
from lab.errors import UsageError
from lab.investigation.reading.logs import patterns, read_logs
from lab.terminal.logs import line_table, pattern_table
from lab.terminal.signals import SignalChart, sparkline, window_rows
from tests.support.sample_case import sample_case

CASE = sample_case()
EVIDENCE = CASE.evidence
HURT = "01bb" * 8
At = Callable[..., str]


def printed(renderable: RenderableType, width: int = 100) -> str:
    out = io.StringIO()
    Console(file=out, width=width, color_system=None, force_terminal=True).print(renderable)
    return out.getvalue()


def said(at: Window, body: str, **more: str | None) -> str:
    time_unix_s = EVIDENCE.windows[at].start_s + 0.5
    line = {"time_unix_s": time_unix_s, "service": "auth", "severity": "ERROR", "body": body}
    return json.dumps({**line, "trace_id": HURT, "span_id": None, **more})


LOGS = (
    said(Window.REFERENCE, "slow page 7", severity="WARN", trace_id=None),
    said(Window.CRIME, "gave up on user 8", span_id=EVIDENCE.traces[HURT].spans[0].span_id),
    said(Window.CRIME, "gave up on user 9", span_id="77" * 8),
)


@pytest.mark.parametrize(
    ("values", "drawn"),
    [
        ([0.0, 1.0, 4.0, 8.0], "·▂▅█"),
        ([None, 0.0, None], " · "),
        ([0.001, 1000.0], "▁█"),
        ([], ""),
    ],
)
def test_a_sparkline_tells_nothing_from_none(values: list[float | None], drawn: str) -> None:
    """A blank where nothing was measured, a dot for none, a block for the least of anything."""
    assert sparkline(values) == drawn


def test_signals_stand_over_one_axis_with_the_windows_below() -> None:
    """The highest step behind each line, and each window in numbers."""
    text = printed(SignalChart(EVIDENCE, None))
    for name in ("requests/s", "errors/s", "rejected/s", "p50", "p95"):
        assert f"\n{name} " in f"\n{text}"
    assert "├before" in text
    assert "├incident" in text
    assert "11 (100%)" in next(each for each in text.splitlines() if each.startswith("incident "))


def test_a_long_case_takes_longer_steps() -> None:
    """As many seconds as it takes to fit the terminal, and it says so."""
    windows = {**EVIDENCE.windows}
    end_s = windows[Window.CRIME].end_s + 900
    windows[Window.RECOVERY] = Interval(windows[Window.CRIME].end_s, end_s)
    text = printed(SignalChart(replace(EVIDENCE, windows=windows), None), width=60)
    assert max(map(len, text.splitlines())) <= 60
    assert " s a step" in text
    assert not text.splitlines()[-2].startswith("1 s")


def test_a_route_has_signals_of_its_own() -> None:
    """Only its requests are counted."""
    counted = {route: sum(row["requests"] for row in window_rows(EVIDENCE, route))
               for route in (None, "GET /products")}  # fmt: skip
    assert counted[None] > counted["GET /products"] == 2


def test_a_case_without_windows_has_no_signals() -> None:
    """And no line is drawn of nothing."""
    assert "requests/s" in printed(SignalChart(Evidence({}, (), {}, {}), None))


def test_kinds_of_lines_are_counted_by_window() -> None:
    """The worst first; what is new is marked."""
    lines = read_logs(EVIDENCE, LOGS)
    rows = printed(pattern_table(patterns(lines), limit=1, lines=len(lines))).splitlines()
    assert rows[2].split()[:6] == ["error", "auth", "0", "2", "0", "new"]
    assert "gave up on user #" in rows[2]
    assert rows[3].startswith("1 of 2 kinds of line, which 3 lines")


def test_lines_name_their_trace_and_of_one_trace_their_span() -> None:
    """A span that the case does not hold says so: it never came."""
    lines = read_logs(EVIDENCE, LOGS)
    listed = printed(line_table(EVIDENCE, lines, limit=9, trace=None))
    assert "01bb01bb" in listed
    assert "none" in listed
    own = printed(line_table(EVIDENCE, lines[1:], limit=9, trace=EVIDENCE.traces[HURT]))
    assert "7777777777777777 not kept" in own
    assert "2 of 2 lines that fit." in own
    assert "leave a filter out" in printed(line_table(EVIDENCE, (), limit=9, trace=None))
    assert "leave a filter out" in printed(pattern_table((), limit=9, lines=0))


@pytest.fixture
def at(tmp_path: Path) -> At:
    """Types a command in a checkout with the sample case, and gives what it printed."""
    logged = replace(CASE, evidence=replace(EVIDENCE, logs=LOGS))
    FolderArchive(tmp_path / "cases").seal(logged)

    def typed(line: str) -> str:
        env = {"LAB_STATE_DIR": str(tmp_path), "COLUMNS": "120"}
        done = CliRunner().invoke(app, line.split(), env=env)
        if isinstance(done.exception, UsageError):
            return str(done.exception)
        assert done.exit_code == 0, done.exception
        return done.output

    return typed


def test_logs_are_read_of_a_case_or_of_a_trace(at: At) -> None:
    """An id of a case has a dash, and none of a trace does."""
    assert "gave up on user #" in at("logs")
    assert "gave up on user #" in at("logs db-timeout-1")
    assert "gave up on user 9" in at("logs 01bb01bb")
    assert "gave up on user 9" in at("logs 01bb01bb --case db-timeout-1 --text 9")
    assert [row["body"] for row in json.loads(at("logs 01bb01bb --text 8 --json"))] == [
        "gave up on user 8"
    ]
    assert json.loads(at("logs --level warn --window before --json"))[0]["before"] == 1
    assert "expected a TRACE beside --case" in at("logs db-timeout-1 --case db-timeout-1")
    assert "expected --level to be one of" in at("logs --level loud")


def test_signals_are_read_of_a_route_by_its_path(at: At) -> None:
    """One that no request has is refused with those there are."""
    document = json.loads(at("signals --route /checkout --json"))
    assert document["step_s"] == 1.0
    assert [row["window"] for row in document["in_each_window"]][:2] == ["before", "incident"]
    assert sum(row["errors"] for row in document["in_each_window"]) == 10
    assert "expected --route to be one of GET /products" in at("signals --route /nowhere")


def test_requests_are_grouped_by_what_they_or_their_spans_say(at: At) -> None:
    """An attribute that nobody has is refused with one that is near."""
    assert "10 of 10" not in at("traces --group-by tenant --limit 1")
    rows = json.loads(at("traces --group-by outcome --json"))
    assert {row["value"] for row in rows} >= {"ok", "error"}
    assert "unknown attribute to group by 'tenent'; did you mean tenant" in at(
        "traces --group-by tenent"
    )
    assert "expected no filter beside --background" in at("traces --background --group-by route")


def test_what_a_limit_cuts_is_counted(at: At) -> None:
    """Of each list."""
    assert "2 of 10 requests that fit" in " ".join(at("traces --outcome error --limit 2").split())
    assert "1 of 2 kinds of line" in at("logs --limit 1")
    assert "1 of 3 lines that fit" in at("logs --lines --limit 1")
    assert re.search(r"2 of \d+ rows; what each took", at("twin 01bb01bb --limit 2"))


def test_a_moment_of_the_signals_is_a_filter_of_requests(at: At) -> None:
    """In seconds of their axis."""
    everything = json.loads(at("traces --json --limit 99"))
    first = [row for row in everything if row["window"] == "before"]
    end_s = EVIDENCE.windows[Window.REFERENCE].length_s
    assert json.loads(at(f"traces --from 0 --to {end_s} --json --limit 99")) == first


def test_the_old_word_for_the_levels_of_instrumentation_says_what_it_is_now(at: At) -> None:
    """Contrast is what sets the hurt apart, in the terminal as at the desk, and is noted."""
    assert "`lab instrumentation slow-shelves` now" in at("contrast slow-shelves")
    assert "beside 10 of before" in at("contrast")
    assert json.loads(at("contrast --json"))["at_edge"] is True


def test_traces_stand_side_by_side_by_operation(at: At) -> None:
    """Six fit, and options of one tree are refused."""
    healthy = next(each for each in EVIDENCE.traces if each.startswith("0") and each != HURT)
    text = at(f"trace {HURT} {healthy}")
    assert f"A  {HURT}  POST /checkout: 504" in text
    assert f"B  {healthy}" in text
    assert "✖" in text
    assert len(json.loads(at(f"trace {HURT} {healthy} --json"))["resourceSpans"]) > 1
    assert "expected no option but" in at(f"trace {HURT} {healthy} --all")
    assert "expected at most 6 traces, got 7" in at("trace " + " ".join([HURT] * 7))
