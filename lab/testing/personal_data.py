"""Personal data in telemetry, by the very patterns that the lab's Collector masks it by."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from typing import Final

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
    """The first address or card number in ``text`` that the Collector would mask; None if none.

    Of a text without end only the beginning is searched.
    """
    allowed, blocked = _patterns()
    if any(pattern.search(text) for pattern in allowed):
        return None
    for part in _windows(text):
        for pattern in blocked:
            if found := pattern.search(part):
                return found.group()
    return None


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


def _windows(text: str) -> Iterator[str]:
    for start in range(0, max(1, min(len(text), _MOST) - _OVERLAP), _WINDOW - _OVERLAP):
        yield text[start : start + _WINDOW]
