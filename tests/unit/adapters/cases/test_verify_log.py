"""The table of proofs: read back as written, marked by what changed, and gone on with."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lab.adapters.cases.verify_log import (
    BESIDE,
    KEEPING,
    VerifyTable,
    bases_of,
    commit_of,
    read_rows,
    write_rows,
)
from lab.domain.proof import ProofVerdict
from lab.domain.twin import CULPRIT_TWIN
from lab.errors import UsageError
from lab.investigation.running.verify import Basis, Row, Trial, still_missing
from tests.support.evidence import DB_TIMEOUT, SLOW_SHELVES
from tests.unit.investigation.running.test_verify import proven

BASIS = Basis("c1", "s1", "p1")
ROW = Row("db-timeout", 1000, "abc1234", BASIS, ProofVerdict.PROVEN, "99%", "98%", "all hold", 43)
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
UNCHANGED = {"db-timeout": BASIS, "slow-shelves": BASIS}


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
    rows = (
        ROW,
        replace(ROW, at_unix_s=500, worst="a|b"),
        Row.of(proven(), "abc1234+", Basis("c1", "", "p1")),
    )
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
    """The case, the shop, the proof: whatever says something else now, or was never known."""
    write_rows(tmp_path / "verify.md", (ROW,), {"db-timeout": Basis("c2", "s1", "p2")})
    assert "| case, proof |" in (tmp_path / "verify.md").read_text()
    assert ROW.changed_since({}) == ("case", "shop", "proof"), "a case that is gone"
    nobody_knows = Basis("c1", "", "p1")
    row = replace(ROW, basis=nobody_knows)
    assert row.changed_since({"db-timeout": nobody_knows}) == ("shop",)


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
    changed = {**UNCHANGED, "db-timeout": replace(BASIS, case="c2")}
    missing = still_missing(trials[:2], rows, changed, wanted=3)
    assert [each.name for each in missing] == ["db-timeout"] * 3


def test_a_case_is_its_own_files(checkout: Path) -> None:
    """Its recording is none of them."""
    before = bases_of(checkout, ["db-timeout"])
    folder = checkout / "scenarios" / "db-timeout"
    (folder / "recorded.case.zip").write_text("no file of the case's own")
    assert bases_of(checkout, ["db-timeout"]) == before
    (folder / "scenario.yaml").write_text("y\n")
    after = bases_of(checkout, ["db-timeout"])["db-timeout"]
    assert after == replace(before["db-timeout"], case=after.case) != before["db-timeout"]


MODULE = '"""Says what it is for."""\nimport os\nfrom lab import ports\n\nLIMIT = 3\n'


@pytest.mark.parametrize(
    ("name", "text", "same"),
    [
        ("lab/domain/deeper/b.py", MODULE, True),
        (
            "lab/domain/a.py",
            MODULE.replace("from lab import ports", "from lab.ports import x"),
            True,
        ),
        ("lab/domain/a.py", MODULE.replace("LIMIT", "# why\nLIMIT"), True),
        ("lab/domain/a.py", MODULE.replace("Says", "Tells"), True),
        ("lab/domain/a.py", MODULE.replace("3", "4"), False),
        ("lab/domain/a.py", MODULE + "MORE = 1\n", False),
        ("lab/elsewhere/a.py", MODULE, False),
    ],
    ids=["moved", "imports", "comment", "docstring", "value", "statement", "out of the rooms"],
)
def test_a_proof_is_as_old_as_what_its_files_say(
    checkout: Path, name: str, text: str, same: bool
) -> None:
    """A file that only moved makes no proof older, nor do its imports; a number does."""
    old = checkout / "lab" / "domain" / "a.py"
    old.parent.mkdir(parents=True)
    old.write_text(MODULE)
    before = bases_of(checkout, ["db-timeout"])
    old.unlink()
    new = checkout / name
    new.parent.mkdir(parents=True, exist_ok=True)
    new.write_text(text)
    assert (bases_of(checkout, ["db-timeout"]) == before) is same


def test_two_files_joined_say_what_each_said(checkout: Path) -> None:
    """In whatever order."""
    room = checkout / "lab" / "warden"
    room.mkdir(parents=True)
    (room / "a.py").write_text("A = 1\n")
    (room / "b.py").write_text("import os\nB = 2\n")
    before = bases_of(checkout, ["db-timeout"])
    (room / "b.py").write_text("import os\nB = 2\nA = 1\n")
    (room / "a.py").unlink()
    assert bases_of(checkout, ["db-timeout"]) == before


def test_an_adapter_that_no_run_touches_changes_no_proof(checkout: Path) -> None:
    """And any other does; so does none that keeps, reads or grades what was proven."""
    before = bases_of(checkout, ["db-timeout"])
    for name in (*BESIDE, KEEPING, "lab/investigation/reading", "lab/investigation/solving"):
        path = checkout / name if name.endswith(".py") else checkout / name / "a.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("X = 1\n")
    assert bases_of(checkout, ["db-timeout"]) == before
    (checkout / "lab/adapters/tempo.py").write_text("X = 1\n")
    assert bases_of(checkout, ["db-timeout"]) != before


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
    untouched = (*BESIDE, "lab/investigation/reading", "lab/investigation/solving")
    assert not modules & {name.removesuffix(".py").replace("/", ".") for name in untouched}


def test_a_commit_with_changes_of_its_own_is_marked(checkout: Path) -> None:
    """But for the table itself, which every run changes."""
    table = checkout / "bench" / "verify.md"
    table.parent.mkdir()
    table.write_text("x\n")
    git(checkout, "add", "-A")
    git(checkout, "commit", "-q", "-m", "second")
    table.write_text("y\n")
    clean = commit_of(checkout)
    assert re.fullmatch("[0-9a-f]{7,}", clean)
    (checkout / "scenarios/db-timeout/debrief.md").write_text("y\n")
    assert commit_of(checkout) == f"{clean}+"


def test_what_is_no_checkout_has_no_history(tmp_path: Path) -> None:
    """A copy without git is proven as well as any."""
    assert commit_of(tmp_path / "nowhere") == "unknown"


def test_a_table_goes_on_where_it_stopped(checkout: Path) -> None:
    """Each row is on disk at once, and the next sitting asks for the rest only."""
    (checkout / "bench").mkdir()
    todo = (Trial(DB_TIMEOUT),)
    first = VerifyTable(checkout, ["db-timeout"])
    first.add(proven())
    again = VerifyTable(checkout, ["db-timeout"])
    assert len(again.missing(todo, wanted=3)) == 2
    again.add(proven())
    again.add(proven())
    assert VerifyTable(checkout, ["db-timeout"]).missing(todo, wanted=3) == ()
