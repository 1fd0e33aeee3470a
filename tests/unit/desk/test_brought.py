"""A stranger's traces at the desk: said to be healthy by a form, a drag or a program, and compared.

Every address of the desk is asked about an import, with and without a reference.
"""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Final

import pytest
from starlette.routing import Route

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.bring import Wish, bring_files
from lab.adapters.otlp.traces import write_traces
from lab.desk.app import ROUTERS
from lab.domain.trace import Trace
from lab.settings import CHECKOUT
from tests.support.desk_over_memory import DeskUnderTest
from tests.support.sample_case import START_S, fatal_trace, healthy_trace
from tests.support.trace_formats import EXAMPLES

CASE: Final = "/cases/imported-1"
TRACES: Final = (
    *(healthy_trace(f"{n:032x}", START_S + n) for n in range(1, 21)),
    *(fatal_trace(f"{n:032x}", START_S + n) for n in range(21, 31)),
)
"""A trace a second; after twenty healthy ones the database does not answer any more."""

WORST: Final = TRACES[-1]

REDIRECTED: Final = "/cases/{case_id}/traces"
NEED_A_TRUTH: Final = frozenset(
    each + name
    for each in ("/cases/{case_id}", "/api/v1/cases/{case_id}")
    for name in (
        *("/accuse", "/verdicts/{number}", "/hints", "/exhibits/{name}", "/debrief", "/background"),
        *("/post-mortem.md", "/ledger", "/requests", ""),
    )
    if each + name != "/cases/{case_id}"
)
COMPARE: Final = frozenset(
    each + name
    for each in ("/cases/{case_id}", "/api/v1/cases/{case_id}")
    for name in ("/contrast", "/traces/{trace_id}/twin")
)


def written(path: Path, *traces: Trace) -> Path:
    path.write_text(json.dumps(write_traces(traces)))
    return path


@pytest.fixture
def desk(tmp_path: Path) -> DeskUnderTest:
    """A desk over one import."""
    archive = FolderArchive(tmp_path / "cases")
    bring(archive, written(tmp_path / "mine.json", *TRACES))
    return DeskUnderTest(tmp_path, archive=archive)


def bring(archive: FolderArchive, path: Path) -> str:
    return bring_files(archive, [path], Wish(), lambda _what, _count: None).case_id


def say(desk: DeskUnderTest, **fields: str) -> str:
    """What the page says once its form was sent."""
    answer = desk.send(CASE, f"{CASE}/reference", **fields)
    assert answer.status_code == 200, answer.text
    return html.unescape(answer.text)


def addresses() -> list[str]:
    found = [
        route.path
        for router in ROUTERS
        for route in router.routes
        if isinstance(route, Route) and "GET" in (route.methods or ()) and "{case" in route.path
    ]
    assert len(found) > 25
    return found


def asked(desk: DeskUnderTest, address: str) -> tuple[int, str]:
    span_id = WORST.spans[0].span_id
    values = {"case_id": "imported-1", "trace_id": WORST.trace_id, "span_id": span_id}
    answer = desk.get(address.format(**values, number=1, name="x"))
    return answer.status_code, html.unescape(answer.text)


def test_every_address_answers_of_an_import_without_a_reference(desk: DeskUnderTest) -> None:
    """Or says in a sentence what is missing, and where to go; none is a bare 404."""
    for address in addresses():
        status, text = asked(desk, address)
        is_page = not address.startswith("/api")
        refused = address in NEED_A_TRUTH or (address in COMPARE and not is_page)
        assert status == (409 if refused else 200), (address, text)
        if address in NEED_A_TRUTH:
            assert "nobody knows the truth of them" in text, address
        if address in COMPARE:
            assert "no reference has been chosen" in text.lower(), address
            assert not is_page or f'href="{CASE}#reference"' in text, address
        if refused and is_page:
            assert f'href="{CASE}"' in text, address


