"""The desk for programs: a case is read, solved and understood by JSON alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.domain.ledger import DELAYS_S
from lab.domain.mechanism import Mechanism
from tests.support.desk_over_memory import DeskUnderTest
from tests.support.sample_case import sample_case, span_id

API = "/api/v1/cases/db-timeout-1"
TRACE = "01bb" * 8
GUILTY = {"suspects": [f"{TRACE} {span_id(TRACE, 6)}"], "mechanism": "timeout"}
WRONG = {"suspects": [f"00-{TRACE}-{span_id(TRACE, 2)}-01"], "mechanism": "timeout"}


@pytest.fixture
def desk(tmp_path: Path) -> DeskUnderTest:
    return DeskUnderTest(tmp_path, sample_case(level=1))


def test_a_case_is_solved_by_json_alone(desk: DeskUnderTest) -> None:
    """From the list of cases to the debrief, with a wrong answer and a hint on the way."""
    [listed] = desk.get("/api/v1/cases").json()
    assert (listed["case_id"], listed["solved"], listed["points"]) == ("db-timeout-1", False, None)
    front = desk.get(API).json()
    assert front["support_code"] == TRACE
    assert list(front["windows"]) == ["before", "incident", "after"]
    first = desk.get(f"{API}/requests?outcome=error&kept=yes&sort=latency&order=down").json()
    assert (first["total"], first["rows"][0]["status"]) == (10, 504)
    [resource] = desk.get(f"{API}/traces/{TRACE[:6]}").json()["resourceSpans"][:1]
    assert resource["scopeSpans"]
    assert desk.post(f"{API}/accusations", json=WRONG).json()["verdict"] == "messenger"
    assert desk.post(f"{API}/hints/1").json()["text"].startswith("The pager")
    assert desk.get(f"{API}/debrief").status_code == 403
    solved = desk.post(f"{API}/accusations", json=GUILTY).json()
    assert (solved["verdict"], solved["ledger"]["points"]) == ("solved", 90)
    told = desk.get(f"{API}/debrief").json()
    assert (told["mechanism"], told["culprits"]) == ("timeout", [[TRACE, span_id(TRACE, 6)]])
    assert len(told["path"]) == 5


def test_the_closed_lists_are_told_in_order(desk: DeskUnderTest) -> None:
    """Every mechanism with its sentence, in the order in which to ask."""
    words = desk.get("/api/v1/words").json()
    assert [each["word"] for each in words["mechanisms"]] == [each.value for each in Mechanism]
    assert all(each["definition"].endswith(".") for each in words["scopes"])


def test_who_guesses_is_told_when_to_come_back(desk: DeskUnderTest) -> None:
    """429 with the seconds, as HTTP says it."""
    for _ in range(2):
        desk.post(f"{API}/accusations", json=WRONG)
    early = desk.post(f"{API}/accusations", json=GUILTY)
    assert early.status_code == 429
    assert int(early.headers["retry-after"]) >= DELAYS_S[1]
    assert early.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        {"mechanism": "timeout"},
        {"suspects": [f"{TRACE} {span_id(TRACE, 6)}"]},
        {"mechanisms": ["timeout", "latency"], "suspects": [f"{TRACE} {span_id(TRACE, 6)}"]},
        {"mechanism": "gremlins", "nobody": True},
        {"mechanism": "timeout", "suspects": ["x"]},
        {"mechanism": "timeout", "suspects": [TRACE]},
        {"mechanism": "timeout", "suspects": [TRACE], "nobody": True},
        {"mechanism": "timeout", "suspects": [TRACE] * 3},
        {"mechanism": "timeout", "nobody": True, "scpoe": "all"},
    ],
)
def test_what_cannot_be_meant_is_refused_and_not_judged(
    desk: DeskUnderTest, body: dict[str, object]
) -> None:
    """As JSON, with what was expected; a misspelt key is no empty one."""
    answer = desk.post(f"{API}/accusations", json=body)
    assert answer.status_code == 422
    assert answer.json()["error"]
    assert desk.archive.records("db-timeout-1") == ()


def test_each_of_two_suspects_may_have_a_mechanism_of_its_own(desk: DeskUnderTest) -> None:
    """In their order; one alone is meant for both, and nobody needs none."""
    both = [f"{TRACE} {span_id(TRACE, 6)}", f"{TRACE} {span_id(TRACE, 2)}"]
    words = ["timeout", "latency"]
    answer = desk.post(f"{API}/accusations", json={"mechanisms": words, "suspects": both})
    assert answer.json()["verdict"] == "messenger"
    assert desk.archive.records("db-timeout-1")[-1]["mechanisms"] == words
    nobody = desk.post(f"{API}/accusations", json={"nobody": True})
    assert nobody.json()["verdict"] == "somebody"


@pytest.mark.parametrize("path", ["/api/v1/cases/moon-1", f"{API}/traces/123", "/api/v1/nothing"])
def test_what_is_not_there_is_said_as_json(desk: DeskUnderTest, path: str) -> None:
    """404 for a case or a call nobody knows, 422 for an id that means nothing."""
    answer = desk.get(path)
    assert answer.status_code in {404, 422}
    assert answer.json()["error"]


def test_a_page_of_another_site_accuses_nobody(desk: DeskUnderTest) -> None:
    """Neither with an origin of its own nor with a form that claims to be text."""
    foreign = {"origin": "http://shop.example.com"}
    assert desk.post(f"{API}/accusations", json=GUILTY, headers=foreign).status_code == 403
    plain = {"content-type": "text/plain"}
    answer = desk.post(f"{API}/accusations", content='{"nobody": true}', headers=plain)
    assert answer.status_code == 422
    assert desk.archive.records("db-timeout-1") == ()


def test_every_call_is_documented(desk: DeskUnderTest) -> None:
    """OpenAPI says what each does and answers; the page lists them all."""
    paths = desk.get("/api/openapi.json").json()["paths"]
    shown = desk.get("/api/docs").text
    assert len(paths) >= 14
    for path, methods in paths.items():
        assert path in shown
        for call in methods.values():
            assert call["description"]
