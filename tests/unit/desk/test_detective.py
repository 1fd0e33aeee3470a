"""How a method would have found it: for whoever has closed the case, and for strangers' traces."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.desk import detective
from tests.support.desk_over_memory import DeskUnderTest
from tests.support.recorded_cases import recorded

CASE = "/cases/slow-shelves-1"


@pytest.fixture
def desk(tmp_path: Path) -> DeskUnderTest:
    return DeskUnderTest(tmp_path, recorded("slow-shelves"))


def test_an_open_case_keeps_it_to_itself(desk: DeskUnderTest) -> None:
    """The page is refused, and names nobody."""
    answer = desk.get(f"{CASE}/{detective.__name__.rpartition('.')[2]}")
    assert answer.status_code == 403
    assert "SELECT" not in answer.text


def test_a_closed_one_shows_it_beside_the_learners_way(desk: DeskUnderTest) -> None:
    """The debrief links to it, and each suspect to its spans."""
    desk.send(f"{CASE}/debrief", f"{CASE}/give-up")
    assert f'href="{CASE}/detective"' in desk.get(f"{CASE}/debrief").text
    shown = desk.get(f"{CASE}/detective").text
    assert "catalog SELECT (catalog_db), latency" in shown
    assert f'href="{CASE}/traces/' in shown
