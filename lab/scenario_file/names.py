"""*Did you mean*: names near to one that nobody knows."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near_names(wrong: str, known: Iterable[str]) -> tuple[str, ...]:
    """Up to three of ``known`` that ``wrong`` may have been meant for, nearest first."""
    return tuple(difflib.get_close_matches(wrong, sorted(known), n=3, cutoff=0.6))


def unknown_name(what: str, wrong: str, known: Iterable[str]) -> str:
    """A sentence that refuses ``wrong`` and offers what is near, or else everything."""
    names = sorted(known)
    offer = near_names(wrong, names)
    if offer:
        return f"unknown {what} {wrong!r}; did you mean {' or '.join(offer)}?"
    return f"unknown {what} {wrong!r}; expected one of {', '.join(names)}"
