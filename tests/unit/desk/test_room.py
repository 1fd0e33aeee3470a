"""The case room: what it shows of an incident, and how the list of requests is asked."""

from __future__ import annotations

import dataclasses
import json
import re
import time
from pathlib import Path
from typing import Any

import pytest

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.bring import Wish, bring_files
from lab.adapters.cases.recording_file import read_recording
from lab.adapters.otlp.traces import write_traces
from lab.desk.charts import (
    HEAT_COLUMNS,
    HEAT_ROWS,
    MOST_POINTS,
    WIDTH,
    Scatter,
    scatter,
    three_signals,
)
from lab.domain.case import Case
from lab.domain.evidence import Interval, Telemetry
from lab.domain.load import Window
from lab.domain.rows import summary_of
from lab.domain.trace import Kind, Span, Status, Trace
from lab.investigation.reading.background import background_rows, background_traces
from lab.investigation.reading.contrast import contrasts
from lab.investigation.reading.edge_signals import Restart, signals, stretches
from lab.investigation.reading.impact import hurt_requests
from lab.investigation.reading.logs import patterns, read_logs
from lab.investigation.reading.requests import (
    SORTS,
    WINDOW_WORDS,
    RequestQuery,
    axis_start_s,
    find_requests,
)
from lab.settings import CHECKOUT
from tests.support.desk_over_memory import DeskUnderTest
from tests.support.sample_case import START_S, request, sample_case
from tests.support.trace_formats import SHAPES, SPANS, TRACE_ID

ROOM = "/cases/db-timeout-1"


@pytest.fixture
def desk(tmp_path: Path) -> DeskUnderTest:
    return DeskUnderTest(tmp_path, sample_case())


def recorded(name: str) -> Case:
    return read_recording(CHECKOUT / "scenarios" / name / "recorded.case.zip")


def log_line(at_s: float, body: str, **more: Any) -> str:
    line = {"time_unix_s": START_S + at_s, "service": "auth", "severity": "ERROR", "body": body}
    return json.dumps({**line, "trace_id": None, "span_id": None, "attributes": {}, **more})


# --- the three signals ---


def test_each_second_counts_its_own_requests() -> None:
    """Rate, errors, refusals and latency of the three windows; nothing between them."""
    found = signals(sample_case().evidence)
    assert [each.word for each in found.windows] == ["before", "incident", "after"]
    assert sum(each.requests for each in found.buckets) == 24
    assert sum(each.errors for each in found.buckets) == 11
    assert sum(each.rejected for each in found.buckets) == 1
    assert found.buckets[0].p50_ms == 12.5
    assert (found.buckets[10].requests, found.buckets[10].p95_ms) == (0, None)
    assert (found.buckets[10].window, found.buckets[21].window) == (None, "incident")


def test_a_route_has_signals_of_its_own() -> None:
    """Others' requests are not among them, and the axis stays the same."""
    found = signals(sample_case().evidence, route="GET /products")
    assert sum(each.requests for each in found.buckets) == 2
    assert len(found.buckets) == len(signals(sample_case().evidence).buckets)


def test_a_chart_says_the_same_as_its_table() -> None:
    """A bar for each second that had requests, a slot and a row for each second there was."""
    found = signals(sample_case().evidence)
    rate, errors, latency = three_signals(found, fault=[(20.0, 32.0)])
    assert len(rate.bars) == sum(each.requests > 0 for each in found.buckets)
    assert {bar.kind for bar in errors.bars} == {"error", "rejected"}
    assert all(len(chart.rows) == len(found.buckets) for chart in (rate, errors, latency))
    assert all(len(chart.frame.slots) == len(found.buckets) for chart in (rate, errors, latency))
    bars = [*rate.bars, *errors.bars]
    assert all(bar.x >= 0 and bar.x + bar.width <= WIDTH for bar in bars)
    assert [each.says for each in rate.frame.shades if each.kind == "fault"] == [""]
    assert "p95 1.01s" in latency.frame.slots[21].says


def test_the_charts_have_one_time_axis() -> None:
    """A second stands at the same place in each of them, and so does a restart."""
    restart = Restart("catalog", 8.5, 20.5, {})
    charts = three_signals(signals(sample_case().evidence), restarts=[restart])
    assert len({(chart.frame.x_ticks, chart.restarts) for chart in charts}) == 1
    assert len({tuple((each.x, each.width) for each in chart.frame.slots) for chart in charts}) == 1
    [tick] = charts[0].restarts
    assert tick.label == "catalog restarted"
    assert tick.at == pytest.approx(100 * 20.5 / 40, abs=0.01)


