"""`lab tools` with a folder of tools that somebody brought, and one that is to be packed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab.adapters.tools import pack
from lab.adapters.tools.table import TOOLS
from lab.settings import CHECKOUT

DOOR = next(tool for tool in TOOLS if tool.name == "door")


def lab(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """On a machine without any tool."""
    own = {"LAB_STATE_DIR": str(folder / "state"), "LAB_CACHE_DIR": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-m", "lab", *words],
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "160", **own, **settings},
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        check=False,
    )


@pytest.fixture
def packed(tmp_path: Path) -> Path:
    """A pack of the door alone."""
    binary = tmp_path / "deadspan-door"
    binary.write_text(f"#!/bin/sh\necho deadspan-door version {DOOR.version}\n")
    binary.chmod(0o755)
    pack.write(tmp_path / "pack", {DOOR: binary})
    return tmp_path / "pack"


def test_the_table_says_which_tool_came_from_the_folder(packed: Path, tmp_path: Path) -> None:
    """And which are missing still, for they would be built."""
    done = lab(tmp_path, "tools", "--json", LAB_TOOLS_FROM=str(packed))
    assert done.returncode == 1, done.stderr
    sources = {row["name"]: row["source"] for row in json.loads(done.stdout)["tools"]}
    assert sources.pop("door") == "folder"
    assert set(sources.values()) == {"missing"}
    assert (
        str(packed / "deadspan-door") in lab(tmp_path, "tools", LAB_TOOLS_FROM=str(packed)).stdout
    )


@pytest.mark.parametrize("words", [("tools",), ("up",), ("run", "db-timeout")])
def test_a_tool_that_was_changed_is_refused_by_every_command(
    packed: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    """In words, and nothing is built in its place."""
    with (packed / "deadspan-door").open("a") as binary:
        binary.write("# and more\n")
    done = lab(tmp_path, *words, LAB_TOOLS_FROM=str(packed))
    assert done.returncode == 2
    assert "to be the file that was packed" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "cache").exists()


def test_the_doctor_names_a_folder_that_will_not_do(tmp_path: Path) -> None:
    done = lab(tmp_path, "doctor", "--json", LAB_TOOLS_FROM=str(tmp_path / "nowhere"))
    [finding] = [each for each in json.loads(done.stdout) if each["name"] == "tools"]
    assert finding["level"] == "fail"
    assert "LAB_TOOLS_FROM" in finding["advice"]


def test_a_folder_with_other_things_in_it_is_not_packed_into(tmp_path: Path) -> None:
    """Told at once, and what is in it stays as it is."""
    (tmp_path / "thesis.txt").write_text("mine")
    done = lab(tmp_path, "tools", "--pack", str(tmp_path))
    assert done.returncode == 2
    assert "name another folder" in done.stderr
    assert {each.name for each in tmp_path.iterdir()} == {"thesis.txt"}
