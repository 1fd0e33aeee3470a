"""Accusing at the desk: what it understands, what it echoes, and what it answers."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from lab.domain.ledger import DELAYS_S
from lab.domain.mechanism import Mechanism
from tests.support.desk_over_memory import DeskUnderTest
from tests.support.sample_case import sample_case, span_id

TRACE = "01bb" * 8
SELECT = span_id(TRACE, 6)
GATEWAY = span_id(TRACE, 2)
FORM = "/cases/db-timeout-1/accuse"


@pytest.fixture
def desk(tmp_path: Path) -> DeskUnderTest:
    return DeskUnderTest(tmp_path, sample_case())


def panes(trace: str, span: str) -> str:
    """The part of an Explore address that says what is open."""
    state = {"a": {"queries": [{"query": trace}], "panelsState": {"trace": {"spanId": span}}}}
    return quote(json.dumps(state))


@pytest.mark.parametrize(
    "pasted",
    [
        f"{TRACE} {SELECT}",
        f"{TRACE[:6].upper()}, {SELECT[:9]}",
        SELECT,
        f"00-{TRACE}-{SELECT}-01",
        f"traceparent: 00-{TRACE}-{SELECT}-03",
        f"http://127.0.0.1:18126/explore?schemaVersion=1&orgId=1&panes={panes(TRACE, SELECT)}",
        f"http://127.0.0.1:18126/a/grafana-exploretraces-app/explore?traceId={TRACE}&spanId={SELECT}",
        f"http://127.0.0.1:18123/cases/db-timeout-1/traces/{TRACE}?span={SELECT}",
    ],
)
def test_whatever_is_pasted_the_desk_says_whom_it_understood(
    desk: DeskUnderTest, pasted: str
) -> None:
    """Service, span, duration and both ids, before anything is judged."""
    shown = desk.get(FORM, params={"suspect": pasted})
    assert shown.status_code == 200
    for said in ("auth", "SELECT", "1.00s", TRACE, SELECT):
        assert said in shown.text
    assert desk.archive.records("db-timeout-1") == ()


@pytest.mark.parametrize(
    ("pasted", "says"),
    [
        ("the database", "expected an address of Grafana"),
        ("http://127.0.0.1:18126/explore?panes=%7B", "expected an address of Grafana"),
        (f"{TRACE} ffffffffffffffff", "expected a span of trace"),
        ("12345678", "expected a trace of this case"),
        ("0", "give more digits"),
        ("<script>alert(1)</script>", "expected an address of Grafana"),
    ],
)
def test_what_cannot_be_understood_is_said_beside_its_box(
    desk: DeskUnderTest, pasted: str, says: str
) -> None:
    """The page comes back with what was typed and what was expected, and obeys none of it."""
    shown = desk.get(FORM, params={"suspect": pasted})
    assert shown.status_code == 422
    assert says in shown.text.replace("&#39;", "'")
    assert "<script>alert" not in shown.text


def test_the_link_of_grafana_pre_fills_the_accusation(desk: DeskUnderTest) -> None:
    """Trace and span by their names find the case, and nothing is accused by a link."""
    shown = desk.get("/accuse", params={"trace_id": TRACE, "span_id": SELECT})
    assert shown.url.path == FORM
    assert f'value="{TRACE} {SELECT}"' in shown.text
    assert desk.archive.records("db-timeout-1") == ()


@pytest.mark.parametrize(("query", "status"), [("trace_id=" + "9" * 32, 404), ("suspect=x", 422)])
def test_a_trace_of_no_case_is_no_dead_end(desk: DeskUnderTest, query: str, status: int) -> None:
    """The page says why, and takes another."""
    shown = desk.get(f"/accuse?{query}")
    assert shown.status_code == status
    assert 'role="alert"' in shown.text
    assert 'name="suspect"' in shown.text


def accuse(desk: DeskUnderTest, span: str, mechanism: str = "timeout", **more: object) -> str:
    answer = desk.send(FORM, FORM, suspect=f"{TRACE} {span}", mechanism=mechanism, **more)
    assert answer.status_code == 200, answer.text
    return answer.text


def test_a_verdict_is_the_judges_and_leads_into_grafana(desk: DeskUnderTest) -> None:
    """The class sentence, the span's own numbers, and the very span in Explore."""
    shown = accuse(desk, SELECT)
    assert "SOLVED" in shown
    assert "Case closed: this is what did it, and how. auth SELECT ended in TimeoutError" in shown
    address = unquote(shown.replace("&amp;", "&"))
    assert "/explore?schemaVersion=1" in address
    assert f'"panelsState":{{"trace":{{"spanId":"{SELECT}"}}}}' in address
    assert desk.get("/cases/db-timeout-1/verdicts/1").text == shown


def test_wrong_accusations_delay_more_and_more_and_never_lock(desk: DeskUnderTest) -> None:
    """The first is free; each later one is heard once its delay is over, which is capped."""
    for delay_s in (*DELAYS_S, DELAYS_S[-1]):
        assert "MESSENGER" in accuse(desk, GATEWAY)
        if delay_s:
            early = desk.send(FORM, FORM, suspect=f"{TRACE} {SELECT}", mechanism="timeout")
            assert early.status_code == 429
            assert float(early.headers["retry-after"]) >= delay_s
        desk.clock.advance(delay_s)
    assert "SOLVED" in accuse(desk, SELECT)