def test_no_request_draws_nothing_and_fails_nowhere() -> None:
    """An empty case has empty charts."""
    evidence = dataclasses.replace(sample_case().evidence, requests=())
    assert all(not chart.bars for chart in three_signals(signals(evidence)))
    assert three_signals(signals(dataclasses.replace(evidence, windows={})))[0].frame.slots == ()


# --- latency over time ---


def drawn(case: Case, from_s: float = 0.0, to_s: float = 40.0) -> Scatter:
    found = [each for each in case.evidence.requests if each.window in WINDOW_WORDS]
    windows, zero_s = stretches(case.evidence), axis_start_s(case.evidence)
    return scatter(found, windows, zero_s, Interval(from_s, to_s))


def test_each_request_is_a_point_and_each_outcome_a_shape() -> None:
    """What is ok is a dot, all else a mark of its kind; higher where it took longer."""
    found = drawn(sample_case())
    assert found.dots.count("M") == found.counts["ok"] == 12
    assert [each.kind for each in found.marks].count("error") == 11
    assert [each.kind for each in found.marks].count("rejected") == 1
    errors = [each for each in found.marks if each.kind == "error"]
    dots = [float(y) for y in re.findall(r"M\d+ ([\d.]+)h0", found.dots)]
    assert max(each.y for each in errors if each.x != errors[-1].x) < min(dots)
    assert all(found.frame.top <= each.y <= found.frame.base for each in found.marks)
    assert found.low_ms <= 12.5 <= 1019 <= found.high_ms
    assert not found.heat


def test_many_requests_are_counted_by_place() -> None:
    """However many: the drawing stays as small, and what failed keeps its mark."""
    case = sample_case()
    for number in (MOST_POINTS, MOST_POINTS + 1, 20 * MOST_POINTS):
        many = tuple(
            request(
                f"{n:032x}",
                Window.REFERENCE,
                8 * n / number,
                latency_ms=1.0 + n % 977,
                status=500 if n % 7 == 0 else 201,
            )
            for n in range(number)
        )
        found = drawn(
            dataclasses.replace(case, evidence=dataclasses.replace(case.evidence, requests=many))
        )
        assert bool(found.heat) is (number > MOST_POINTS)
        assert bool(found.dots) is (number <= MOST_POINTS)
        cells = sum(each.count("M") for each in found.heat)
        assert cells <= HEAT_COLUMNS * HEAT_ROWS
        assert 0 < len(found.marks) <= HEAT_COLUMNS * HEAT_ROWS
        assert {each.kind for each in found.marks} == {"error"}


def test_a_scatter_of_nothing_has_axes_all_the_same() -> None:
    """No request, one alone, and a stretch without any length."""
    case = sample_case()
    nothing = dataclasses.replace(case.evidence, requests=())
    empty = drawn(dataclasses.replace(case, evidence=nothing))
    assert (empty.dots, empty.marks) == ("", ())
    assert empty.frame.y_ticks
    alone = dataclasses.replace(case.evidence, requests=case.evidence.requests[:1])
    assert drawn(dataclasses.replace(case, evidence=alone)).dots.count("M") == 1
    assert drawn(case, 5.0, 5.0).frame.slots


def test_a_second_leads_to_its_requests(desk: DeskUnderTest) -> None:
    """From each chart, from its table, and by a form: none of it needs a script."""
    shown = desk.get(ROOM).text.replace("&amp;", "&")
    assert shown.count(f'<a href="{ROOM}/traces?from_s=21&to_s=22"') == 6
    assert f'action="{ROOM}/traces"' in shown
    listed = desk.get(f"{ROOM}/traces?from_s=21&to_s=22").text
    assert "1 request;" in listed
    assert "incident 1.0 s" in listed
    of_route = desk.get(ROOM, params={"route": "GET /products"}).text.replace("&amp;", "&")
    assert f"{ROOM}/traces?route=GET+%2Fproducts&from_s=25&to_s=26" in of_route


