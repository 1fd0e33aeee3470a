"""JSON lines on disk: appended whole, flushed at once, and read back although the last is torn."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def append_line(path: Path, line: str) -> None:
    """Append one line and bring it to disk before returning; OSError as the system says.

    A line that a killed process left without its end is ended first, so that one torn
    line never spoils the next.
    """
    with path.open("ab+") as file:
        if file.tell() > 0:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def whole_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Each line that was ended, with its number from 1; what follows the last end is torn.

    What is not there, or is no file (opening a named pipe would wait for a writer), has
    no lines. Empty lines are left out.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.endswith(b"\n") and line.strip():
                yield number, line.decode(errors="replace")
