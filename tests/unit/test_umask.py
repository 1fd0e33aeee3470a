"""Whose eyes a file is for: the real command, since a mode is the process's own."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lab import umask
from lab.adapters.cases.archive import FolderArchive
from lab.settings import CHECKOUT
from tests.support.sample_case import sample_case

USERS = 0o002


def lab(state_dir: Path, *words: str, **variables: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "lab", *words],
        env={**os.environ, "LAB_STATE_DIR": str(state_dir), **variables},
        cwd=CHECKOUT,
        umask=USERS,
        check=True,
        capture_output=True,
    )


def modes(folder: Path) -> dict[str, int]:
    """Every file below ``folder`` with what its mode gives to whom."""
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.stat().st_mode)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_what_the_lab_keeps_is_its_owners_and_what_is_asked_for_as_the_user_has_it(
    tmp_path: Path,
) -> None:
    """A case that is exported, brought in again and given up; a scenario that is begun."""
    archive = FolderArchive(tmp_path / "from" / "cases")
    archive.working_folder("db-timeout-1")
    archive.seal(sample_case("db-timeout-1"))
    out = tmp_path / "out.case.zip"
    lab(tmp_path / "from", "export", "--to", str(out))
    lab(tmp_path / "to", "import", str(out))
    lab(tmp_path / "to", "hint", "1")
    scenarios = tmp_path / "scenarios"
    lab(tmp_path / "to", "new", "begun", LAB_SCENARIOS_DIR=str(scenarios))

    kept = modes(tmp_path / "to")
    assert any(name.endswith("manifest.json") for name in kept)
    assert set(kept.values()) == {0o600}, kept
    assert stat.S_IMODE(out.stat().st_mode) == 0o666 & ~USERS
    assert set(modes(scenarios).values()) == {0o666 & ~USERS}
    assert stat.S_IMODE((scenarios / "begun").stat().st_mode) == 0o777 & ~USERS


def test_a_file_that_is_asked_for_is_whole_or_not_there(tmp_path: Path) -> None:
    """What was there before stays until then, and so does every other file."""
    target = tmp_path / "out.zip"
    target.write_text("before")
    for name in ("out.part", "out.zip.part", ".out.zip.part"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(TypeError), umask.whole_file(target) as file:
        file.write("no bytes")  # type: ignore[call-overload]
    assert target.read_text() == "before"
    with umask.whole_file(target) as file:
        file.write(b"whole")
    assert target.read_text() == "whole"
    assert {each.name: each.read_text() for each in tmp_path.iterdir()} == {
        "out.zip": "whole", "out.part": "mine", "out.zip.part": "mine", ".out.zip.part": "mine",
    }  # fmt: skip