def test_a_part_of_the_scatter_leads_to_its_requests(desk: DeskUnderTest) -> None:
    """With the filters there are; and from there back to all of it."""
    shown = desk.get(f"{ROOM}/traces?outcome=error").text.replace("&amp;", "&")
    assert 'href="?outcome=error&from_s=21.0&to_s=22.0"' in shown
    narrowed = desk.get(f"{ROOM}/traces?outcome=error&from_s=21&to_s=23").text
    assert "2 requests" in narrowed
    assert 'href="?outcome=error">Back to all the time' in narrowed


def test_what_was_slower_than_nearly_all_before_is_marked(desk: DeskUnderTest) -> None:
    """Also where it went well; of a route that nobody asked before, nobody can tell."""
    rows = desk.get(f"/api/v1{ROOM}/requests").json()["rows"]
    assert {each["slow"] for each in rows if each["window"] == "before"} == {False}
    assert {
        each["slow"]
        for each in rows
        if each["window"] == "incident" and each["route"] == "POST /checkout"
    } == {True}
    assert {each["slow"] for each in rows if each["route"] == "GET /products"} == {None}
    assert desk.get(f"{ROOM}/traces?window=incident").text.count("◆<") == 10
    assert desk.get(f"{ROOM}/traces?window=before").text.count("◆<") == 0


@pytest.mark.parametrize(
    ("key", "value", "numbers"),
    [
        ("tenant", "acme", "24"),
        ("outcome", "error", "11"),
        ("status", "none", "1"),
        ("window", "incident", "11"),
        ("route", "GET /products", "2"),
        ("pool.size", "10", "22"),
        ("pool.size", "none", "1"),
    ],
)
def test_requests_are_grouped_by_what_they_or_their_spans_carry(
    desk: DeskUnderTest, key: str, value: str, numbers: str
) -> None:
    """Each group with its counts; what leads on asks for that group alone."""
    shown = desk.get(f"{ROOM}/traces", params={"group": key}).text
    found = re.search(rf'<a href="([^"]+)">{value}</a></th><td class="number">(\d+)<', shown)
    assert found, shown
    assert found[2] == numbers
    if value != "none":
        listed = desk.get(f"{ROOM}/traces{found[1].replace('&amp;', '&')}").text
        assert f"{numbers} request" in listed


def test_nobody_groups_by_what_nothing_carries(desk: DeskUnderTest) -> None:
    """With what is near; and a word of all requests is not asked of spans."""
    answer = desk.get(f"{ROOM}/traces?group=pool.sise")
    assert answer.status_code == 422
    assert "pool.size" in answer.text


def test_restarts_that_spans_show_are_told(tmp_path: Path) -> None:
    """As a line in the charts and in words; of a case without any, nothing is said."""
    case = recorded("cold-rush")
    shown = DeskUnderTest(tmp_path, case).get(f"/cases/{case.case_id}").text
    assert shown.count("<title>catalog restarted</title>") == 6
    assert "went on as another process between 10.0 s and 14.0 s" in shown
    desk = DeskUnderTest(tmp_path / "other", sample_case())
    assert "restarted" not in desk.get(ROOM).text


# --- whom it hit, and what sets them apart ---


def test_hurt_is_what_went_as_none_did_before() -> None:
    """Failed or unanswered, in the incident alone; a healthy case hurts nobody."""
    evidence = sample_case().evidence
    assert len(hurt_requests(evidence)) == 11
    well = [each for each in evidence.requests if each.window is not Window.CRIME]
    assert hurt_requests(dataclasses.replace(evidence, requests=tuple(well))) == ()


@pytest.mark.parametrize(
    ("changes", "is_hurt"),
    [
        ({"latency_ms": 12.5}, False),
        ({"latency_ms": 400.0}, True),
        ({"status": 400}, True),
        ({"status": 0}, True),
        ({"answer_bytes": 10}, True),
        ({"answer_bytes": 900}, False),
    ],
)
def test_each_kind_of_harm_is_seen(changes: dict[str, Any], is_hurt: bool) -> None:
    """Late, refused, unanswered, or all but empty, each against its own route before."""
    before = [request(f"{n:032x}", Window.REFERENCE, n, answer_bytes=1000) for n in range(1, 9)]
    during = request("f" * 32, Window.CRIME, 21, **{"answer_bytes": 1000, **changes})
    evidence = dataclasses.replace(sample_case().evidence, requests=(*before, during))
    assert (during in hurt_requests(evidence)) is is_hurt


