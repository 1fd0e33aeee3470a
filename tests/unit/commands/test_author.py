"""What a case's author begins with: a folder that lints, and the schema."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from lab.cli import app
from lab.commands import author
from lab.commands.author import TEMPLATE
from lab.errors import LabError, ScenarioError
from lab.lint import text_problems
from lab.scenario_file import folders, json_schema, load, variants
from lab.settings import CHECKOUT


@pytest.fixture
def scenarios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of scenarios."""
    monkeypatch.setenv("LAB_SCENARIOS_DIR", str(tmp_path))
    return tmp_path


def test_a_new_case_reads_lints_and_has_all_a_case_needs(
    scenarios: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything in it is changed."""
    out = io.StringIO()
    monkeypatch.setattr(author, "console", Console(file=out))
    done = CliRunner().invoke(app, ["new", "my-case"])
    assert done.exit_code == 0, done.output
    assert "verify my-case" in out.getvalue()
    scenario = load(scenarios / "my-case")
    every = list(variants(scenario))
    assert len(every) > 1
    assert [problem for each in every for problem in text_problems(each)] == []
    assert scenario.decoys
    assert scenario.checks
    assert 4 <= len(scenario.hints) <= 6
    assert scenario.truth.mechanism.value in scenario.hints[-1]


@pytest.mark.parametrize("name", ["My-Case", "../elsewhere", "a/b", "_hidden", ""])
def test_a_name_that_is_none_makes_nothing(scenarios: Path, name: str) -> None:
    """It would become a path."""
    done = CliRunner().invoke(app, ["new", "--", name])
    assert isinstance(done.exception, ScenarioError)
    assert list(scenarios.parent.glob("elsewhere")) == list(scenarios.iterdir()) == []


def test_what_is_there_is_not_written_over(scenarios: Path) -> None:
    """Somebody's work of an afternoon stays."""
    (scenarios / "my-case").mkdir()
    done = CliRunner().invoke(app, ["new", "my-case"])
    assert isinstance(done.exception, LabError)
    assert list((scenarios / "my-case").iterdir()) == []


def test_the_template_is_no_case_of_its_own() -> None:
    """Nobody is to solve it."""
    assert TEMPLATE.is_dir()
    assert TEMPLATE not in folders(CHECKOUT / "scenarios")


def test_the_schema_can_be_printed() -> None:
    """Byte for byte as it is committed, so that it can be piped into the file."""
    done = CliRunner().invoke(app, ["schema"])
    assert done.output == json_schema()
    assert json.loads(done.output)["title"] == "Deadspan scenario"
