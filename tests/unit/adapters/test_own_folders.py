"""What the lab removes: only what it made, and never what somebody needs."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.adapters import own_folders
from lab.errors import NotOurs
from lab.settings import CHECKOUT, Settings

PRECIOUS = "precious.txt"


def filled(folder: Path) -> Path:
    """A folder of the lab's own with something in it."""
    own_folders.make(folder)
    (folder / "deep").mkdir()
    (folder / "deep" / "file").write_text("x")
    return folder


def test_a_folder_that_the_lab_made_is_removed(tmp_path: Path) -> None:
    """And only its owner could look into it."""
    folder = filled(tmp_path / "state" / "run")
    for each in (folder, folder.parent):
        assert stat.S_IMODE(each.stat().st_mode) == 0o700
        assert own_folders.is_own(each)
    own_folders.remove(folder)
    assert not folder.exists()
    assert own_folders.leave(folder.parent)
    assert not folder.parent.exists()


def test_a_folder_that_was_there_stays_as_it_is(tmp_path: Path) -> None:
    """Without a mark, and with the rights that it had."""
    (tmp_path / PRECIOUS).write_text("mine")
    tmp_path.chmod(0o755)
    own_folders.make(tmp_path)
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    with pytest.raises(NotOurs, match="the mark of a folder that the lab made"):
        own_folders.remove(tmp_path)
    assert (tmp_path / PRECIOUS).read_text() == "mine"
    assert not own_folders.leave(tmp_path)


def test_what_an_earlier_version_made_in_the_checkout_is_the_labs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It left no mark; where the folder is a link, nobody knows whose it is."""
    monkeypatch.setattr(own_folders, "CHECKOUT", tmp_path / "checkout")
    old = tmp_path / "checkout" / ".lab" / "run"
    old.mkdir(parents=True)
    (old / "run.lock").touch()
    own_folders.remove(old)
    assert not old.exists()
    (tmp_path / "home" / "run").mkdir(parents=True)
    old.parent.rmdir()
    old.parent.symlink_to(tmp_path / "home")
    with pytest.raises(NotOurs):
        own_folders.remove(old)
    assert (tmp_path / "home" / "run").exists()


def in_a_home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(folder / "home"))


def in_a_checkout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_folders, "CHECKOUT", folder / "checkout")


def with_a_checkout(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "deep" / "theirs" / ".git").mkdir(parents=True)


def worked_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder / "deep")


@pytest.mark.parametrize(
    ("use", "found"),
    [
        (in_a_home, "holds your home"),
        (in_a_checkout, "holds this checkout"),
        (with_a_checkout, "a checkout in it: .*theirs"),
        (worked_in, "leave it first"),
    ],
)
def test_what_somebody_needs_is_not_removed_although_it_bears_the_mark(
    use: Callable[[Path, pytest.MonkeyPatch], None],
    found: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A mark can be copied with a folder."""
    folder = filled(tmp_path / "state")
    use(folder, monkeypatch)
    with pytest.raises(NotOurs, match=found):
        own_folders.remove(folder)
    assert (folder / "deep" / "file").exists()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Neither to remove it nor to remove what was made for a while."""
    real = filled(tmp_path / "real")
    link = tmp_path / "link"
    link.symlink_to(real)
    with pytest.raises(NotOurs, match="a link to elsewhere"):
        own_folders.remove(link)
    with pytest.raises(NotOurs):
        own_folders.discard(link, within=tmp_path)
    assert (real / "deep" / "file").exists()


@pytest.mark.parametrize("path", ["../elsewhere", ".", "a/../../elsewhere"])
def test_what_was_made_for_a_while_lies_within(path: str, tmp_path: Path) -> None:
    own = filled(tmp_path / "own")
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(NotOurs, match="a folder of the lab's own in"):
        own_folders.discard(own / path, within=own)
    assert (tmp_path / "elsewhere").exists()
    own_folders.discard(own / "deep", within=own)
    own_folders.discard(own / "never there", within=own)
    assert not (own / "deep").exists()


@pytest.mark.parametrize("name", ["LAB_STATE_DIR", "LAB_CACHE_DIR", "LAB_TEMPO_BIN", "STACK"])
def test_set_to_nothing_is_not_set(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty path would be the folder one happens to stand in."""
    monkeypatch.delenv(name, raising=False)
    before = Settings()
    monkeypatch.setenv(name, "")
    assert Settings() == before
    assert before.state_dir.name != ""


# --- through the door ---