def test_every_address_answers_of_an_import_with_a_reference(desk: DeskUnderTest) -> None:
    say(desk, from_s="0s", to_s="20s")
    for address in addresses():
        status, text = asked(desk, address)
        assert status == (409 if address in NEED_A_TRUTH else 200), (address, text)
        assert "no reference has been chosen" not in text.lower(), address


def test_without_a_reference_nothing_is_new_or_sealed(desk: DeskUnderTest) -> None:
    """Nor is a trace of a load, which there was none of; each page says what to do."""
    for address in (CASE, f"{CASE}/map", f"{CASE}/traces/{WORST.trace_id}", f"{CASE}/detective"):
        text = re.sub(r"<details.*?</details>", "", desk.get(address).text, flags=re.DOTALL)
        assert "o reference has been chosen" in text
        assert not re.search(r"\+ new|sealed|of the load|>incident<", text), address
        assert 'href="/cases/imported-1/accuse' not in text, address
    rows = desk.get(f"/api/v1{CASE}/traces/{WORST.trace_id}/waterfall").json()["rows"]
    assert not any(row.get("isNew") or row.get("times") for row in rows)


def test_two_fields_say_when_it_was_healthy(desk: DeskUnderTest) -> None:
    """And from then on every page compares with it."""
    assert "When was it healthy?" in desk.get(CASE).text
    shown = say(desk, from_s="0s", to_s="20s")
    assert "20 traces. All others are compared with them" in shown
    assert "incident" in shown
    worst = desk.get(f"{CASE}/traces/{WORST.trace_id}").text
    assert "sealed" in worst
    rows = desk.get(f"/api/v1{CASE}/traces/{WORST.trace_id}/waterfall").json()["rows"]
    assert max(row.get("times", 0) for row in rows) > 100
    assert "a healthy one" in desk.get(f"{CASE}/traces/{WORST.trace_id}/twin").text
    assert "users_db" in desk.get(f"{CASE}/contrast").text
    assert "failing" in desk.get(f"{CASE}/map").text
    assert "SELECT" in desk.get(f"{CASE}/detective").text


def test_it_is_changed_and_taken_away_again(desk: DeskUnderTest) -> None:
    assert "20 traces" in say(desk, from_s="", to_s="20s")
    assert "5 traces" in say(desk, from_s="2", to_s="7")
    assert "When was it healthy?" in say(desk, none="true")


def test_other_traces_may_be_what_was_healthy(desk: DeskUnderTest, tmp_path: Path) -> None:
    """Of those that are imported; the twin may then be one of theirs, and can be opened."""
    calm = (healthy_trace(f"{n:032x}", START_S - 900 + n) for n in range(101, 121))
    other = bring(FolderArchive(tmp_path / "cases"), written(tmp_path / "calm.json", *calm))
    assert f"<option>{other}</option>" in desk.get(CASE).text
    assert "the traces of the file calm.json: 20 traces" in say(desk, compare=other)
    twin = desk.get(f"/api/v1{CASE}/traces/{WORST.trace_id}/twin").json()["healthy_trace_id"]
    assert desk.get(f"{CASE}/traces/{twin}").status_code == 200
    assert "30 of 30 traces" in desk.get(CASE).text


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "got neither"),
        ({"from_s": "0", "to_s": "20", "none": "true"}, "got neither"),
        ({"from_s": "soon", "to_s": ""}, "which is 0s..29.000s"),
        ({"from_s": "0", "to_s": "99"}, "all of them begin there"),
        ({"compare": "imported-1"}, "every trace of the case among them"),
        ({"compare": "nobody-9"}, "expected a case"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    desk: DeskUnderTest, fields: dict[str, str], why: str
) -> None:
    answer = desk.send(CASE, f"{CASE}/reference", **fields)
    assert answer.status_code in {404, 422}
    assert why in html.unescape(answer.text)
    assert desk.get(f"/api/v1{CASE}/reference").json() == {"healthy": None, "healthy_traces": 0}


