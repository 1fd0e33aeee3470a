"""A terminal that was closed under a command: how to tell, and how to go on without it."""

from __future__ import annotations

import errno
import os
import signal
import stat
import sys
from collections.abc import Iterator
from typing import Final

EXIT: Final = 128 + signal.SIGHUP


def is_behind(error: Exception) -> bool:
    """Whether ``error`` is a line that was written when the terminal had just gone.

    The signal that says so comes a moment later (termios(3), *modem disconnect*: EIO).
    """
    said_nowhere = isinstance(error, OSError) and error.errno == errno.EIO and not error.filename
    return said_nowhere and any(not os.isatty(stream) for stream in _devices())


def let_go() -> None:
    """Say what is left to say to nobody: writing to a terminal that is gone would fail."""
    nobody = os.open(os.devnull, os.O_WRONLY)
    for stream in _devices():
        os.dup2(nobody, stream)
    os.close(nobody)


def _devices() -> Iterator[int]:
    """The streams that are a terminal, alive or gone, and no file, pipe or null device."""
    nowhere = os.stat(os.devnull).st_rdev  # noqa: PTH116 -- beside fstat, of the same kind
    for stream in (sys.stdout.fileno(), sys.stderr.fileno()):
        status = os.fstat(stream)
        # `isatty` is no longer true of one that is gone; it still is a device.
        if stat.S_ISCHR(status.st_mode) and status.st_rdev != nowhere:
            yield stream
