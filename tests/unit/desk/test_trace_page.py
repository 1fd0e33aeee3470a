"""The trace's pages: the waterfall and its plain table, a span's details, the twin and the map."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest

from lab.adapters.otlp.traces import assemble
from lab.desk.pages import STATIC
from lab.desk.trace_page import PLAIN_ROWS
from lab.domain.case import Case
from lab.domain.marks import seal_of, why
from lab.domain.trace import Event, Kind, Link, Span, Status, Trace
from lab.investigation.reading.healthy_twin import compare
from lab.investigation.reading.waterfall import waterfall
from tests.support.desk_over_memory import DeskUnderTest
from tests.support.sample_case import fatal_trace, sample_case, span, span_id

FATAL = "01bb" * 8
ROOM = "/cases/db-timeout-1"
PAGE = f"{ROOM}/traces/{FATAL}"
API = f"/api/v1{PAGE}"
QUERY = span_id(FATAL, 6)


@pytest.fixture
def desk(tmp_path: Path) -> DeskUnderTest:
    return DeskUnderTest(tmp_path, sample_case())


def case_with(trace: Trace) -> Case:
    """The sample case, with this one in place of a trace it keeps."""
    case = sample_case()
    traces = {**case.evidence.traces, trace.trace_id: trace}
    return dataclasses.replace(case, evidence=dataclasses.replace(case.evidence, traces=traces))


def twin_on(desk: DeskUnderTest) -> DeskUnderTest:
    """The desk after its healthy twin was asked for in the room."""
    desk.send(ROOM, f"{ROOM}/assists", assist="healthy twin")
    return desk


def rows_of(desk: DeskUnderTest) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = desk.get(f"{API}/waterfall").json()["rows"]
    return rows


def with_id(rows: list[dict[str, Any]], wanted: str) -> dict[str, Any]:
    return next(row for row in rows if row.get("id") == wanted and row["kind"] == "span")


# --- what a trace does not show ---


def test_log_lines_of_a_span_that_was_never_kept_are_told_as_such(desk: DeskUnderTest) -> None:
    """A link to such a span opens them, and one that nobody knows of is said to be unknown."""
    ghost = "9" * 16
    line = {"time_unix_s": 11.0, "service": "payments", "severity": "INFO", "trace_id": FATAL}
    desk.archive.logs = lambda case_id: (  # type: ignore[method-assign]
        json.dumps({**line, "body": "charging card", "span_id": ghost}),
        json.dumps({**line, "body": "querying", "span_id": QUERY}),
    )
    shown = desk.get(PAGE, params={"span": ghost}).text
    assert "Log lines of 1 span that was never kept" in shown
    assert "charging card" in shown
    assert "which you asked for" in shown
    assert "querying" not in shown
    closed = desk.get(PAGE).text
    assert "Log lines of 1 span that was never kept" in closed
    assert "which you asked for" not in closed
    assert "no span" in desk.get(PAGE, params={"span": "8" * 16}).text


def test_a_callee_that_sent_no_span_is_told_from_one_that_never_does(desk: DeskUnderTest) -> None:
    """Before the incident auth had spans; its database never had."""
    whole = fatal_trace(FATAL)
    [call] = [each for each in whole if each.peer == "auth"]
    cut = Trace(FATAL, tuple(each for each in whole if call not in whole.ancestors(each)))
    reference = sample_case().evidence.reference_stats
    drawn = waterfall(cut, reference)
    assert drawn.marks[call.span_id].is_silent_callee
    assert "But auth, which gateway called, sent none" in drawn.seal_reason
    assert not any(mark.is_silent_callee for mark in waterfall(whole, reference).marks.values())
    assert waterfall(whole, reference).marks[QUERY].is_wire_or_callee


def test_one_span_is_not_spoken_of_as_many() -> None:
    alone = assemble(FATAL, [span(FATAL, 1, None, "auth SELECT", (0, 1))])
    assert why(alone, seal_of(alone)).startswith("Its only span is the root")
    orphan = assemble(
        FATAL, [span(FATAL, 1, None, "a b", (0, 9)), span(FATAL, 3, 2, "a c", (1, 2))]
    )
    assert why(orphan, seal_of(orphan)).startswith("1 span is named as parent and never came")


# --- the waterfall ---


def test_the_page_reads_as_a_plain_table_without_a_script(desk: DeskUnderTest) -> None:
    """Every span with its own page, its error told from one handed up, and the seal.

    It is there for everybody, until a script has drawn its own rows in its place.
    """
    text = desk.get(PAGE).text
    plain = text.partition('id="plain"')[2].partition("</table>")[0]
    assert plain.count("/spans/") == 6
    assert plain.count("✖ fails") == 1
    assert plain.count("↥ hands up") == 4
    assert "⇄ on the wire to auth and back" in plain
    assert '<noscript><link rel="stylesheet" href="/static/plain.css"></noscript>' in text
    assert '<script type="module" src="/static/waterfall/page.js">' in text
    further = desk.get(f"{PAGE}?from=1").text
    assert '<link rel="stylesheet" href="/static/plain.css">' in further
    assert "waterfall/page.js" not in further
    assert "◉ sealed" in text
    assert "style=" not in text, "the desk's own policy would drop it"


def test_every_row_comes_with_what_is_drawn_of_it(desk: DeskUnderTest) -> None:
    """Ghost, self time, critical path, wire and who is below; times in ms since the start."""
    document = desk.get(f"{API}/waterfall").json()
    assert document["traceId"] == FATAL
    assert [each["name"] for each in document["services"]] == ["storefront", "gateway", "auth"]
    query = with_id(document["rows"], QUERY)
    assert query["error"] == "own"
    assert query["usual"] == [3.0, 3.0]
    assert query["times"] == pytest.approx(1001 / 3)
    assert query["at"] == pytest.approx(3.6)
    assert sum(length for _, length in query["critical"]) == pytest.approx(1001)
    root = with_id(document["rows"], span_id(FATAL, 1))
    assert root["below"] == len(document["rows"]) - 1
    assert [row["peer"] for row in document["rows"] if row["kind"] == "wire"] == ["gateway", "auth"]


def test_a_call_says_its_route_or_its_statement(desk: DeskUnderTest) -> None:
    """Of a method or a verb alone nobody knows what was asked for."""
    calls = [row for row in rows_of(desk) if row.get("does") == "client"]
    assert calls[0]["name"] == "POST /checkout"
    assert [row.get("says") for row in calls] == [None, "GET /sessions", "SELECT user_id"]
    assert "GET /sessions</a>" in desk.get(PAGE).text


def test_a_link_to_a_span_brings_its_details_along(desk: DeskUnderTest) -> None:
    """So that nothing moves when the script comes, and nothing is missing where none does."""
    title = 'id="span-title"'
    assert title not in desk.get(PAGE).text
    assert title in desk.get(f"{PAGE}?span={QUERY}").text
    assert title not in desk.get(f"{PAGE}?span={QUERY}&details=no").text


def test_the_flame_graph_has_one_box_for_equal_calls(tmp_path: Path) -> None:
    """Drawn and as a table; a trace without a length, and one of 2,000 spans, have one too."""
    calls = [span(FATAL, n, 1, "auth SELECT", (n, n + 1), kind=Kind.CLIENT) for n in range(2, 42)]
    root = span(FATAL, 1, None, "gateway GET /", (0, 100))
    desk = DeskUnderTest(tmp_path, case_with(assemble(FATAL, [root, *calls])))
    text = desk.get(f"{PAGE}/flame").text
    assert "auth SELECT ×40: 40.0ms, 40.0ms of it itself" in text
    assert text.count('<svg x="') == 2
    assert 'width="40.000%"' in text
    assert f'href="{PAGE}?span={span_id(FATAL, 2)}"' in text


def test_flame_graph_and_twin_mark_who_fails_by_itself_as_the_waterfall_does(
    desk: DeskUnderTest,
) -> None:
    """One, and four that hand it up."""
    twin_on(desk)
    for path in ("flame", "twin"):
        text = desk.get(f"{PAGE}/{path}").text
        rows = text.partition("<tbody>")[2]
        assert rows.count('<span class="mark error">✖</span>') == 1, path
        assert rows.count('<span class="mark error">↥</span>') == 4, path


def test_a_row_of_several_calls_is_marked_by_the_worst_of_them(tmp_path: Path) -> None:
    """Of which the first only hands up what its own child failed with."""
    spans = [
        span(FATAL, 1, None, "gateway POST /checkout", (0, 100)),
        span(FATAL, 2, 1, "gateway pay", (1, 9), status=Status.ERROR),
        span(FATAL, 3, 2, "gateway ask", (2, 8), status=Status.ERROR),
        span(FATAL, 4, 1, "gateway pay", (10, 19), status=Status.ERROR),
    ]
    case = sample_case()
    evidence = case.evidence
    traces = {**evidence.traces, FATAL: assemble(FATAL, spans)}
    case = dataclasses.replace(case, evidence=dataclasses.replace(evidence, traces=traces))
    desk = twin_on(DeskUnderTest(tmp_path, case))
    for path in ("flame", "twin"):
        rows = desk.get(f"{PAGE}/{path}").text.partition("<tbody>")[2].split("</tr>")
        [row] = [each for each in rows if ">pay<" in each]
        assert '<span class="mark error">✖</span>' in row, path


@pytest.mark.parametrize("spans", [
    [span(FATAL, 1, None, "a b", (0, 0))],
    [span(FATAL, 1, 2, "a b", (0, 5)), span(FATAL, 2, 1, "a c", (9, 3))],
    [span(FATAL, n, n - 1 if n else None, f"a {n}", (n, n + 9)) for n in range(2_000)],
])  # fmt: skip
def test_whatever_trace_has_a_flame_graph(tmp_path: Path, spans: list[Span]) -> None:
    desk = DeskUnderTest(tmp_path, case_with(assemble(FATAL, spans)))
    assert desk.get(f"{PAGE}/flame").status_code == 200


def test_log_lines_are_counted_for_a_span_its_subtree_and_the_trace(tmp_path: Path) -> None:
    """Three honest numbers; a line of no span counts for the trace alone."""
    desk = DeskUnderTest(tmp_path, sample_case())
    line = '{"time_unix_s": 1700000020.5, "service": "auth", "body": "Connection timeout", '
    desk.archive.logs = lambda case_id: (  # type: ignore[method-assign]
        line + f'"trace_id": "{FATAL}", "span_id": "{QUERY}"}}',
        line + f'"trace_id": "{FATAL}", "span_id": null}}',
        line + f'"trace_id": "{"02" * 16}", "span_id": null}}',
    )
    document = desk.get(f"{API}/waterfall").json()
    assert document["logs"] == 2
    assert with_id(document["rows"], QUERY)["logs"] == [500.0]
    assert with_id(document["rows"], span_id(FATAL, 1))["logsBelow"] == 1
    details = desk.get(f"{PAGE}/spans/{span_id(FATAL, 4)}").text
    assert "this span 0 · with all below it 1 · trace 2" in details


def test_a_trace_that_is_not_whole_says_why(tmp_path: Path) -> None:
    """Its rows are there all the same, below the parent that never came."""
    whole = fatal_trace(FATAL)
    desk = DeskUnderTest(tmp_path, case_with(Trace(FATAL, whole.spans[1:])))
    text = desk.get(PAGE).text
    assert "◌ parent never came" in text
    assert f"never came: {span_id(FATAL, 1)}" in text
    assert rows_of(desk)[0]["kind"] == "missing"


def test_html_in_a_trace_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    """In names, attributes, events and links alike."""
    evil = "<img src=x onerror=alert(1)>"
    hurt = span(
        FATAL, 1, None, f"auth {evil}", (0, 5),
        attributes={evil: evil, "service.peer.name": evil},
        events=(Event(evil, 0, {"exception.type": evil, "exception.message": evil,
                                "exception.stacktrace": evil}),),
        status_message=evil,
    )  # fmt: skip
    desk = DeskUnderTest(tmp_path, case_with(assemble(FATAL, [hurt])))
    for path in (PAGE, f"{PAGE}/spans/{hurt.span_id}", f"{PAGE}/twin", f"{ROOM}/map"):
        answer = desk.get(path)
        assert answer.status_code == 200, path
        assert "<img" not in answer.text, path
    assert desk.get(f"{API}/waterfall").headers["content-type"] == "application/json"


@pytest.mark.parametrize("number", [1, 100, 2_000])
def test_a_trace_of_any_size_opens(tmp_path: Path, number: int) -> None:
    """The plain table is paged, what the script reads is whole."""
    spans = [
        span(FATAL, n, None if n == 0 else n - 1 if n % 150 else 0, f"auth step {n}", (n, n + 9))
        for n in range(number)
    ]
    desk = DeskUnderTest(tmp_path, case_with(assemble(FATAL, spans)))
    assert len([row for row in rows_of(desk) if row["kind"] == "span"]) == number
    text = desk.get(PAGE).text
    assert text.count("/spans/") <= PLAIN_ROWS + 1
    assert ("Further rows" in text) == (number > PLAIN_ROWS)
    further = desk.get(f"{PAGE}?from={PLAIN_ROWS}").text
    assert "Further rows" in further or number <= 2 * PLAIN_ROWS


def test_what_the_script_needs_is_asked_for_before_it_runs(desk: DeskUnderTest) -> None:
    """Each of its modules, and the rows; further rows are read without it."""
    text = desk.get(PAGE).text
    modules = {f"/static/waterfall/{each.name}" for each in (STATIC / "waterfall").glob("*.js")}
    assert set(re.findall(r'rel="modulepreload" href="([^"]+)"', text)) == modules
    asked = re.findall(r'rel="preload" as="fetch" crossorigin href="([^"]+)"', text)
    assert asked == re.findall(r'data-document="([^"]+)"', text) == [f"{API}/waterfall"]
    assert "preload" not in desk.get(f"{PAGE}?from=1").text


def test_cycles_orphans_and_wild_clocks_open(tmp_path: Path) -> None:
    """Whatever a stranger's telemetry holds, its page comes."""
    wild = [
        span(FATAL, 1, 2, "auth a", (0, 5)),
        span(FATAL, 2, 1, "auth b", (9, 3)),
        span(FATAL, 3, 99, "gateway c", (-4000, 8000), kind=Kind.CLIENT),
        span(FATAL, 4, 3, "auth ünïcödé ⚡\u202e", (-5000, -4500), kind=Kind.SERVER),
    ]
    desk = DeskUnderTest(tmp_path, case_with(assemble(FATAL, wild)))
    text = desk.get(PAGE).text
    assert "clocks apart by 1.00s at least" in text
    assert len([row for row in rows_of(desk) if row["kind"] == "span"]) == 4


