"""How a file of a case is read: strictly, and whatever is wrong with it becomes one sentence."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from lab.errors import CaseDamaged

T = TypeVar("T")


def damaged(path: Path, expected: str) -> CaseDamaged:
    """The error for a file that is not as it was sealed."""
    return CaseDamaged(
        f"{path}: expected {expected}; the case is damaged: restore the file, or delete the "
        f"folder {path.parent.name} and run the scenario again",
        file=path.name,
        expected=expected,
    )


def text_of(path: Path) -> str:
    """What the file says; CaseDamaged where it is none, or no text."""
    if path.exists() and not path.is_file():
        raise damaged(path, "a file, found something else of this name")
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise damaged(path, f"a readable file, found: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise damaged(path, "UTF-8 text") from error


@functools.cache
def adapter(kind: type[Any]) -> TypeAdapter[Any]:
    """What reads and writes a ``kind``; made when first asked for, since most commands need few."""
    return TypeAdapter(kind)


def validated(kind: type[T], text: str, path: Path, line: int | None = None) -> T:
    """``text`` as a ``kind``; CaseDamaged names the first field that is not right."""
    try:
        # mypy takes the hash of a class for that of what it makes.
        found: T = adapter(kind).validate_json(text)  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        where = f" in line {line}" if line else ""
        raise damaged(path, f"{name or 'JSON'}{where} to be right ({first['msg']})") from error
    if not _is_finite(found):
        raise damaged(path, f"finite numbers{f' in line {line}' if line else ''}")
    return found


def _is_finite(value: object) -> bool:
    """Whether no number in it is infinite or none at all: JSON can say both, and no chart can."""
    if isinstance(value, float):
        return math.isfinite(value)
    if is_dataclass(value):
        return all(_is_finite(getattr(value, each.name)) for each in fields(value))
    if isinstance(value, Mapping):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, tuple | list) or all(map(_is_finite, value))
