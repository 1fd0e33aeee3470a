"""A note is believed where it is whole and of what lies beside it, and nowhere else."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import lab
from lab.adapters.cases import own_note
from lab.adapters.cases.own_note import note_of, read_note, write_note
from lab.settings import CHECKOUT

MADE_OF = {"version": 1, "traces": "0" * 64}


@pytest.mark.parametrize("text", ["", "one", "one\ntwo\n", "\n", "ü\u2028\n"])
def test_what_was_written_is_read(tmp_path: Path, text: str) -> None:
    """To the last character, and nothing lies beside it."""
    write_note(tmp_path / ".note", text, MADE_OF)
    assert read_note(tmp_path / ".note", MADE_OF) == text.encode()
    assert [each.name for each in tmp_path.iterdir()] == [".note"]


@pytest.mark.parametrize(
    "made_of", [{**MADE_OF, "version": 2}, {**MADE_OF, "traces": "1" * 64}, {"version": 1}, {}]
)
def test_a_note_of_something_else_is_not_believed(
    tmp_path: Path, made_of: dict[str, object]
) -> None:
    """Whatever of it differs."""
    write_note(tmp_path / ".note", "text", MADE_OF)
    assert read_note(tmp_path / ".note", made_of) is None


def test_no_damaged_note_is_believed(tmp_path: Path) -> None:
    """Cut anywhere, or with any one byte another."""
    path = tmp_path / ".note"
    write_note(path, "some text\nin two lines\n", MADE_OF)
    whole = path.read_bytes()
    for at in range(len(whole)):
        path.write_bytes(whole[:at])
        assert read_note(path, MADE_OF) is None, at
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert read_note(path, MADE_OF) is None, at
    path.unlink()
    assert read_note(path, MADE_OF) is None


def test_what_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    """Where the note's place is a folder, its part goes again."""
    (tmp_path / ".note" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="directory"):
        write_note(tmp_path / ".note", "text", MADE_OF)
    assert [each.name for each in tmp_path.iterdir()] == [".note"]


def test_no_file_of_the_user_is_written_over(tmp_path: Path) -> None:
    """Whatever is called like a note that is being written, by this process or a killed one."""
    theirs = tmp_path / "theirs"
    theirs.write_text("mine")
    part = tmp_path / f".note.part-{os.getpid()}-{threading.get_ident()}"
    part.symlink_to(theirs)
    write_note(tmp_path / ".note", "text", MADE_OF)
    assert theirs.read_text() == "mine"
    assert part.is_symlink()


@pytest.mark.parametrize(
    ("name", "note"),
    [
        *((each, ".note") for each in (".note.part-x_1yz0ab", ".note.part-17-140")),
        *((each, each) for each in (".note", ".note.part-mine", ".note.part-x_1yz0ab.txt")),
    ],
)
def test_a_part_is_known_by_its_whole_name(name: str, note: str) -> None:
    """What a user calls nearly so is the user's."""
    assert note_of(name) == note


def test_what_is_no_file_is_no_note(tmp_path: Path) -> None:
    """And keeps nobody waiting: a pipe that nobody writes, a folder, a file without end."""
    os.mkfifo(tmp_path / ".pipe")
    (tmp_path / ".folder").mkdir()
    with (tmp_path / ".endless").open("wb") as file:
        file.truncate(own_note.MOST_BYTES + 1)
    for name in (".pipe", ".folder", ".endless"):
        assert read_note(tmp_path / name, MADE_OF) is None


def test_code_that_changed_since_notes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A desk that runs through an update would note by its old code what the new one believes."""
    monkeypatch.setattr(own_note, "_code_on_disk", lambda: "another")
    write_note(tmp_path / ".note", "text", MADE_OF)
    assert list(tmp_path.iterdir()) == []


LOADED = """
import importlib, json, pkgutil, sys
for name in ("known_scenario", "noted_partners", "noted_traces", "trace_index"):
    importlib.import_module(f"lab.adapters.cases.{name}")
import lab.scenario_file
for each in pkgutil.iter_modules(lab.scenario_file.__path__):
    importlib.import_module(f"lab.scenario_file.{each.name}")
files = (module.__file__ for name, module in sys.modules.items() if name.partition(".")[0] == "lab")
print(json.dumps([file for file in files if file]))
"""


def test_a_note_knows_all_code_that_it_was_made_by() -> None:
    """Every module of ours that is loaded where notes are made."""
    done = subprocess.run(
        [sys.executable, "-c", LOADED], cwd=CHECKOUT, capture_output=True, text=True, check=True
    )
    own = Path(lab.__file__).parent
    known = {path for each in own_note._MADE_BY for path in own.glob(each)}
    loaded = {Path(each) for each in json.loads(done.stdout)}
    assert len(loaded) > 40
    assert {path.relative_to(own) for path in loaded - known if path.name != "__init__.py"} == set()