def test_what_is_not_in_the_case_is_not_found(desk: DeskUnderTest) -> None:
    """A page that says so, and the right status."""
    for path in (f"{ROOM}/traces/{'f' * 32}", f"{ROOM}/traces/xyz", f"{PAGE}/spans/{'f' * 16}"):
        assert desk.get(path).status_code == 404, path
    assert desk.get(f"/api/v1{ROOM}/traces/{'f' * 32}/waterfall").status_code == 404
    assert desk.get(f"{PAGE}?from=-1").status_code == 422


# --- details ---


def test_the_details_of_a_span_lead_on(desk: DeskUnderTest) -> None:
    """To the accusation, to the exact span in Grafana, and as a traceparent."""
    text = desk.get(f"{PAGE}/spans/{QUERY}?part=true").text
    assert "<html" not in text
    assert f'href="{ROOM}/accuse?suspect={FATAL}+{QUERY}"' in text
    assert f"spanId%22%3A%22{QUERY}" in text
    assert f"00-{FATAL}-{QUERY}-01" in text
    assert "✖ fails by itself" in text
    assert "no answer within 1 s" in text
    assert "×334 its usual 3.0ms" in text
    whole = desk.get(f"{PAGE}/spans/{QUERY}").text
    assert text.strip().splitlines()[0] in whole