def lab(*words: str, state: Path | str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "lab", *words],
        cwd=CHECKOUT,
        env={**os.environ, "LAB_STATE_DIR": str(state), "HOME": str(home), "COLUMNS": "200"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with all four parts, and a file that somebody put beside them."""
    settings = Settings(state_dir=tmp_path / "state")
    own_folders.make_parts(settings)
    (settings.cases_dir / "a-1").mkdir()
    (settings.run_dir / "run.lock").touch()
    (settings.state_dir / PRECIOUS).write_text("mine")
    return settings.state_dir


def test_clean_says_what_it_removes_and_keeps_the_cases(state: Path, tmp_path: Path) -> None:
    done = lab("clean", "--yes", state=state, home=tmp_path)
    assert done.returncode == 0, done.stderr
    for said in ("run/", "log/", "data/", "cases stay in"):
        assert said in done.stderr
    assert {each.name for each in state.iterdir()} == {"cases", PRECIOUS, own_folders.MARK}
    again = lab("clean", "--yes", "--cases", state=state, home=tmp_path)
    assert again.returncode == 0, again.stderr
    assert {each.name for each in state.iterdir()} == {PRECIOUS, own_folders.MARK}
    assert "nothing to clean" in lab("clean", "--yes", state=state, home=tmp_path).stderr


def test_clean_asks_and_where_nobody_can_answer_removes_nothing(
    state: Path, tmp_path: Path
) -> None:
    refused = lab("clean", state=state, home=tmp_path)
    assert refused.returncode == 64
    assert "`--yes`" in refused.stderr
    assert (state / "run").exists()


def test_a_home_loses_nothing(tmp_path: Path) -> None:
    """The state folder set to a home, whose folders are called as the lab's are."""
    for name in ("data", "cases", "run"):
        (tmp_path / name).mkdir()
        (tmp_path / name / PRECIOUS).write_text("mine")
    done = lab("clean", "--yes", "--cases", state=tmp_path, home=tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("stays: expected") == 3
    assert all((tmp_path / name / PRECIOUS).exists() for name in ("data", "cases", "run"))


def test_make_clean_with_an_empty_state_folder_touches_no_checkout(tmp_path: Path) -> None:
    """The very words that deleted one; in a copy of this checkout, with its own history."""
    copy = tmp_path / "copy"
    ignored = shutil.ignore_patterns(".venv", ".lab", "node_modules", "__pycache__", ".*_cache")
    shutil.copytree(CHECKOUT, copy, ignore=ignored)
    (copy / PRECIOUS).write_text("not committed")
    before = sorted(path for path in copy.rglob("*"))
    code = (
        "import lab.settings; from pathlib import Path\n"
        f"assert lab.settings.CHECKOUT == Path({str(copy)!r}).resolve()\n"
        "from lab.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, "clean", "--yes", "--cases"],
        cwd=copy,
        env={**os.environ, "LAB_STATE_DIR": "", "PYTHONPATH": str(copy), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "nothing to clean" in done.stderr
    after = sorted(path for path in copy.rglob("*") if "__pycache__" not in path.parts)
    assert after == before


def test_nothing_else_removes_a_tree() -> None:
    """One function does it; whoever writes another has to say so here."""
    users = [
        path.relative_to(CHECKOUT).as_posix()
        for path in (CHECKOUT / "lab").rglob("*.py")
        if "rmtree" in path.read_text(encoding="utf-8")
    ]
    assert users == ["lab/adapters/own_folders.py"]


def test_what_is_set_aside_is_gone_from_its_place_at_once(tmp_path: Path) -> None:
    """And removed later, with the mark of where it lies kept for the next time."""
    own = filled(tmp_path / "own")
    own_folders.set_aside(own / "deep", within=own)
    assert not (own / "deep").exists()
    assert own_folders.is_something_aside(own)
    own_folders.remove_aside(own)
    assert not own_folders.is_something_aside(own)
    assert {each.name for each in own.iterdir()} == {own_folders.MARK, "discarded"}


def test_only_from_a_marked_folder_something_is_removed(tmp_path: Path) -> None:
    """Somebody's own folder of that name is theirs, and so is where a link leads."""
    theirs = tmp_path / "discarded"
    theirs.mkdir()
    (theirs / PRECIOUS).write_text("mine")
    own_folders.remove_aside(tmp_path)
    marked = filled(tmp_path / "marked")
    (tmp_path / "with-link").mkdir()
    (tmp_path / "with-link" / "discarded").symlink_to(marked)
    own_folders.remove_aside(tmp_path / "with-link")
    assert (theirs / PRECIOUS).exists()
    assert (marked / "deep" / "file").exists()


def test_only_what_lies_within_is_set_aside(tmp_path: Path) -> None:
    own = filled(tmp_path / "own")
    (tmp_path / "elsewhere").mkdir()
    with pytest.raises(NotOurs, match="a folder of the lab's own in"):
        own_folders.set_aside(tmp_path / "elsewhere", within=own)
    assert (tmp_path / "elsewhere").exists()


def test_a_folder_of_somebody_else_has_nothing_set_aside_in_it(tmp_path: Path) -> None:
    """It would stay there for ever, among what is theirs."""
    own = filled(tmp_path / "own")
    (own / "discarded").mkdir()
    (own / "discarded" / PRECIOUS).write_text("mine")
    with pytest.raises(NotOurs, match="found a folder there"):
        own_folders.set_aside(own / "deep", within=own)
    assert (own / "deep").exists()


def test_what_was_set_aside_is_removed_behind_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process that does it stands elsewhere, and a setting may be a relative path."""
    own = filled(tmp_path / "own")
    monkeypatch.chdir(tmp_path)
    own_folders.set_aside(Path("own/deep"), within=Path("own"))
    own_folders.remove_behind(Path("own"))
    deadline_s = time.monotonic() + 20.0
    while own_folders.is_something_aside(own):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def test_a_second_remover_leaves_the_work_to_the_first(tmp_path: Path) -> None:
    own = filled(tmp_path / "own")
    own_folders.set_aside(own / "deep", within=own)
    with (own / "discarded" / own_folders.MARK).open() as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        own_folders.remove_aside(own)
        assert own_folders.is_something_aside(own)
