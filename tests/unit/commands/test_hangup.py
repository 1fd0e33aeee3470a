"""A line written between the end of a terminal and the signal that tells of it."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

from lab.commands import hangup
from lab.settings import CHECKOUT

WRITES_TOO_LATE = """
import signal, sys
from lab.commands import failures
signal.signal(signal.SIGHUP, signal.SIG_IGN)
print("here I am", flush=True)
sys.stdin.read()
try:
    print("too late", flush=True)
except OSError as error:
    sys.exit(failures.report(error))
"""


def test_a_line_to_a_terminal_that_is_gone_ends_as_a_hangup() -> None:
    """Not as a disk that failed, nor with Python's own complaint that it cannot print."""
    ours, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", WRITES_TOO_LATE],
        stdin=subprocess.PIPE,
        stdout=its,
        stderr=its,
        cwd=CHECKOUT,
    )
    os.close(its)
    with os.fdopen(ours, "rb") as terminal:
        # To the line's end: a terminal that goes in the middle of it fails that line already.
        assert terminal.readline() == b"here I am\r\n"
    process.communicate(timeout=10)
    assert process.returncode == 129


def test_an_error_of_a_file_is_no_hangup(tmp_path: Path) -> None:
    """A disk that fails is the disk's failure, and every other error is its own."""
    assert not hangup.is_behind(OSError(5, "Input/output error", str(tmp_path)))
    assert not hangup.is_behind(OSError(28, "No space left on device"))
    assert not hangup.is_behind(ValueError())
