"""Folders that the lab made, and the only way in which it removes one.

A folder that the lab makes bears its mark; without the mark nothing in it is the lab's to
remove, whatever a setting says. Nor is what holds a home, a checkout or this very process.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from lab.errors import NotOurs
from lab.settings import CHECKOUT, Settings

MARK: Final = ".made-by-deadspan"
_MARKED: Final = "The lab made this folder, and `lab clean` may remove it.\n"
_ASIDE: Final = "discarded"
_REMOVERS: Final[list[object]] = []
"""Kept, because a process that nobody holds is warned of."""
_WAY_OUT: Final = "look what is in it, and remove it by hand if it is to go"


def make(folder: Path, *, is_private: bool = True) -> None:
    """Make ``folder`` for its owner's eyes only, and mark it; what is there already stays as it is.

    Only an empty folder becomes the lab's own. Those above it that are missing are made alike.
    One that is not ``is_private`` is as open as the process makes its files.
    """
    if not folder.parent.exists():
        make(folder.parent, is_private=is_private)
    folder.mkdir(mode=0o700 if is_private else 0o777, exist_ok=True)
    if not (folder / MARK).exists() and (is_own(folder) or _is_empty(folder)):
        (folder / MARK).write_text(_MARKED, encoding="utf-8")
        if is_private:
            folder.chmod(0o700)


def make_parts(settings: Settings) -> None:
    """Make the folders of a checkout's state that do not belong to one part of the stack."""
    make(settings.state_dir)
    for folder in (settings.run_dir, settings.log_dir, settings.data_dir, settings.cases_dir):
        make(folder)


def sync(folder: Path) -> None:
    """Bring its list of names to disk, without which a file may be lost (fsync(2), Notes)."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def is_own(folder: Path) -> bool:
    """Whether the lab made it: it bears the mark, or lies in the checkout's own ``.lab``.

    There, earlier versions left no mark.
    """
    usual = CHECKOUT / ".lab"
    is_usual = folder.parent == usual and not usual.is_symlink()
    return not folder.is_symlink() and (is_usual or (folder / MARK).is_file())


def why_not(folder: Path) -> str | None:
    """Why ``folder`` is not removed, as a sentence; None where it may be."""
    if folder.is_symlink():
        return f"expected {folder} to be a folder, found a link to elsewhere; {_WAY_OUT}"
    if not is_own(folder):
        return _unmarked(folder)
    place = folder.resolve()
    for kept, what in ((Path.home(), "your home"), (CHECKOUT, "this checkout")):
        if kept.resolve().is_relative_to(place):
            return f"expected {folder} to be the lab's alone, found that it holds {what}"
    if Path.cwd().is_relative_to(place):
        return f"expected nobody to work in {folder}, found that you do; leave it first"
    checkout = next(_checkouts(folder), None)
    if checkout is not None:
        return f"expected nothing but the lab's in {folder}, found a checkout in it: {checkout}"
    return None


def _unmarked(folder: Path) -> str:
    return (
        f"expected {folder} to bear the mark of a folder that the lab made ({MARK}), "
        f"found none; {_WAY_OUT}"
    )


def remove(folder: Path) -> None:
    """Remove one of the lab's own folders with all that is in it; NotOurs where it is not."""
    if reason := why_not(folder):
        raise NotOurs(reason)
    shutil.rmtree(folder)


def discard(folder: Path, *, within: Path, quietly: bool = False) -> None:
    """Remove what the lab made for a while ``within`` a folder of its own, if it is there.

    NotOurs where it lies elsewhere or leads elsewhere. ``quietly``, what the disk refuses
    stays for the next time.
    """
    _check_lies_within(folder, within)
    if folder.exists():
        shutil.rmtree(folder, ignore_errors=quietly)


def check_part(folder: Path, *, of: Path) -> None:
    """NotOurs where ``folder`` is no part of one that the lab made, or leads elsewhere."""
    if not is_own(of):
        raise NotOurs(_unmarked(of))
    _check_lies_within(folder, of)


def set_aside(folder: Path, *, within: Path) -> None:
    """Take what the lab made for a while out of the way, in one step; see `remove_behind`.

    NotOurs where it lies elsewhere or leads elsewhere, or where somebody else's folder has
    the place for it.
    """
    _check_lies_within(folder, within)
    make(within / _ASIDE)
    if not is_own(within / _ASIDE):
        raise NotOurs(f"expected {within / _ASIDE} to be free for the lab, found a folder there")
    folder.replace(within / _ASIDE / str(time.time_ns()))


def is_something_aside(within: Path) -> bool:
    """Whether something waits to be removed, or is being removed."""
    return next(_aside(within), None) is not None


def remove_behind(within: Path) -> None:
    """Have a process of the lowest priority remove what was set aside ``within``.

    Nobody needs to wait for it, and it may be ended at any time: what it leaves, the next
    one removes. A second one leaves the work to the first.
    """
    import subprocess  # Whoever only reads a case does not wait for it.

    remover = subprocess.Popen(
        [sys.executable, "-P", "-m", "lab.adapters.own_folders", within.resolve()],
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    _REMOVERS.append(remover)


def remove_aside(within: Path) -> None:
    """Remove what was set aside ``within``, unless somebody else does so; stops at nothing."""
    aside = within / _ASIDE
    with suppress(FileNotFoundError, BlockingIOError), (aside / MARK).open() as mark:
        fcntl.flock(mark, fcntl.LOCK_EX | fcntl.LOCK_NB)
        for folder in _aside(within):
            discard(folder, within=aside, quietly=True)


def leave(folder: Path) -> bool:
    """Remove the mark, and the folder if nothing else is in it; whether it is gone."""
    if not is_own(folder) or {each.name for each in folder.iterdir()} != {MARK}:
        return False
    (folder / MARK).unlink()
    folder.rmdir()
    return True


def size_bytes(folder: Path) -> int:
    """What all files below ``folder`` take, as far as they can be looked at."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(Path(parent) / name).st_size
            except OSError:
                continue
    return total


def _check_lies_within(folder: Path, within: Path) -> None:
    lies_in = folder.parent.resolve() / folder.name
    if folder.is_symlink() or not lies_in.is_relative_to(within.resolve()) or folder == within:
        raise NotOurs(f"expected a folder of the lab's own in {within}, found {folder}")


def _aside(within: Path) -> Iterator[Path]:
    """What was set aside; nothing where the folder for it is not one that the lab made."""
    if is_own(within / _ASIDE):
        yield from (each for each in (within / _ASIDE).iterdir() if each.name != MARK)


def _is_empty(folder: Path) -> bool:
    return next(folder.iterdir(), None) is None


def _checkouts(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        if ".git" in folders or ".git" in names:
            yield Path(parent)


if __name__ == "__main__":
    os.nice(19)
    remove_aside(Path(sys.argv[1]))