def test_links_are_followed_both_ways(tmp_path: Path) -> None:
    """From who took a message up to who left it, and back."""
    left, other = fatal_trace(FATAL), "01cc" * 8
    case = case_with(left)
    taken: Span = span(other, 1, None, "notifier process", (0, 1), links=(Link(FATAL, QUERY),))
    evidence = case.evidence
    traces = {**evidence.traces, other: assemble(other, [taken])}
    case = dataclasses.replace(case, evidence=dataclasses.replace(evidence, traces=traces))
    desk = DeskUnderTest(tmp_path, case)
    there = desk.get(f"{ROOM}/traces/{other}/spans/{taken.span_id}").text
    assert f'href="{PAGE}?span={QUERY}"' in there
    back = desk.get(f"{PAGE}/spans/{QUERY}").text
    assert f"traces/{other}?span={taken.span_id}" in back
    assert "notifier process" in back


# --- twin and map ---


def test_the_twin_shows_the_greatest_change_first(desk: DeskUnderTest) -> None:
    """Or the tree; and a program gets the same rows. The order that is on is marked."""
    text = twin_on(desk).get(f"{PAGE}/twin").text
    assert 'href="?order=change" aria-current="true">▸ greatest change first' in text
    first = re.search(r"<tbody>\s*<tr>(.*?)</tr>", text, re.DOTALL)
    assert first
    assert "SELECT" in first[1]
    assert "+998ms" in first[1]
    tree = desk.get(f"{PAGE}/twin?order=tree").text
    assert 'href="?order=tree" aria-current="true">▸ as the tree has them' in tree
    assert "⇄ on the wire gateway → auth and back" in tree
    assert "rows that changed by under 5 %" in tree
    rows = desk.get(f"{API}/twin").json()["rows"]
    comparison = compare(sample_case().evidence, fatal_trace(FATAL))
    assert comparison is not None
    assert len(rows) == len(comparison.rows)
    assert rows[0]["name"] == "SELECT"


