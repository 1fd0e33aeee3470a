"""Whose eyes a new file is for: the lab's own their owner's, what a user asks for as they say."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

_OWNER_ALONE: Final = 0o077
_of_the_user: Final[list[int]] = []
"""What held before; nothing in a process that was started as it is to be, such as the desk's."""


def for_the_owner_alone() -> None:
    """Make every file and folder from now on its owner's alone, in programs started here too."""
    _of_the_user.append(os.umask(_OWNER_ALONE))


@contextlib.contextmanager
def asked_for() -> Iterator[None]:
    """Inside, files and programs are the user's: as open to others as their shell makes them."""
    if not _of_the_user:
        yield
        return
    os.umask(_of_the_user[0])
    try:
        yield
    finally:
        os.umask(_OWNER_ALONE)


@contextlib.contextmanager
def whole_file(target: Path) -> Iterator[IO[bytes]]:
    """What is written inside is at ``target`` once the context ends well, else nothing is.

    No other file is touched on the way, whatever its name; OSError where the disk refuses.
    """
    part = target.with_name(f".{target.name[-100:]}.part-{os.getpid()}")
    with asked_for(), part.open("xb") as file:
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
            part.replace(target)
        except BaseException:
            part.unlink()
            raise
