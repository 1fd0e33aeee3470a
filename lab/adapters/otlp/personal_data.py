"""Personal data in telemetry, by the very patterns that the lab's Collector masks it by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

MASK: Final = "****"
_SHORTEST: Final = len("a@b.de")

_FILE: Final = "personal_data.txt"
_LETTERS: Final = "a-zA-Z\u00aa-\u3001\u3003-\uff0d\uff0f-\uff1f\uff21-\uff60\uff62-\U0010ffff"
"""Letters of any script and their marks, and more; without the signs @ and . in other widths."""

_GO: Final = {r"\p{L}": _LETTERS, r"\p{M}": "", r"\p{N}": "0-9", r"\x{200C}": "", r"\x{200D}": ""}
"""What Go's regexp has in a set and Python's has not; the last two are among the letters."""

_WINDOW: Final = 160
_OVERLAP: Final = 96
_MOST: Final = 8_192
"""In characters. Python's patterns backtrack, with the cube of what they are given at once."""


def found_in(text: str) -> str | None:
    """What the Collector would mask first in the beginning of ``text``; None if nothing."""
    start, end = next(_places(text[:_MOST]), (0, 0))
    return text[start:end] or None


@lru_cache(maxsize=10_000)
def masked(text: str) -> str:
    """``text`` with `MASK` in place of each address and card number, as the Collector keeps it.

    All of it is searched, in time that grows with its length alone.
    """
    if len(text) < _SHORTEST:
        return text
    parts, reached = list[str](), 0
    for start, end in sorted(_places(text)):
        if start >= reached:
            parts += [text[reached:start], MASK]
        reached = max(reached, end)
    return "".join((*parts, text[reached:]))


def _places(text: str) -> Iterator[tuple[int, int]]:
    """Where the patterns fit; places may overlap."""
    allowed, blocked = _patterns()
    if any(pattern.search(text) for pattern in allowed):
        return
    for at, part in _windows(text):
        for pattern in blocked:
            for found in pattern.finditer(part):
                yield at + found.start(), at + found.end()


def read(section: str) -> tuple[str, ...]:
    """The patterns of ``allowed_values`` or ``blocked_values``, as Go has them."""
    text = files(__package__).joinpath(_FILE).read_text(encoding="utf-8")
    behind = text.partition(f"[{section}]\n")[2]
    return tuple(behind.partition("\n\n")[0].splitlines())


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], ...], tuple[re.Pattern[str], ...]]:
    allowed, blocked = (
        tuple(re.compile(_python(each), re.ASCII) for each in read(section))
        for section in ("allowed_values", "blocked_values")
    )
    return allowed, blocked


def _python(pattern: str) -> str:
    for theirs, ours in _GO.items():
        pattern = pattern.replace(theirs, ours)
    return pattern


def _windows(text: str) -> Iterator[tuple[int, str]]:
    for start in range(0, max(1, len(text) - _OVERLAP), _WINDOW - _OVERLAP):
        yield start, text[start : start + _WINDOW]
