"""Which of a stranger's traces were healthy: said by somebody, and kept beside what is sealed.

``.reference.json`` has a stretch of the case's own time; ``.reference/`` is a case of telemetry
of its own, whose traces the case is compared with. Of both the first counts.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from lab.adapters import own_folders
from lab.domain.evidence import Interval
from lab.domain.rows import TraceSummary
from lab.domain.wording import abridged, counted
from lab.errors import UsageError

STRETCH: Final = ".reference.json"
COMPARED: Final = ".reference"

_OFFSET: Final = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ms|s|m|h|d)")
_UNIT_S: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}
_UNIX: Final = re.compile(r"\d{9,10}(?:\.\d{1,9})?")
_LAST_S: Final = 0.001
"""How long after the last start a stretch ends that has no end of its own."""


def read_stretch(folder: Path) -> Interval | None:
    """The stretch that was said to be healthy; None where there is none that can be read."""
    try:
        told = json.loads((folder / STRETCH).read_text(encoding="utf-8"))
        return Interval(float(told["start_unix_s"]), float(told["end_unix_s"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def write_stretch(folder: Path, stretch: Interval) -> None:
    """Say that this stretch was healthy, and nothing else; OSError where the disk refuses."""
    part = folder / f"{STRETCH}.part-{os.getpid()}"
    told = {"start_unix_s": stretch.start_s, "end_unix_s": stretch.end_s}
    part.write_text(json.dumps(told), encoding="utf-8")
    part.replace(folder / STRETCH)
    own_folders.discard(folder / COMPARED, within=folder)


def write_compared(
    folder: Path, own: Sequence[TraceSummary], telemetry: Path, others: Sequence[TraceSummary]
) -> None:
    """Say that the traces of ``telemetry``, a case of its own, were healthy, and nothing else.

    UsageError where the case has no ``own`` trace that is not among them.
    """
    known = {each.trace_id for each in others}
    if all(each.trace_id in known for each in own):
        raise UsageError(
            "expected healthy traces of another time to compare with, found every trace of the "
            "case among them; a part of its own time is said as FROM..TO"
        )
    part = folder / f"{COMPARED}-{os.getpid()}"
    try:
        shutil.copytree(telemetry, part, ignore=shutil.ignore_patterns(f"{COMPARED}*"))
        own_folders.discard(folder / COMPARED, within=folder)
        part.rename(folder / COMPARED)
    finally:
        own_folders.discard(part, within=folder)
    (folder / STRETCH).unlink(missing_ok=True)


def remove_reference(folder: Path) -> None:
    """Say nothing of what was healthy any more."""
    (folder / STRETCH).unlink(missing_ok=True)
    own_folders.discard(folder / COMPARED, within=folder)


def state_of(folder: Path) -> str:
    """What tells this reference from another that the case had."""
    kept = (folder / STRETCH, folder / COMPARED)
    return " ".join(str(each.stat().st_mtime_ns) for each in kept if each.exists())


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
    if offset := _OFFSET.fullmatch(word):
        return first_s + float(offset[1]) * _UNIT_S[offset[2]]
    if _UNIX.fullmatch(word):
        return float(word)
    try:
        moment = datetime.fromisoformat(word)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