def test_a_form_of_another_site_says_nothing(desk: DeskUnderTest) -> None:
    """It has no token; and a program of another site is refused by its origin."""
    answer = desk.post(f"{CASE}/reference", data={"from_s": "0", "to_s": "20"})
    assert answer.status_code == 403
    foreign = {"origin": "http://elsewhere.example"}
    assert desk.put(f"/api/v1{CASE}/reference", json={}, headers=foreign).status_code == 403
    assert desk.get(f"/api/v1{CASE}/reference").json()["healthy"] is None


def test_a_program_says_it_too(desk: DeskUnderTest) -> None:
    """By PUT, one or the other, or neither."""
    at = f"/api/v1{CASE}/reference"
    assert desk.put(at, json={"before": "0s..20s"}).json()["healthy_traces"] == 20
    assert len(desk.get(f"/api/v1{CASE}/signals").json()["windows"]) == 2
    assert desk.put(at, json={"before": "0s..20s", "compare": "x"}).status_code == 422
    assert desk.put(at, json={"since": "0s"}).status_code == 422
    assert desk.put(at, json={}).json() == {"healthy": None, "healthy_traces": 0}
    assert desk.get(f"/api/v1{CASE}/signals").json()["windows"] == []


def test_a_case_has_a_reference_of_its_own(tmp_path: Path) -> None:
    from tests.support.sample_case import sample_case

    desk = DeskUnderTest(tmp_path, sample_case())
    answer = desk.put("/api/v1/cases/db-timeout-1/reference", json={"before": "0s..1s"})
    assert answer.status_code == 422
    assert "a reference of its own" in answer.json()["error"]


def test_events_of_spans_are_its_log(desk: DeskUnderTest) -> None:
    """Each with its span; without a reference none is of a window."""
    shown = desk.get(f"{CASE}/logs?severity=ERROR").text
    assert "10 lines: what the spans of its traces have as events" in shown
    assert "TimeoutError" in shown
    lines = desk.get(f"/api/v1{CASE}/logs").json()
    assert {each["window"] for each in lines} == {None}
    assert lines[0]["span_id"]


def test_the_page_stays_small_whatever_there_is(desk: DeskUnderTest, tmp_path: Path) -> None:
    """Its charts have few columns, so that they and a hundred traces stay below 100 kB."""
    many = (healthy_trace(f"{n:032x}", START_S + 17 * n) for n in range(1, 501))
    case_id = bring(FolderArchive(tmp_path / "cases"), written(tmp_path / "many.json", *many))
    answer = desk.get(f"/cases/{case_id}")
    assert answer.status_code == 200
    assert len(answer.content) < 100_000
    buckets = desk.get(f"/api/v1/cases/{case_id}/signals").json()["buckets"]
    assert 10 < len(buckets) <= 31
    assert sum(each["requests"] for each in buckets) == 500


def test_dragging_fills_the_fields_of_the_form() -> None:
    """The charts name the form, and the form the fields that the script fills."""
    template = (CHECKOUT / "lab/desk/templates/reference.html").read_text()
    script = (CHECKOUT / "lab/desk/static/stretch.js").read_text()
    assert 'data-stretch="healthy"' in template
    assert 'id="healthy"' in template
    for field in ("from_s", "to_s"):
        assert f'name="{field}"' in template
        assert f'"{field}"' in script


@pytest.mark.parametrize(
    "path",
    [each for each in sorted(EXAMPLES.iterdir()) if each.name != "otlp-no-spans.json"],
    ids=lambda path: path.name,
)
def test_whatever_a_trace_lacks_its_pages_are_shown(path: Path, tmp_path: Path) -> None:
    """Without a start, an end, a root, or more than one trace."""
    archive = FolderArchive(tmp_path / "cases")
    bring(archive, path)
    desk = DeskUnderTest(tmp_path, archive=archive)
    for address in (CASE, f"{CASE}/map", f"{CASE}/logs", f"{CASE}/detective"):
        assert desk.get(address).status_code == 200, address
    assert desk.get(f"/api/v1{CASE}/signals").status_code == 200
    assert desk.send(CASE, f"{CASE}/reference", from_s="0s", to_s="1h").status_code == 422
