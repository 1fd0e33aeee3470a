"""The table of proofs: read back as written, marked by what changed, and gone on with."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lab.adapters.cases.verify_log import (
    BESIDE,
    UNCOMMITTED_S,
    GitHistory,
    VerifyTable,
    changes_of,
    read_rows,
    write_rows,
)
from lab.domain.proof import ProofVerdict
from lab.domain.twin import CULPRIT_TWIN
from lab.errors import UsageError
from lab.investigation.running.verify import Changes, Row, Trial, still_missing
from tests.support.evidence import DB_TIMEOUT, SLOW_SHELVES
from tests.unit.investigation.running.test_verify import proven

ROW = Row("db-timeout", 1000, "abc1234", ProofVerdict.PROVEN, "99%", "98%", "all hold", 43)
IMPORTED_BY_A_RUN = """
import asyncio, sys
from lab import bootstrap
from lab.commands import run
from lab.investigation.running import retry, run_case
from lab.settings import Settings

async def main():
    async with bootstrap.lab(Settings()):
        print(*sys.modules)

asyncio.run(main())
"""
UNCHANGED = Changes({"db-timeout": 0, "slow-shelves": 0}, 0, 0)


def git(root: Path, *words: str) -> None:
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    subprocess.run(["git", "-C", str(root), *who, *words], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A history with one case, committed."""
    folder = tmp_path / "scenarios" / "db-timeout"
    folder.mkdir(parents=True)
    for name in ("scenario.yaml", "briefing.md", "debrief.md"):
        (folder / name).write_text("x\n")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_rows_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    """In the order of runs and times; a bar in a text ends no cell."""
    rows = (ROW, replace(ROW, at_unix_s=500, worst="a|b"), Row.of(proven(), "abc1234+"))
    write_rows(tmp_path / "verify.md", rows, UNCHANGED)
    read = read_rows(tmp_path / "verify.md")
    assert read == (replace(rows[1], worst="a/b"), rows[0], rows[2])
    assert [path.name for path in tmp_path.iterdir()] == ["verify.md"]


def test_without_a_table_there_are_no_rows(tmp_path: Path) -> None:
    """The first sitting begins with nothing."""
    assert read_rows(tmp_path / "verify.md") == ()


@pytest.mark.parametrize("spoiled", ["| db-timeout | x |", "| a | yesterday | c | proven ||||1||"])
def test_a_row_that_cannot_be_read_is_named(tmp_path: Path, spoiled: str) -> None:
    """With its line; it would otherwise be lost at the next writing."""
    path = tmp_path / "verify.md"
    write_rows(path, (ROW,), UNCHANGED)
    path.write_text(f"{path.read_text()}{spoiled}\n")
    lines = len(path.read_text().splitlines())
    with pytest.raises(UsageError, match=f"verify.md:{lines}: expected a row"):
        read_rows(path)


def test_rows_say_what_has_changed_since(tmp_path: Path) -> None:
    """The case, the shop, the proof: whatever is newer than the row."""
    write_rows(tmp_path / "verify.md", (ROW,), Changes({"db-timeout": 2000}, 10, UNCOMMITTED_S))
    assert "| case, proof |" in (tmp_path / "verify.md").read_text()
    assert Changes({}, 0, 0).since(ROW) == ("case",), "a case that is gone"


def test_what_is_proven_often_enough_is_not_run_again() -> None:
    """Refuted rows count for nothing, nor do those older than the case, nor a twin's."""
    trials = (Trial(DB_TIMEOUT), Trial(SLOW_SHELVES), Trial(DB_TIMEOUT, CULPRIT_TWIN))
    rows = (
        *[ROW] * 2,
        replace(ROW, verdict=ProofVerdict.REFUTED),
        *[replace(ROW, run="slow-shelves")] * 3,
    )
    missing = still_missing(trials, rows, UNCHANGED, wanted=3)
    twin = trials[2].name
    assert [each.name for each in missing] == ["db-timeout", twin, twin, twin]
    changed = replace(UNCHANGED, cases={"db-timeout": 2000, "slow-shelves": 0})
    missing = still_missing(trials[:2], rows, changed, wanted=3)
    assert [each.name for each in missing] == ["db-timeout"] * 3


def test_git_tells_when_a_case_changed(checkout: Path) -> None:
    """The last commit's time; what is not committed is newer than anything."""
    history = GitHistory(checkout)
    changes = changes_of(history, ["db-timeout"])
    assert 0 < changes.cases["db-timeout"] < UNCOMMITTED_S
    assert changes.shop == 0
    (checkout / "scenarios/db-timeout/recorded.case.zip").write_text("no file of the case's own")
    assert changes_of(history, ["db-timeout"]) == changes
    (checkout / "scenarios/db-timeout/scenario.yaml").write_text("y\n")
    assert changes_of(history, ["db-timeout"]).cases["db-timeout"] == UNCOMMITTED_S


def test_an_adapter_that_no_run_touches_changes_no_proof(checkout: Path) -> None:
    """And any other does."""
    adapters = checkout / "lab" / "adapters"
    adapters.mkdir(parents=True)
    for name in BESIDE:
        path = adapters / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text("x\n")
    assert changes_of(GitHistory(checkout), []).proof == 0
    (adapters / "tempo.py").write_text("x\n")
    assert changes_of(GitHistory(checkout), []).proof == UNCOMMITTED_S


def test_what_no_run_touches_is_imported_by_none(tmp_path: Path) -> None:
    """In a process that has all that `lab run` has."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED_BY_A_RUN],
        env={"LAB_STATE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    modules = set(done.stdout.split())
    assert "lab.adapters.tempo" in modules
    assert not modules & {f"lab.adapters.{name.replace('/', '.')}" for name in BESIDE}


def test_a_commit_with_changes_of_its_own_is_marked(checkout: Path) -> None:
    """But for the table itself, which every run changes."""
    history = GitHistory(checkout)
    (checkout / "scenarios/db-timeout/debrief.md").write_text("y\n")
    clean = history.commit(apart_from="scenarios/db-timeout/debrief.md")
    assert len(clean) >= 7
    assert history.commit(apart_from="bench/verify.md") == f"{clean}+"


def test_what_is_no_checkout_has_no_history(tmp_path: Path) -> None:
    """A copy without git is proven as well as any."""
    history = GitHistory(tmp_path / "nowhere")
    assert history.commit(apart_from="x") == "unknown"
    assert history.changed_at_s(["x"]) == 0


def test_a_table_goes_on_where_it_stopped(checkout: Path) -> None:
    """Each row is on disk at once, and the next sitting asks for the rest only."""
    (checkout / "bench").mkdir()
    todo = (Trial(DB_TIMEOUT),)
    first = VerifyTable(checkout, ["db-timeout"])
    late = replace(proven(), case=replace(proven().case, opened_unix_s=4e9))
    first.add(late)
    again = VerifyTable(checkout, ["db-timeout"])
    assert len(again.missing(todo, wanted=3)) == 2
    again.add(late)
    again.add(late)
    assert VerifyTable(checkout, ["db-timeout"]).missing(todo, wanted=3) == ()
