"""A note is believed where it is whole and of what lies beside it, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.adapters.cases.own_note import read_note, write_note

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