@pytest.mark.parametrize(
    ("name", "where", "key", "value"),
    [
        ("one-tenant-only", "request", "tenant", "acme"),
        ("cut-thread", "payments", "reached", "yes"),
        ("db-timeout", "auth", "exception", "TimeoutError"),
        ("card-declined", "bank", "http.response.status_code", "402"),
    ],
)
def test_a_contrast_names_what_differs(name: str, where: str, key: str, value: str) -> None:
    """On cases that really happened, among the first rows."""
    first = contrasts(recorded(name).evidence).rows[:8]
    assert (where, key, value) in {(each.where, each.key, each.value) for each in first}


def test_where_nothing_differs_a_contrast_is_empty(desk: DeskUnderTest) -> None:
    """Healthy beside healthy; and the page says so instead of showing noise."""
    evidence = recorded("slow-shelves").evidence
    assert contrasts(evidence).rows == ()
    assert desk.get(f"{ROOM}/contrast").status_code == 200
    assert desk.archive.records("db-timeout-1")[-1]["assist"] == "contrast"


# --- logs ---


def test_lines_that_say_the_same_are_counted_by_window() -> None:
    """Numbers and ids in them do not tell them apart; the worst come first."""
    lines = [
        log_line(1, "listening", severity="INFO"),
        log_line(21, "attempt 1 of ab12cd34ef failed"),
        log_line(22, "attempt 2 of 99887766aa failed"),
        "{torn",
        "[]",
    ]
    first, second = patterns(read_logs(sample_case().evidence, lines))
    assert (first.pattern, first.incident, first.before) == ("attempt # of # failed", 2, 0)
    assert (second.service, second.before) == ("auth", 1)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "charged 4016 cents for order 52d7a630-e884-48d1-8071-f070643ebd98",
            "charged 781 cents for order bbaaccdd-cafe-4bad-beef-aabbccddeeff",
        ),
        ("connection to 127.0.0.1:18431 failed", "connection to 10.0.0.7:5432 failed"),
        ("connection to [::1]:18431 failed", "connection to [fe80::7]:5432 failed"),
        ("slot 0xdeadbeef, session a1b2c3", "slot 0x1, session 99ffee"),
    ],
)
def test_an_id_or_an_address_is_one_mark_whatever_letters_it_has(one: str, other: str) -> None:
    """Else each order would be a kind of line of its own."""
    [pattern] = patterns(
        read_logs(sample_case().evidence, [log_line(21, one), log_line(22, other)])
    )
    assert pattern.incident == 2


def test_words_are_no_ids(desk: DeskUnderTest) -> None:
    """Some are made of a to f alone."""
    lines = [log_line(21, "facade added"), log_line(22, "facade faded")]
    assert len(patterns(read_logs(sample_case().evidence, lines))) == 2


def test_the_logs_page_filters_and_pages(desk: DeskUnderTest) -> None:
    """By service, level, window and text; HTML in a line is shown and not obeyed."""
    desk.archive.give_logs(
        "db-timeout-1",
        tuple(log_line(21 + n / 100, f"<b>line {n}</b>") for n in range(150)),
    )
    shown = desk.get(f"{ROOM}/logs?window=incident&severity=ERROR").text
    assert "150 lines" in shown
    assert "&lt;b&gt;line 0&lt;/b&gt;" in shown
    assert "<b>line" not in shown
    assert "line 149" in desk.get(f"{ROOM}/logs?page=2&service=auth").text
    assert "1 lines" in desk.get(f"{ROOM}/logs", params={"q": "line 77<"}).text


# --- pages ---


def test_the_room_has_everything_of_the_first_minutes(desk: DeskUnderTest) -> None:
    """Pager message, support code, three charts with tables, and the first victims."""
    shown = desk.get(ROOM).text
    assert "The pager goes off" in shown
    assert f'href="{ROOM}/traces/{"01bb" * 8}"' in shown
    assert shown.count('class="plot"') == 3
    assert shown.count("Values as a table") == 3
    assert "11 requests of the incident" in shown


def test_a_route_nobody_knows_is_said_so(desk: DeskUnderTest) -> None:
    """With the routes there are."""
    answer = desk.get(ROOM, params={"route": "GET /moon"})
    assert answer.status_code == 404
    assert "POST /checkout" in answer.text


