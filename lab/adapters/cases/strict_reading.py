"""How a file of a case is read: strictly, and whatever is wrong with it becomes one sentence."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import Field, fields, is_dataclass
from pathlib import Path
from types import NoneType
from typing import Any, Final, TypeVar

from pydantic import TypeAdapter, ValidationError

from lab.adapters.bounds import MOST_ELEMENTS, MOST_IN
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
    problem = out_of_bounds(found)
    if problem is not None:
        expected, seen = problem
        where = f" in line {line}" if line else ""
        raise damaged(path, f"{expected}{where}, found {seen}")
    return found


_BOUNDED: Final = (str, int, NoneType)
"""What no bound is on. A request holds nothing else but finite times, and a case has thousands."""


def out_of_bounds(value: object) -> tuple[str, str] | None:
    """What was expected and what was found, of the first number or list that no case has.

    A number is infinite or none at all (JSON can say both, and no chart can), or a list or
    map has more elements than `MOST_IN` has for it.
    """
    return next(_problems(value, "a list or map", MOST_ELEMENTS), None)


@functools.cache
def _fields(kind: type[Any]) -> tuple[Field[Any], ...]:
    return fields(kind)


def _problems(
    value: object, name: str, most: int, most_inside: int = MOST_ELEMENTS
) -> Iterator[tuple[str, str]]:
    if isinstance(value, float):
        if not math.isfinite(value):
            yield "finite numbers", str(value)
    elif is_dataclass(value):
        known = MOST_IN.get(type(value).__name__, {})
        for each in _fields(type(value)):  # type: ignore[arg-type]
            held = getattr(value, each.name)
            if isinstance(held, _BOUNDED) or (type(held) is float and math.isfinite(held)):
                continue
            yield from _problems(
                held,
                each.name,
                known.get(each.name, MOST_ELEMENTS),
                known.get(f"{each.name}[]", MOST_ELEMENTS),
            )
    elif isinstance(value, Mapping | tuple | list):
        if len(value) > most:
            yield f"at most {most} elements in {name}", str(len(value))
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _problems(each, name, most_inside, most_inside)