def test_a_trace_without_a_twin_says_so(tmp_path: Path) -> None:
    """Where the reference has none of its route."""
    case = sample_case()
    traces = {FATAL: case.evidence.traces[FATAL]}
    evidence = dataclasses.replace(case.evidence, traces=traces)
    desk = DeskUnderTest(tmp_path, dataclasses.replace(case, evidence=evidence))
    assert "keeps no healthy trace of the same route" in twin_on(desk).get(f"{PAGE}/twin").text
    assert desk.get(f"{API}/twin").status_code == 404
    assert "0 kept traces, which stand for 0 of 10 requests" in desk.get(f"{ROOM}/map").text


def test_the_map_says_the_same_drawn_and_in_a_table(desk: DeskUnderTest) -> None:
    """Every arrow twice, with what became of it in a word."""
    text = desk.get(f"{ROOM}/map").text
    assert "auth calls users_db: failing" in text
    assert re.search(r"auth</span> →.*?users_db.*?✖ failing", text, re.DOTALL)
    assert "sends no spans" in text
    document = desk.get(f"/api/v1{ROOM}/map").json()
    assert {"caller", "callee", "reference", "crime"} <= set(document["edges"][0])


def test_the_twin_is_off_until_it_is_asked_for(desk: DeskUnderTest) -> None:
    """In the room, or where one comes for it; asking is noted, and looking is not asking."""
    shown = desk.get(f"{PAGE}/twin").text
    assert "healthy twin of this case is off" in shown
    assert "<tbody>" not in shown
    assert "Healthy twin (off)" in desk.get(PAGE).text
    assert "Switch the healthy twin on" in desk.get(ROOM).text
    assert desk.post(f"{ROOM}/assists", data={"assist": "healthy twin"}).status_code == 403
    assert not any("assist" in record for record in desk.archive.records("db-timeout-1"))
    led = desk.send(f"{PAGE}/twin", f"{ROOM}/assists", assist="healthy twin", trace=FATAL)
    assert "998ms" in led.text
    assert "the healthy twin is on" in desk.get(ROOM).text
    assert "Healthy twin (off)" not in desk.get(PAGE).text
    refused = desk.send(f"{ROOM}/accuse", f"{ROOM}/assists", assist="bribery")
    assert refused.status_code == 422


def test_what_was_used_and_looked_at_is_noted(desk: DeskUnderTest) -> None:
    """For the debrief: tools are free and told. A tool nobody knows is refused."""
    desk.get(PAGE)
    twin_on(desk).get(f"{PAGE}/twin")
    assert desk.post("/api/v1/cases/db-timeout-1/assists/critical path").status_code == 204
    assert desk.post("/api/v1/cases/db-timeout-1/assists/bribery").status_code == 422
    records = desk.archive.records("db-timeout-1")
    assert [record["looked_at"] for record in records if "looked_at" in record] == [FATAL]
    assert [record["assist"] for record in records if "assist" in record] == [
        "healthy twin",
        "critical path",
    ]
