"""A stretch of time as somebody types it, on the clock of the traces that it speaks of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from lab.domain.evidence import Interval
from lab.domain.rows import TraceSummary
from lab.domain.wording import abridged, counted
from lab.errors import UsageError

_OFFSET: Final = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d|)")
_UNIT_S: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400, "": 1}
_UNIX: Final = re.compile(r"\d{9,10}(?:\.\d{1,9})?")
_LAST_S: Final = 0.001
"""How long after the last start a stretch ends that has no end of its own."""


def stretch_of(text: str, index: Sequence[TraceSummary]) -> Interval:
    """``FROM..TO`` as a stretch of the time of these traces; UsageError says what can be meant.

    Each side is RFC 3339, Unix seconds, or an offset from the first trace (``90s``); one that
    is left out is where the traces begin or end. Some must begin inside, and some outside.
    """
    starts_s = [each.start_ns / 1e9 for each in index if each.start_ns]
    if not starts_s:
        raise UsageError("expected traces with a time, found that none says when it began")
    first_s, last_s = min(starts_s), max(starts_s)
    start, dots, end = (each.strip() for each in text.partition(".."))
    sides = (start, first_s), (end, last_s + _LAST_S)
    moments = [_moment_s(word, first_s) if word else edge for word, edge in sides]
    stretch = Interval(*(each or 0.0 for each in moments))
    inside = sum(each in stretch for each in starts_s)
    if dots and None not in moments and 0 < inside < len(starts_s):
        return stretch
    found = "none of them begins there" if not inside else "all of them begin there"
    why = f"got {abridged(text)!r}" if None in moments or not dots else found
    told = f"{Interval(first_s, last_s)}, which is 0s..{last_s - first_s:.3f}s"
    raise UsageError(
        "expected FROM..TO as RFC 3339, Unix seconds or an offset from the first trace (0s..90s), "
        f"with traces inside and outside; {why}. Its {counted(len(starts_s), 'trace')} began from "
        f"{told}"
    )


def _moment_s(word: str, first_s: float) -> float | None:
    """A moment in Unix seconds; None for what is none. Without a zone it is UTC, as told."""
    if _UNIX.fullmatch(word):
        return float(word)
    if offset := _OFFSET.fullmatch(word):
        return first_s + float(offset[1]) * _UNIT_S[offset[2]]
    try:
        moment = datetime.fromisoformat(word)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