def test_a_strangers_telemetry_can_be_read_and_not_graded(tmp_path: Path) -> None:
    """Its traces are listed; there is no pager message, and nobody to accuse."""
    desk = DeskUnderTest(tmp_path, sample_case())
    evidence = dataclasses.replace(sample_case().evidence, requests=(), windows={})
    index = tuple(map(summary_of, evidence.traces.values()))
    brought = Telemetry("brought-1", "Somebody's traces", "a file", START_S, evidence, index)
    desk.archive.bring(brought)
    assert "Somebody&#39;s traces" in desk.get("/cases/brought-1").text
    assert desk.get("/cases/brought-1/accuse").status_code == 409


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 24),
        ("?kept=yes", 23),
        ("?kept=any", 24),
        ("?outcome=error", 11),
        ("?outcome=error&kept=yes", 10),
        ("?window=before&route=POST+%2Fcheckout", 10),
        ("?tenant=acme&min_ms=1015", 5),
        ("?max_ms=20", 14),
        ("?from_s=20", 14),
        ("?to_s=20", 10),
        ("?from_s=21&to_s=25", 4),
        ("?from_s=25&to_s=21", 0),
        ("?service=notifier", 1),
        ("?q=TimeoutError", 10),
        ("?q=01bb01bb", 1),
        ("?q=01bb01bb01bb…", 1),
        ("?q=+1.01s+", 6),
        ("?q=rejected", 1),
        ("?q=404", 1),
        ("?q=incident+1.0+s", 1),
        ("?q=0+B", 24),
        ("?outcome=&route=&min_ms=&from_s=&group=", 24),
    ],
)
def test_the_address_says_which_requests_are_listed(
    desk: DeskUnderTest, query: str, count: int
) -> None:
    """Each filter alone and with others; an empty field asks nothing."""
    noun = "request" if count == 1 else "requests"
    assert f"<caption>{count} {noun}" in desk.get(f"{ROOM}/traces{query}").text


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("outcome=bad", 422),
        ("sort=mood", 422),
        ("page=0", 422),
        ("min_ms=soon", 422),
        ("from_s=inf", 422),
    ],
)
def test_a_list_that_cannot_be_meant_is_refused(
    desk: DeskUnderTest, query: str, status: int
) -> None:
    """With a page that says what was expected."""
    answer = desk.get(f"{ROOM}/traces?{query}")
    assert answer.status_code == status
    assert "This cannot be understood" in answer.text


@pytest.mark.parametrize("key", ["time", "latency", "route", "status", "tenant", "bytes"])
def test_any_column_sorts_both_ways(key: str) -> None:
    """Rising one way, falling the other, and the same requests."""
    evidence = sample_case().evidence
    up = find_requests(evidence, RequestQuery(), sort=key)
    down = find_requests(evidence, RequestQuery(), sort=key, descending=True)
    keys = [SORTS[key](each) for each in up]
    assert keys == sorted(keys)
    assert [SORTS[key](each) for each in down] == sorted(keys, reverse=True)


def test_the_head_of_a_column_keeps_the_filters(desk: DeskUnderTest) -> None:
    """Sorting changes the order and nothing else, and the second click turns it round."""
    shown = desk.get(f"{ROOM}/traces?outcome=error&sort=latency").text.replace("&amp;", "&")
    assert "?outcome=error&sort=latency&order=down" in shown
    assert 'aria-sort="ascending"' in shown


def test_a_page_beyond_the_first_has_the_next_rows(tmp_path: Path) -> None:
    """Fifty a page, the rest on the next."""
    case = sample_case()
    many = tuple(request(f"{n:032x}", Window.REFERENCE, n / 100) for n in range(1, 121))
    evidence = dataclasses.replace(case.evidence, requests=many)
    desk = DeskUnderTest(tmp_path, dataclasses.replace(case, evidence=evidence))
    shown = desk.get(f"{ROOM}/traces?kept=any&page=3").text
    assert "Page 3 of 3" in shown
    assert len(re.findall(r"before \d\.\d s", shown)) == 20


def test_a_hundred_thousand_requests_stay_quick(tmp_path: Path) -> None:
    """A filtered and sorted page, and the room, in about a second on a slow machine."""
    case = sample_case()
    routes = ("POST /checkout", "GET /products", "GET /home")
    many = tuple(
        request(f"{n:032x}", window, at_s, route=routes[n % 3], latency_ms=float(n % 977))
        for n in range(1, 100_001)
        for window, at_s in [
            (Window.REFERENCE, n / 12_500) if n % 2 else (Window.CRIME, 20 + n / 8_400)
        ]
    )
    evidence = dataclasses.replace(case.evidence, requests=many)
    desk = DeskUnderTest(tmp_path, dataclasses.replace(case, evidence=evidence))
    started = time.process_time()
    answer = desk.get(f"{ROOM}/traces?outcome=ok&sort=latency&order=down&page=99&group=route")
    assert answer.status_code == 200
    assert "100000 requests" in answer.text
    assert len(answer.content) < 500_000
    assert time.process_time() - started < 2.0


