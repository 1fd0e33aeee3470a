"""What the lab notes beside a sealed case for itself, because it is quicker to read again.

A note is made of what is sealed and of nothing else, so it is never sealed, exported or taken
from an archive. Its first line says of what it was made; where that is no longer so, or the
note is not whole, it is not believed, and made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import lab

_MADE_BY: Final = ("domain", "scenario_file", "adapters/cases", "adapters/otlp")
PART: Final = ".part-"
"""Behind the name of a note that is being written, or whose writer was killed."""


def write_note(path: Path, text: str, made_of: Mapping[str, Any]) -> None:
    """Write the note and of what it was made; OSError where the disk refuses."""
    write_whole(path, f"{json.dumps(_head(text.encode(), made_of))}\n{text}")


def write_whole(path: Path, text: str) -> None:
    """Write the file in one step; OSError where the disk refuses, and nothing is left then."""
    part = path.with_name(f"{path.name}{PART}{os.getpid()}-{threading.get_ident()}")
    try:
        with part.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_note(path: Path, made_of: Mapping[str, Any]) -> bytes | None:
    """The text of the note in UTF-8; None where there is none that can be believed."""
    try:
        with path.open("rb") as file:
            head, text = file.readline(), file.read()
        return text if json.loads(head) == _head(text, made_of) else None
    except (OSError, ValueError, RecursionError):
        return None


@cache
def code_of_notes() -> str:
    """What changes with all code that notes are made by, and costs no reading of it."""
    own = Path(lab.__file__).parent
    files = sorted(path for room in _MADE_BY for path in (own / room).glob("*.py"))
    told = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(told).encode()).hexdigest()


def _head(text: bytes, made_of: Mapping[str, Any]) -> dict[str, Any]:
    return {**made_of, "sha256": hashlib.sha256(text).hexdigest()}
