"""One run at a time in one checkout, by a lock the kernel drops with its holder."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from lab.adapters import own_folders
from lab.errors import RunInProgress


@contextlib.contextmanager
def run_lock(run_dir: Path, purpose: str) -> Iterator[None]:
    """Hold the lab for ``purpose``; RunInProgress names the holder if there is one."""
    own_folders.make(run_dir)
    with (run_dir / "run.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RunInProgress(
                f"expected no other run, found {_told(lock)}; nothing was changed. Wait for it to "
                "end, or stop it with Ctrl-C in its own terminal"
            ) from None
        lock.truncate(0)
        lock.write(f"{purpose} (pid {os.getpid()})")
        lock.flush()
        try:
            yield
        finally:
            lock.truncate(0)


def run_at_work(run_dir: Path) -> str | None:
    """Who holds the lab just now; None where nobody does."""
    try:
        lock = (run_dir / "run.lock").open(encoding="utf-8")
    except FileNotFoundError:
        return None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _told(lock)
        return None


def _told(lock: TextIO) -> str:
    lock.seek(0)
    return lock.read().strip() or "another process"