def test_background_traces_have_a_list_of_their_own(tmp_path: Path) -> None:
    """Each with the span it begins with."""
    case = recorded("cut-thread")
    desk = DeskUnderTest(tmp_path, case)
    shown = desk.get(f"/cases/{case.case_id}/background").text
    assert "POST /charges" in shown
    assert f"{len(case.evidence.traces) - len(kept(case))} traces" in shown


def test_background_traces_are_on_the_clock_of_the_requests() -> None:
    """Seconds into the window in which they began; between two windows there is no such clock."""
    evidence = recorded("cut-thread").evidence
    rows = background_rows(evidence, background_traces(evidence))
    for row in rows:
        if row["window"] is not None:
            window = next(each for each, word in WINDOW_WORDS.items() if word == row["window"])
            began_s = evidence.windows[window].start_s
            assert row["into_window_s"] == pytest.approx(row["start_unix_s"] - began_s, abs=0.001)
    assert {row["window"] for row in rows} >= {"incident"}
    outside = dataclasses.replace(evidence, windows={})
    assert {
        row["into_window_s"] for row in background_rows(outside, background_traces(outside))
    } == {None}


def kept(case: Case) -> list[str]:
    return [each for each in case.evidence.traces if each in case.evidence.request_of]


def test_html_in_telemetry_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    """In a span's name and attributes, a route and a tenant."""
    case = sample_case()
    evil = '<img src=x onerror="alert(1)">'
    traces = {
        key: dataclasses.replace(trace, spans=tuple(_evil(span, evil) for span in trace.spans))
        for key, trace in case.evidence.traces.items()
    }
    requests = tuple(
        dataclasses.replace(each, route=f"GET /{evil}", tenant=evil)
        for each in case.evidence.requests
    )
    evidence = dataclasses.replace(case.evidence, traces=traces, requests=requests)
    desk = DeskUnderTest(tmp_path, dataclasses.replace(case, evidence=evidence))
    for path in ("", "/traces", "/contrast", f"/accuse?suspect={'01bb' * 8}"):
        shown = desk.get(ROOM + path)
        assert shown.status_code == 200
        assert "<img" not in shown.text


def _evil(span: Span, evil: str) -> Span:
    return dataclasses.replace(span, name=evil, attributes={**span.attributes, evil: evil})


def test_the_room_says_where_to_begin_in_grafana(desk: DeskUnderTest) -> None:
    """As `lab briefing` does, folded away: not everybody has one."""
    found = desk.get(ROOM).text
    assert "<summary>In Grafana</summary>" in found
    assert "{ nestedSetParent &lt; 0 &amp;&amp; status = error }" in found


def test_a_scenario_without_a_way_through_grafana_has_a_room_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So has one whose text is damaged."""
    scenarios = tmp_path / "scenarios" / "db-timeout"
    scenarios.mkdir(parents=True)
    monkeypatch.setenv("LAB_SCENARIOS_DIR", str(scenarios.parent))
    desk = DeskUnderTest(tmp_path, sample_case())
    for content in (None, b"\xff"):
        if content is not None:
            (scenarios / "grafana.md").write_bytes(content)
        answer = desk.get(ROOM)
        assert answer.status_code == 200
        assert "In Grafana" not in answer.text


def test_all_that_a_strangers_span_carries_is_shown(tmp_path: Path) -> None:
    """Scope, links' attributes and events; what is no text as JSON, and no end as unfinished."""
    archive = FolderArchive(tmp_path / "cases")
    path = tmp_path / "it.json"
    path.write_bytes(SHAPES["protobuf"]())
    bring_files(archive, [path], Wish(), lambda what, count: None)
    desk = DeskUnderTest(tmp_path, archive=archive)
    here = f"/cases/imported-1/traces/{TRACE_ID}"
    assert "GET /è" in desk.get("/cases/imported-1").text
    shown = desk.get(here).text
    assert "1 unfinished" in shown
    assert "0.00ms" not in shown
    rows = desk.get(f"/api/v1{here}/waterfall").json()["rows"]
    child = next(row for row in rows if row.get("name") == "work")
    assert (child["untimed"], child["took"]) == ("unfinished", 900)
    span = desk.get(f"{here}/spans/{SPANS[0].span_id}").text
    for each in ("web", "1.0.0", "flavour", "batch", "Boom", "arm64", "[&#34;a&#34;, 1, true]"):
        assert each in span
    context = ("vendor=opaque", "0x00000301", "vendor=linked", "schemas/1.29.0", "schemas/1.30.0")
    assert [each for each in context if each not in span] == []


