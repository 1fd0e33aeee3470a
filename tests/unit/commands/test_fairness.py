"""`lab lint --fair`: who else explains a recorded case, and who finds it by a naive look."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lab.cli import app
from lab.commands import fairness
from lab.commands.fairness import Difficulty, difficulty
from lab.detective.floors import NAIVE
from lab.detective.incident import incident_of
from tests.support.recorded_cases import RECORDINGS, recorded


def lint(state: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["lint", *words], env={"LAB_STATE_DIR": str(state)})


def test_no_recorded_case_has_a_rival_without_a_reason(tmp_path: Path) -> None:
    """Each of all cases, through the command."""
    done = lint(tmp_path, "--fair", "--json")
    told = json.loads(done.stdout)
    assert done.exit_code == 0, told["problems"]
    assert {each["scenario_id"] for each in told["difficulty"]} == {
        name for name in RECORDINGS if not recorded(name).scenario.truth.is_nobody
    }


def test_a_rival_without_a_reason_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where whoever explains a tenth would be as good: a caller that waits longer, too."""
    monkeypatch.setattr(fairness, "AS_MUCH", 0.0)
    done = lint(tmp_path, "slow-shelves", "--fair")
    assert done.exit_code == 1
    assert "scenarios/slow-shelves/scenario.yaml decoys: rival: expected an answer that is" in (
        done.stdout
    )


def test_only_who_asks_for_it_waits_for_the_detective(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make lint` does not."""
    monkeypatch.setattr(fairness, "AS_MUCH", 0.0)
    assert lint(tmp_path, "slow-shelves").exit_code == 0


@pytest.mark.parametrize(
    ("level", "found_by", "expected"),
    [
        (2, tuple(NAIVE), None),
        (3, tuple(NAIVE), "every naive method finds who did it: easy for level 3"),
        (5, tuple(NAIVE)[:1], None),
        (1, (), "no naive method finds who did it from the kept evidence"),
    ],
)
def test_a_case_is_as_hard_as_its_level(
    level: int, found_by: tuple[str, ...], expected: str | None
) -> None:
    """A remark, and no problem: only a person can say what a case is to teach."""
    assert Difficulty("x", level, found_by).remark == expected


def test_of_a_case_of_nobodys_nothing_is_said() -> None:
    """No naive method says that nobody did it."""
    innocent = recorded("card-declined")
    assert difficulty(innocent, incident_of(innocent.evidence)) is None
