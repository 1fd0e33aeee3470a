"""`lab bench`: what it refuses, and its table from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lab.cli import app
from lab.errors import UsageError


def lab(*words: str) -> Result:
    return CliRunner().invoke(app, ["bench", *words], env={"COLUMNS": "160"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["export"], "expected one folder to export to, got 0"),
        (["export", "a", "b"], "got 2"),
        (["export", "a", "--tasks", "b"], "expected no --tasks"),
        (["export", "a", "--case", "db-timeuot"], "did you mean db-timeout"),
        (["score", "a"], "expected --tasks DIR"),
        (["score", "a", "--tasks", "b", "--seed", "3"], "expected no --seed"),
        (["score", "--tasks", "/nowhere"], "found no tests/answer.json"),
    ],
)
def test_what_cannot_be_meant_is_refused(words: list[str], said: str, tmp_path: Path) -> None:
    """Before anything is written."""
    place = str(tmp_path / "a")
    done = lab(*(place if each == "a" else each for each in words))
    assert isinstance(done.exception, UsageError)
    assert said in str(done.exception)
    assert not Path(place).exists()


def test_a_folder_with_something_else_in_it_stays_as_it_is(tmp_path: Path) -> None:
    """A user's own files are never mixed with tasks."""
    (tmp_path / "public" / "mine").mkdir(parents=True)
    done = lab("export", str(tmp_path), "--case", "db-timeout")
    assert "expected" in str(done.exception)
    assert [each.name for each in (tmp_path / "public").iterdir()] == ["mine"]


def test_another_seed_is_a_split_to_hold_back_and_answers_are_scored(tmp_path: Path) -> None:
    """The table comes as Markdown and as JSON."""
    done = lab("export", str(tmp_path), "--case", "db-timeout", "--seed", "99")
    assert done.exit_code == 0, done.output
    split = tmp_path / "held-back"
    assert len(list(split.iterdir())) == 4
    answers = sorted(split.rglob("solution/accusation.json"))
    words = ["score", *map(str, answers), "--tasks", str(split), "--no-baselines"]
    assert "| the oracle | 1.00 (4) |" in lab(*words).stdout
    [row] = json.loads(lab(*words, "--json").stdout).values()
    assert row["solved"] == {"share": 1.0, "of": 4}
    assert len(row["each"]) == 4
    nothing = lab("score", "--tasks", str(split), "--no-baselines")
    assert "expected accusation files" in str(nothing.exception)