# --- the list of a stranger's traces -----------------------------------------------------


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> DeskUnderTest:
    """A desk with a case of 250 traces: each a second later and longer, every tenth failed."""
    folder = tmp_path_factory.mktemp("strangers")
    began_ns = 1_700_000_000_000_000_000
    traces = []
    for n in range(250):
        start_ns, service = began_ns + n * 10**9, "front" if n % 2 else "cart"
        span = Span(
            f"{n + 1:032x}", f"{n + 1:016x}", "f" * 16 if n == 7 else None, f"GET /{n % 5}",
            Kind.SERVER, service, start_ns, start_ns + (n + 1) * 10**6,
            Status.ERROR if n % 10 == 0 else Status.UNSET,
            attributes={"tier": "gold" if n < 3 else "plain"}, resource={"service.name": service},
        )  # fmt: skip
        traces.append(Trace(span.trace_id, (span,)))
    path = folder / "it.json"
    path.write_text(json.dumps(write_traces(traces)))
    archive = FolderArchive(folder / "cases")
    bring_files(archive, [path], Wish(), lambda what, count: None)
    return DeskUnderTest(folder, archive=archive)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 250),
        ("?outcome=error", 25),
        ("?service=front", 125),
        ("?root=GET+%2F3", 50),
        ("?min_ms=241&max_ms=245", 5),
        ("?q=GOLD", 3),
        ("?since=2023-11-14T22:13:30Z&until=2023-11-14T22:13:40Z", 10),
        ("?incomplete=yes", 1),
        ("?outcome=error&service=front&root=&q=&since=&until=&min_ms=&incomplete=", 0),
    ],
)
def test_the_address_says_which_of_a_strangers_traces_are_listed(
    strangers: DeskUnderTest, query: str, count: int
) -> None:
    assert f"{count} of 250 traces fit" in strangers.get(f"/cases/imported-1{query}").text


@pytest.mark.parametrize(
    ("sort", "first"),
    [(each, 1) for each in ("time", "trace", "duration", "spans", "services")]
    + [("root", 1), ("errors", 2), ("whole", 8)],
)
def test_every_column_sorts_both_ways(strangers: DeskUnderTest, sort: str, first: int) -> None:
    """And its head leads to the other way."""
    up = strangers.get(f"/cases/imported-1?sort={sort}&q=t").text.replace("&amp;", "&")
    row = re.search(r"traces/([0-9a-f]{32})", up)
    assert row is not None
    assert int(row[1], 16) == first
    down = "order=down" if sort == "time" else f"sort={sort}&order=down"
    assert f'href="?q=t&{down}"' in up
    other = strangers.get(f"/cases/imported-1?q=t&{down}").text
    assert re.findall(r"traces/([0-9a-f]{32})", other)[0] != row[1]


def test_the_pages_of_a_list_keep_what_was_asked(strangers: DeskUnderTest) -> None:
    """The second page begins where the first ends, with the same filters and order."""
    shown = strangers.get("/cases/imported-1?service=front&sort=duration&order=down").text
    assert "Page 1 of 2" in shown
    [after] = re.findall(r'rel="next" href="([^"]+)"', shown)
    following = strangers.get("/cases/imported-1" + after.replace("&amp;", "&")).text
    assert len(re.findall(r"traces/[0-9a-f]{32}", following)) == 25
    assert f"{50:032x}" in following
    assert len(shown) < 100_000


@pytest.mark.parametrize(
    "query",
    [
        *("outcome=rejected", "service=nobody", "sort=mood", "page=0", "since=soon", "min_ms=-1"),
        *("since=0001-01-01T00:00:00%2B23:00", "incomplete=maybe"),
    ],
)
def test_a_list_of_traces_that_cannot_be_meant_is_refused(
    strangers: DeskUnderTest, query: str
) -> None:
    assert strangers.get(f"/cases/imported-1?{query}").status_code == 422