def test_in_a_closed_case_an_accusation_is_practice(desk: DeskUnderTest) -> None:
    """The form and the verdict say so, and lead to the debrief and not to hints."""
    assert "The case is closed" not in desk.get(FORM).text
    accuse(desk, SELECT)
    assert "The case is closed" in desk.get(FORM).text
    shown = accuse(desk, GATEWAY)
    assert "MESSENGER" in shown
    assert "The case is closed." in shown
    assert 'href="/cases/db-timeout-1/debrief">Read the debrief' in shown
    assert "Take a hint" not in shown


def test_a_slip_of_the_pen_delays_nothing(desk: DeskUnderTest) -> None:
    """A span nobody knows is refused before it is judged."""
    answer = desk.send(FORM, FORM, suspect=f"{TRACE} 1234", mechanism="timeout")
    assert answer.status_code == 422
    assert desk.archive.records("db-timeout-1") == ()


def test_nobody_is_one_of_the_answers(desk: DeskUnderTest) -> None:
    """And here it is the wrong one."""
    answer = desk.send(FORM, FORM, nobody="true", mechanism="business-rejection")
    assert "SOMEBODY" in answer.text


@pytest.mark.parametrize(
    "fields", [{"mechanism": "gremlins"}, {}, {"mechanism": "timeout", "scope": "some-cats"}]
)
def test_words_outside_the_closed_lists_are_refused(
    desk: DeskUnderTest, fields: dict[str, str]
) -> None:
    """With the page's own status and what was expected."""
    answer = desk.send(FORM, FORM, suspect=f"{TRACE} {SELECT}", **fields)
    assert answer.status_code == 422
    assert "This cannot be understood" in answer.text


@pytest.mark.parametrize("token", ["", "forged"])
def test_a_form_of_another_site_accuses_nobody(desk: DeskUnderTest, token: str) -> None:
    """Without the token of the page the browser has, nothing is judged."""
    desk.get(FORM)
    answer = desk.post(
        FORM, data={"desk_token": token, "suspect": f"{TRACE} {SELECT}", "mechanism": "timeout"}
    )
    assert answer.status_code == 403
    assert desk.archive.records("db-timeout-1") == ()


def test_two_that_did_it_together_are_accused_each_of_its_own(desk: DeskUnderTest) -> None:
    """Both are echoed, each with a mechanism to choose; one that did not do it decides."""
    both = [f"{TRACE} {SELECT}", f"{TRACE} {GATEWAY}"]
    shown = desk.get(FORM, params={"suspect": both})
    assert shown.text.count('type="hidden" name="suspect"') == 2
    assert 'name="second" required' in shown.text
    assert 'name="second"' not in desk.get(FORM, params={"suspect": both[:1]}).text
    answer = desk.send(FORM, FORM, suspect=both, mechanism="timeout", second="latency")
    assert "MESSENGER" in answer.text
    assert 'Accused of <b class="mono">timeout</b> and <b class="mono">latency</b>' in answer.text
    [entry] = desk.archive.records("db-timeout-1")
    assert entry["mechanisms"] == ["timeout", "latency"]


def test_a_second_word_without_a_second_span_is_refused(desk: DeskUnderTest) -> None:
    """Nobody could tell whose it is."""
    fields = {"suspect": [f"{TRACE} {SELECT}"], "mechanism": "timeout", "second": "latency"}
    answer = desk.send(FORM, FORM, **fields)
    assert answer.status_code == 422
    assert "expected one mechanism" in answer.text


def test_nobody_needs_no_mechanism(desk: DeskUnderTest) -> None:
    """The form asks for none, and the desk wants none."""
    assert 'name="mechanism"' not in desk.get(FORM).text
    assert "SOMEBODY" in desk.send(FORM, FORM, nobody="true").text


def test_the_echo_says_who_calls_whom_and_the_words_stand_in_their_order(
    desk: DeskUnderTest,
) -> None:
    """A name as *SELECT* alone names neither."""
    text = desk.get(FORM, params={"suspect": f"{TRACE} {SELECT}"}).text
    assert "auth calls users_db" in text
    places = [text.index(f"{n}. {each.value}<") for n, each in enumerate(Mechanism, start=1)]
    assert places == sorted(places)


def test_no_scope_is_chosen_for_anybody(desk: DeskUnderTest) -> None:
    """Here it does not count, and the form says so; a wrong one is told after."""
    shown = desk.get(FORM, params={"suspect": f"{TRACE} {SELECT}"}).text
    assert "checked" not in shown
    assert "In this case whom it hit does not count" in shown
    told = accuse(desk, SELECT, scope="some-times")
    assert 'it hit <b class="mono">all</b>, not <b class="mono">some-times</b>' in told


def test_where_the_scope_counts_the_form_says_so_and_wants_one(tmp_path: Path) -> None:
    case = sample_case()
    asked = replace(case, scenario=replace(case.scenario, scope_counts=True))
    desk = DeskUnderTest(tmp_path, asked)
    shown = desk.get(FORM, params={"suspect": f"{TRACE} {SELECT}"}).text
    assert "In this case whom it hit is part of the answer" in shown
    assert shown.count('name="scope"') == 4
    unsaid = desk.send(FORM, FORM, suspect=f"{TRACE} {SELECT}", mechanism="timeout")
    assert unsaid.status_code == 422
    assert "is part of the answer" in unsaid.text
    assert "SOLVED" in accuse(desk, SELECT, scope="all")
