"""The safety lever as a file: what is in its way, and who may remove it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.adapters import own_folders
from lab.adapters.harm_mark import NAME, HarmMarkFile


def test_the_mark_outlives_the_folders_that_clean_removes(tmp_path: Path) -> None:
    """Who tidies up has not allowed harm again."""
    state = tmp_path / "state"
    mark = HarmMarkFile(state)
    mark.set()
    own_folders.make(state / "run")
    own_folders.remove(state / "run")
    assert not own_folders.leave(state)
    assert mark.is_set()
    assert "allow-harm" in (state / NAME).read_text()
    mark.clear()
    assert own_folders.leave(state)


def test_what_cannot_be_looked_at_counts_as_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lever nobody can see may be pulled."""

    def refuse(_: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "lstat", refuse)
    assert HarmMarkFile(tmp_path).is_set()


def test_the_mark_never_leads_elsewhere(tmp_path: Path) -> None:
    """A link in its place counts as the mark, and nothing is written through it."""
    target = tmp_path / "precious"
    (tmp_path / NAME).symlink_to(target)
    mark = HarmMarkFile(tmp_path)
    assert mark.is_set()
    with pytest.raises(OSError, match=NAME):
        mark.set()
    assert not target.exists()
    mark.clear()
    assert not mark.is_set()
