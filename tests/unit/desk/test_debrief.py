"""Hints and debrief at the desk; and that an open case keeps its secrets on every page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lab.adapters.cases.recording_file import read_recording
from lab.domain.case import Case
from lab.domain.ledger import Ledger
from lab.domain.verdict import HINT_COST, POINTS
from lab.investigation.solving.debriefing import debriefing, harm_unix_s
from lab.investigation.solving.post_mortem import post_mortem
from lab.settings import CHECKOUT
from tests.support.desk_over_memory import DeskUnderTest
from tests.support.sample_case import sample_case, span_id
from tests.support.spoilers import secrets_of

TRACE = "01bb" * 8
CASE = "/cases/db-timeout-1"
RECORDINGS = sorted(CHECKOUT.glob("scenarios/*/recorded.case.zip"))


@pytest.fixture
def desk(tmp_path: Path) -> DeskUnderTest:
    return DeskUnderTest(tmp_path, sample_case(level=1))


def recorded(name: str) -> Case:
    return read_recording(CHECKOUT / "scenarios" / name / "recorded.case.zip")


def solve(desk: DeskUnderTest) -> None:
    answer = desk.send(
        f"{CASE}/accuse",
        f"{CASE}/accuse",
        suspect=f"{TRACE} {span_id(TRACE, 6)}",
        mechanism="timeout",
    )
    assert "SOLVED" in answer.text


def test_a_hint_is_read_after_its_price_was_said(desk: DeskUnderTest) -> None:
    """The page lists titles and costs; one click reads one, and the others stay closed."""
    hints = sample_case().scenario.hints
    before = desk.get(f"{CASE}/hints").text
    assert f"for {HINT_COST} points, due once you solve it" in before
    assert "The solution" in before
    shown = desk.send(f"{CASE}/hints", f"{CASE}/hints/1").text
    assert "The pager says where it hurts" in shown
    assert not any(hint[:30] in shown for hint in hints[1:])
    assert "would bring <b>90 points</b>" in shown


def test_hints_are_free_once_the_case_is_closed(desk: DeskUnderTest) -> None:
    """And cost none of the points it brought."""
    solve(desk)
    assert "all hints are free now" in desk.send(f"{CASE}/hints", f"{CASE}/hints/6").text
    assert desk.archive.cases()[0].points == POINTS


def test_the_worked_example_speaks_of_no_points(tmp_path: Path) -> None:
    """Its hints are free, and what solving it brings is not told as 0."""
    desk = DeskUnderTest(tmp_path, sample_case())
    for page in ("", "/hints", "/debrief"):
        assert not re.search(r"\b\d+ points", desk.get(f"{CASE}{page}").text), page
    assert "brings no points, and its hints cost none" in desk.get(f"{CASE}/hints").text
    assert "the worked example" in desk.get(CASE).text
    solve(desk)
    for page in ("", "/debrief"):
        shown = desk.get(f"{CASE}{page}").text
        assert "✔ solved" in shown
        assert not re.search(r"\b\d+ points", shown), page
    assert "Solved, as the worked example" in desk.get(f"{CASE}/post-mortem.md").text


def test_a_hint_that_is_not_there_is_refused(desk: DeskUnderTest) -> None:
    """With the numbers there are."""
    answer = desk.send(f"{CASE}/hints", f"{CASE}/hints/7")
    assert answer.status_code == 422
    assert "1 to 6" in answer.text


def test_the_debrief_opens_with_the_case(desk: DeskUnderTest) -> None:
    """Path, decoys, fault window, story, own way beside the shortest, and a file to keep."""
    assert "Not yet" in desk.get(f"{CASE}/debrief").text
    assert desk.get(f"{CASE}/post-mortem.md").status_code == 403
    desk.get(f"{CASE}/contrast")
    solve(desk)
    shown = desk.get(f"{CASE}/debrief").text
    for said in (
        "← this one",
        "Who looked guilty and was not",
        "What a real team fixes",
        "used contrast",
        "accused a span of timeout: solved",
        "go down 4 levels, to auth SELECT",
    ):
        assert said in shown
    kept = desk.get(f"{CASE}/post-mortem.md")
    assert kept.headers["content-type"].startswith("text/markdown")
    assert "attachment" in kept.headers["content-disposition"]
    assert "6. auth SELECT, 1.00s" in kept.text or "5. auth SELECT, 1.00s" in kept.text


def test_giving_up_opens_it_for_nothing(desk: DeskUnderTest) -> None:
    """All is told, no points are given, and the ledger says so."""
    shown = desk.send(f"{CASE}/debrief", f"{CASE}/give-up").text
    assert "given up" in shown
    assert "What did it" in shown
    assert desk.archive.cases()[0].points == 0


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.parent.name)
def test_every_case_has_a_whole_debriefing(path: Path) -> None:
    """Each names its culprit with the way down to it, or what clears everyone, and each decoy."""
    case = read_recording(path)
    found = debriefing(case, Ledger(), ())
    truth = case.scenario.truth
    if truth.is_nobody:
        assert len(found.evidence) == len(truth.nobody)
    else:
        assert len(found.culprits) == (2 if truth.accomplice else 1)
        assert found.path[-1] == found.culprits[0]
    assert all(each.witness is not None for each in found.decoys)
    text = post_mortem(case, Ledger(), found)
    assert truth.mechanism.value in text
    assert "What a real team fixes" in text


def test_harm_that_comes_and_goes_is_drawn_as_it_came() -> None:
    """From the switches the run wrote down; one stretch where there were none."""
    stretches = harm_unix_s(recorded("every-other-minute"))
    assert len(stretches) > 2
    assert all(2.5 < end - start < 3.5 for start, end in stretches)
    [(start, end)] = harm_unix_s(
        read_recording(CHECKOUT / "scenarios/db-timeout/recorded.case.zip")
    )
    assert 11 < end - start < 13
    assert harm_unix_s(read_recording(CHECKOUT / "scenarios/card-declined/recorded.case.zip")) == ()


# --- nothing secret before it is earned ---


def pages_of(case: Case) -> list[str]:
    """Every address of an open case that answers a GET."""
    room = f"/cases/{case.case_id}"
    trace = next(iter(case.evidence.traces))
    own = ["", "/traces", "/background", "/contrast", "/logs", "/accuse", "/hints", "/debrief"]
    return [
        *("/", "/accuse", "/api/v1/cases", "/api/v1/words", "/api/openapi.json", "/api/docs"),
        *(room + each for each in own),
        *(f"{room}/traces?kept=yes&group=status", f"{room}/traces/{trace}", f"{room}/map"),
        f"/api/v1{room}/traces/{trace}/waterfall",
        f"{room}/accuse?suspect={trace}",
        f"{room}/post-mortem.md",
        *(f"/api/v1{room}{each}" for each in ("", "/requests", "/logs", "/contrast", "/hints")),
        *(f"/api/v1{room}{each}" for each in ("/debrief", "/ledger", "/signals", "/background")),
        f"/api/v1{room}/traces/{trace}",
    ]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.parent.name)
def test_an_open_case_tells_no_answer_anywhere(tmp_path: Path, path: Path) -> None:
    """Pages and JSON alike: no truth, no edge, no mechanism beside the closed list, no hint."""
    case = read_recording(path)
    desk = DeskUnderTest(tmp_path, case)
    mechanism = case.scenario.truth.mechanism.value
    for address in pages_of(case):
        answer = desk.get(address)
        assert answer.status_code in {200, 403}, address
        text = answer.text
        for secret in secrets_of(case):
            assert secret not in text, f"{address} says {secret!r}"
            assert json.dumps(secret)[1:-1] not in text, f"{address} says {secret!r}"
        # The closed list names every mechanism, each as often as any other.
        if "accuse" in address or "openapi" in address or "words" in address:
            assert text.count(f'"{mechanism}"') <= 2
        elif "-" in mechanism:
            assert mechanism not in text.replace(case.case_id, ""), address


def test_the_check_above_does_reject(tmp_path: Path) -> None:
    """Of a case that was given up, the debrief says what it looks for."""
    desk = DeskUnderTest(tmp_path, sample_case())
    shown = desk.send(f"{CASE}/debrief", f"{CASE}/give-up").text
    assert any(secret in shown for secret in secrets_of(sample_case()))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("cold-rush", "As good an answer: `pool-exhaustion` of catalog pool.acquire"),
        ("charged-twice", "And `retry-amplification`, by a second one."),
    ],
)
def test_the_debrief_tells_every_answer_that_is_right(tmp_path: Path, name: str, says: str) -> None:
    """The second culprit's mechanism, and what would have solved the case as well."""
    case = recorded(name)
    desk = DeskUnderTest(tmp_path, case)
    desk.send(f"/cases/{case.case_id}/debrief", f"/cases/{case.case_id}/give-up")
    assert says in desk.get(f"/cases/{case.case_id}/post-mortem.md").text
    plain = says.replace("`", "").partition(" of ")[0].partition(",")[0]
    shown = re.sub(r"<[^>]+>", "", desk.get(f"/cases/{case.case_id}/debrief").text)
    assert plain in shown


def test_the_debrief_tells_what_else_is_accepted(tmp_path: Path) -> None:
    """Of db-timeout the attempt to connect beside the query, and any scope."""
    case = recorded("db-timeout")
    desk = DeskUnderTest(tmp_path, case)
    desk.send(f"/cases/{case.case_id}/debrief", f"/cases/{case.case_id}/give-up")
    shown = re.sub(r"<[^>]+>", "", desk.get(f"/cases/{case.case_id}/debrief").text)
    accepted = shown.partition("What else is accepted")[2].partition("The path")[0]
    assert re.search(r"auth (db\.connect|SELECT) .*and the like in \d+ traces?: timeout", accepted)
    assert "Any scope, or none" in accepted
    assert "Also accepted:" in desk.get(f"/cases/{case.case_id}/post-mortem.md").text
