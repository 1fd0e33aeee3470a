"""*Did you mean*: names near to one that nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

_LONGEST_SHOWN: Final = 60


def near_names(wrong: str, known: Iterable[str]) -> tuple[str, ...]:
    """Up to three of ``known`` that ``wrong`` may have been meant for, nearest first."""
    return tuple(difflib.get_close_matches(wrong, sorted(known), n=3, cutoff=0.6))


def unknown_name(what: str, wrong: str, known: Iterable[str]) -> str:
    """A sentence that refuses ``wrong`` and offers what is near, or else everything."""
    names = sorted(known)
    shown = abridged(repr(wrong))
    offer = near_names(wrong, names)
    if offer:
        return f"unknown {what} {shown}; did you mean {' or '.join(offer)}?"
    return f"unknown {what} {shown}; expected one of {', '.join(names)}"


def abridged(shown: str, most: int = _LONGEST_SHOWN) -> str:
    """``shown`` cut where it is longer than anybody reads."""
    return shown if len(shown) <= most else f"{shown[: most - 3]}…"
