"""Numbers, ids, names and foreign texts as a person reads them; and *did you mean*."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable
from typing import Final

_LONGEST_SHOWN: Final = 60


def duration(ms: float) -> str:
    """Three digits and a unit: ``0.45ms``, ``12.3ms``, ``480ms``, ``1.02s``, ``2m05s``."""
    if not math.isfinite(ms):
        return "?"
    if ms < 0:
        return "-" + duration(-ms)
    if ms < 0.9995:
        return f"{ms:.2f}ms"
    if ms < 99.95:
        return f"{ms:.1f}ms"
    if ms < 999.5:
        return f"{ms:.0f}ms"
    if ms < 99_500:
        return f"{ms / 1000:.2f}s" if ms < 9_995 else f"{ms / 1000:.1f}s"
    minutes, rest_s = divmod(round(ms / 1000), 60)
    return f"{minutes}m{rest_s:02d}s"


def short_ids(ids: list[str], least: int) -> dict[str, str]:
    """Each id's shortest beginning, of at least ``least`` digits, that no other shares."""
    ordered = sorted(set(ids))
    short: dict[str, str] = {}
    for n, each in enumerate(ordered):
        neighbours = ordered[max(0, n - 1) : n] + ordered[n + 1 : n + 2]
        shared = max((_shared(each, other) for other in neighbours), default=0)
        short[each] = each[: max(least, shared + 1)]
    return short


def _shared(one: str, other: str) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )


def counted(number: int, noun: str) -> str:
    """``1 hint``, ``2 hints``, ``1,066 hints``."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def times_usual(times: float) -> str:
    """How many times the usual: ``×1.4``, ``×14``; ``×9999+`` beyond that."""
    return f"×{times:.1f}" if times < 9.95 else f"×{times:.0f}" if times < 9999.5 else "×9999+"


_OPENS: Final = re.compile(r"!(?=\[)|\](?=\((?!https?://))|\](?=:(?![ \t]*<?https?://))")
"""Behind which an image, a link, or the target of links elsewhere in the text begins."""

_TAG: Final = re.compile(r"<(?=[A-Za-z/!?])")


def visible(text: str) -> str:
    """``text`` without anything that could move a cursor or turn the letters round.

    Whatever a service, a case file or a foreign system wrote may hold it, and a terminal
    obeys what it is shown. Ends of lines and tabs stay.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in "\n\t" else "�" for each in text)


def plain_markdown(text: str) -> str:
    """Markdown whose HTML, images, and links to anything but the web, are shown as text.

    A viewer fetches an image without being asked, and so tells who reads. What begins it is
    escaped from behind: a backslash put in front may meet another one, and undo both.
    """
    return _OPENS.sub(r"\g<0>\\", _TAG.sub("&lt;", visible(text)))


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
