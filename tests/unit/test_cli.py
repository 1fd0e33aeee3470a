"""The command line: what it says, and what its exit codes mean."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab.commands.common import seconds
from lab.errors import LabError, UsageError
from lab.settings import CHECKOUT


def lab(state_dir: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", *words],
        env={"LAB_STATE_DIR": str(state_dir), "PATH": "/usr/bin:/bin", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        check=False,
    )


def test_help_shows_examples_and_every_command(tmp_path: Path) -> None:
    """A newcomer sees what to type."""
    shown = lab(tmp_path, "--help").stdout
    for word in ("Examples", "lab run db-timeout", "accuse", "doctor", "heal", "verify"):
        assert word in shown


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("frob",), "No such command"),
        (("run", "db-timeou"), "did you mean db-timeout?"),
        (("run", "db-timeout", "--hold", "10x"), "90s or 10m"),
        (("accuse",), "--mechanism WORD"),
        (("accuse", "--mechanism", "gremlins"), "gremlins"),
        (("traces", "--limit", "x"), "--limit"),
        (("cases", "--frob"), "--frob"),
    ],
)
def test_a_wrong_command_line_exits_with_64_and_says_why(
    tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    """What cannot mean anything changes nothing and names the way out."""
    done = lab(tmp_path, *words)
    assert done.returncode == 64, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", ["traces", "proof", "briefing", "debrief", "journal"])
def test_without_a_case_the_way_to_one_is_shown(tmp_path: Path, command: str) -> None:
    """Reading commands need a case folder, and say how to get one."""
    done = lab(tmp_path, command)
    assert done.returncode == 64
    assert "lab run" in done.stderr


def test_no_cases_are_an_empty_list_for_programs(tmp_path: Path) -> None:
    """`--json` answers with JSON, whatever there is."""
    assert json.loads(lab(tmp_path, "cases", "--json").stdout) == []


def test_a_broken_scenario_lists_all_its_problems(tmp_path: Path) -> None:
    """Every problem at once, each with file and line."""
    folder = tmp_path / "scenarios" / "broken"
    folder.mkdir(parents=True)
    text = (CHECKOUT / "scenarios" / "db-timeout" / "scenario.yaml").read_text()
    text = text.replace("auth-users_db", "auth-user_db").replace("difficulty: 1", "difficulty: 9")
    (folder / "scenario.yaml").write_text(text)
    for name in ("briefing.md", "debrief.md"):
        (folder / name).write_text((CHECKOUT / "scenarios" / "db-timeout" / name).read_text())
    done = subprocess.run(
        [sys.executable, "-m", "lab", "run", "broken"],
        env={"LAB_STATE_DIR": str(tmp_path), "LAB_SCENARIOS_DIR": str(folder.parent)},
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        check=False,
    )
    assert done.returncode == 64
    assert "scenario.yaml:3 difficulty" in done.stderr
    assert "auth-users_db" in done.stderr, "a near name is suggested"


@pytest.mark.parametrize(("text", "meant"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400)])
def test_lengths_of_time(text: str, meant: float) -> None:
    """Seconds, minutes and hours are understood."""
    assert seconds(text) == meant


@pytest.mark.parametrize("text", ["", "m", "-5s", "0", "25h", "ten", "nan", "inf"])
def test_lengths_that_mean_nothing(text: str) -> None:
    """Nothing that is not between zero and a day."""
    with pytest.raises(UsageError, match="10m"):
        seconds(text)


def test_every_error_has_an_exit_code_that_says_something() -> None:
    """No error of ours exits with 0 or with 1, which mean proven and refuted."""

    def family(kind: type[LabError]) -> list[type[LabError]]:
        return [kind, *(each for child in kind.__subclasses__() for each in family(child))]

    assert {kind.exit_code for kind in family(LabError)} == {2, 64}
