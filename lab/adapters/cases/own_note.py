"""What the lab notes beside a sealed case for itself, because it is quicker to read again.

A note is made of what is sealed and of nothing else, so it is never sealed, exported or taken
from an archive. Its first line says of what it was made; where that is no longer so, or the
note is not whole, it is not believed, and made anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import lab

_MADE_BY: Final = (
    "*.py",
    "adapters/*.py",
    "adapters/cases/*.py",
    "adapters/otlp/*.py",
    "domain/*.py",
    "load/*.py",
    "scenario_file/*.py",
    "shop/*.py",
    "shop/keeper/*.py",
)
"""All code that a note may depend on."""

MOST_BYTES: Final = 1 << 30
"""Of a note: what is longer is not read, and made anew."""

_PART: Final = re.compile(r"(?P<note>.+)\.part-(?:[a-z0-9_]{8}|\d+-\d+)")
"""A note that is being written, or whose writer was killed; numbers stood there before."""


def write_note(path: Path, text: str, made_of: Mapping[str, Any]) -> None:
    """Write the note and of what it was made; OSError where the disk refuses.

    Nothing is written where the lab's code is another by now than when this process began.
    """
    if _code_on_disk() == _CODE:
        write_whole(path, f"{json.dumps(_head(text.encode(), made_of))}\n{text}")


def write_whole(path: Path, text: str) -> None:
    """Write the file in one step; OSError where the disk refuses, and nothing is left then."""
    number, part = tempfile.mkstemp(prefix=f"{path.name}.part-", dir=path.parent)
    try:
        with os.fdopen(number, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(part).replace(path)
    finally:
        Path(part).unlink(missing_ok=True)


def note_of(name: str) -> str:
    """Whose part a file of that name is; its own name where it is none's."""
    found = _PART.fullmatch(name)
    return found["note"] if found else name


def read_note(path: Path, made_of: Mapping[str, Any]) -> bytes | None:
    """The text of the note in UTF-8; None where there is none that can be believed."""
    with suppress(OSError, ValueError, RecursionError):
        if not path.is_file() or path.stat().st_size > MOST_BYTES:  # A pipe would never end.
            return None
        with path.open("rb") as file:
            head, text = file.readline(), file.read()
        return text if json.loads(head) == _head(text, made_of) else None
    return None


def sha256_of(path: Path) -> str:
    """What the file's bytes are now, as ``sha256sum`` tells it; OSError where it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def code_of_notes() -> str:
    """What changes with all code that notes are made by."""
    return _CODE


def _code_on_disk() -> str:
    own = Path(lab.__file__).parent
    files = sorted(path for each in _MADE_BY for path in own.glob(each))
    told = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(repr(told).encode()).hexdigest()


_CODE: Final = _code_on_disk()
"""Looked up while that code is loaded: what lies there later is not what this process runs."""


def _head(text: bytes, made_of: Mapping[str, Any]) -> dict[str, Any]:
    return {**made_of, "sha256": hashlib.sha256(text).hexdigest()}
