"""A task file asked about: the accusation is written with what it cost, and not judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.bench.grading import check
from lab.mcp.exam import ExamRoom
from lab.mcp.rooms import dossier_of
from tests.support.agents import refused, told
from tests.support.sample_case import sample_case, span_id

TRACE = "01bb" * 8
CULPRIT = {"trace_id": TRACE, "span_id": span_id(TRACE, 6)}


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "out" / "accusation.json"


def test_an_accusation_is_kept_with_its_cost(target: Path) -> None:
    """The last one counts; calls and bytes are those until then."""
    room = ExamRoom(dossier_of(sample_case()), target, "a test")
    told(room, "read_briefing")
    claim = {
        "spans": [CULPRIT],
        "mechanisms": ["timeout"],
        "scope": "all",
        "path": [CULPRIT],
        "evidence": [{**CULPRIT, "shows": {"status": "error"}}],
    }
    assert told(room, "accuse", nobody=True)["written"] is True
    assert "solved" not in told(room, "accuse", **claim)
    found = check(json.loads(target.read_text()))
    assert (found["who"], found["task"], found["nobody"]) == ("a test", "case-9f71fb91", False)
    assert (found["spans"], found["mechanisms"]) == ([[TRACE, span_id(TRACE, 6)]], ["timeout"])
    assert (found["path"], found["calls"]) == (found["spans"], 3)
    assert found["evidence"][0]["shows"] == {"status": "error"}
    assert found["bytes_read"] > 1000
    assert found["seconds"] > 0


def test_there_is_no_hint_no_store_and_no_other_case(target: Path) -> None:
    """An examination is one task alone."""
    room = ExamRoom(dossier_of(sample_case()), target)
    assert told(room, "take_hint")["hints"] == []
    assert told(room, "list_cases")["cases"] == [
        {"case_id": "case-9f71fb91", "title": "The clock stops at checkout"}
    ]
    assert "expected case-9f71fb91" in refused(room, "read_briefing", case_id="another")
    assert "one pair of braces" in refused(room, "search_tempo_traces", query="{} >> {}")


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With what to do about it."""
    (tmp_path / "file").write_text("")
    room = ExamRoom(dossier_of(sample_case()), tmp_path / "file" / "accusation.json")
    assert "say another file with --accusation" in refused(room, "accuse", nobody=True)


@pytest.mark.parametrize(
    ("claim", "place"),
    [
        ({"spans": [{**CULPRIT, "span_id": 6}]}, "spans[0].span_id"),
        ({"spans": [CULPRIT], "path": [{**CULPRIT, "trace_id": None}]}, "path[0].trace_id"),
        ({"spans": [CULPRIT], "evidence": [{**CULPRIT, "shows": "an error"}]}, "evidence[0].shows"),
        ({"spans": [CULPRIT], "mechanisms": [["timeout"]]}, "mechanisms[0]"),
    ],
)
def test_no_accusation_is_written_that_grading_would_reject(
    target: Path, claim: dict[str, Any], place: str
) -> None:
    """The agent is told while it can still mend it."""
    room = ExamRoom(dossier_of(sample_case()), target)
    said = refused(room, "accuse", **{"mechanisms": ["timeout"], **claim})
    assert f"{place}: expected " in said
    assert not target.exists()
