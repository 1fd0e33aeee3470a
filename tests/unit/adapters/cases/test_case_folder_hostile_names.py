"""Names that a user types lead nowhere else and are run by nobody."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab.adapters.cases import case_folder
from lab.cli import app
from lab.errors import LabError
from lab.settings import CHECKOUT
from tests.support.sample_case import sample_case

GIVEN = (
    "x; touch {}",
    "$(touch {})",
    "`touch {}`",
    "x' && touch {} && '",
    'x" && touch {} && "',
    "x\ntouch {}",
    "$(shell touch {})",
    "${{x:=$(touch {})}}",
    "| touch {}",
)
"""Spellings of a command; the braces stand for the file it would make."""

GUARDED = {
    ("scenario", "NAME"): "run -- {}",
    ("verify", "NAME"): "verify -- {}",
    ("scenario", "HOLD"): "run --hold {} --",
    ("scenario", "SEED"): "run --seed {} --",
    ("verify", "SEED"): "verify --seed {} --",
    ("verify", "TIER"): "verify --tier {} --",
    ("record", "NAME"): "record -- {}",
    ("record", "SEED"): "record --seed {} --",
    ("load", "USERS"): "load --users {}",
}
"""Each target of the Makefile with a variable of the user's, and what it makes of them."""


def make(target: str, *given: str, lab: str, **environment: str) -> tuple[str, str]:
    """Standard output and error of ``make TARGET GIVEN…`` with another command for ``lab``."""
    done = subprocess.run(
        # What is installed is another test's matter.
        ["make", target, *given, "INSTALLED=Makefile", f"LAB={lab}"],
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout, done.stderr


@pytest.mark.parametrize("spelled", GIVEN)
@pytest.mark.parametrize(("target", "variable"), GUARDED)
def test_make_hands_on_what_was_given_word_for_word(
    tmp_path: Path, target: str, variable: str, spelled: str
) -> None:
    """Neither make nor a shell expands anything in it."""
    given = spelled.format(tmp_path / "pwned")
    words, _ = make(target, f"{variable}={given}", lab="printf '[%s]'")
    wanted = [given if word == "{}" else word for word in GUARDED[target, variable].split()]
    assert words == "".join(f"[{word}]" for word in wanted)
    assert list(tmp_path.iterdir()) == []


def test_the_lab_refuses_such_a_name(tmp_path: Path) -> None:
    """A wrong name is a wrong command line, whatever it spells."""
    lab, pwned = f"{sys.executable} -m lab", tmp_path / "pwned"
    for target, given in (("scenario", "NAME"), ("verify", "NAME"), ("load", "USERS")):
        state = {"LAB_STATE_DIR": str(tmp_path / "state")}
        _, said = make(target, f"{given}=x; touch {pwned}", lab=lab, **state)
        assert "Error 64" in said, said
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A case and a scenario beside the state folder, where no name may lead."""
    monkeypatch.setenv("LAB_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("LAB_SCENARIOS_DIR", str(tmp_path / "scenarios"))
    shutil.copytree(CHECKOUT / "scenarios", tmp_path / "scenarios")
    for folder in (tmp_path / "state" / "cases", tmp_path / "elsewhere"):
        (folder / "db-timeout-1").mkdir(parents=True)
        case_folder.write_case(folder / "db-timeout-1", sample_case())
    # What the lab notes beside a case when it first reads it is there already.
    case_folder.read_case(tmp_path / "state" / "cases" / "db-timeout-1")
    shutil.copytree(CHECKOUT / "scenarios" / "db-timeout", tmp_path / "elsewhere" / "db-timeout")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("run", "../elsewhere/db-timeout"),
        ("run", "../../../../../../etc"),
        ("verify", "../elsewhere/db-timeout"),
        ("lint", "../elsewhere/db-timeout"),
        ("briefing", "../../elsewhere/db-timeout-1"),
        ("briefing", "{}/elsewhere/db-timeout-1"),
        ("traces", "../../elsewhere/db-timeout-1"),
        ("proof", "--reveal", "../../elsewhere/db-timeout-1"),
        ("debrief", "--reveal", "../../elsewhere/db-timeout-1"),
        ("journal", "../../elsewhere/db-timeout-1"),
        ("journal", "db-timeout-1/../../../elsewhere/db-timeout-1"),
        ("hint", "1", "--case", "../../elsewhere/db-timeout-1"),
        ("trace", "01bb", "--case", "../../elsewhere/db-timeout-1"),
        ("trace", "../../elsewhere/db-timeout-1/traces"),
        ("trace", "."),
        ("accuse", "../../elsewhere/db-timeout-1", "--nobody", "--mechanism", "timeout"),
    ],
)
def test_a_name_leads_nowhere_else(elsewhere: Path, words: tuple[str, ...]) -> None:
    """What lies outside is neither read nor written, though it is what the name says."""
    before = _tree(elsewhere)
    done = CliRunner().invoke(app, [word.format(elsewhere) for word in words])
    assert isinstance(done.exception, LabError), done.output
    assert done.exception.exit_code == 64
    assert done.stdout == ""
    assert _tree(elsewhere) == before


def test_the_same_names_without_a_path_are_read(elsewhere: Path) -> None:
    """It is the way that is refused above, not the case."""
    assert CliRunner().invoke(app, ["briefing", "db-timeout-1"]).exit_code == 0
    assert CliRunner().invoke(app, ["trace", "01bb", "--case", "db-timeout-1"]).exit_code == 0


def _tree(folder: Path) -> dict[str, float]:
    return {str(path): path.stat().st_mtime for path in folder.rglob("*")}
