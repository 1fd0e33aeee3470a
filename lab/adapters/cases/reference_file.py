"""Which of a stranger's traces were healthy: said by somebody, and kept beside what is sealed.

``.reference.json`` has a stretch of the case's own time; ``.reference/`` is a case of telemetry
of its own, whose traces the case is compared with. Of both the first counts.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from lab.adapters import own_folders
from lab.adapters.cases.manifest import MANIFEST
from lab.adapters.cases.own_note import write_whole
from lab.adapters.cases.trace_index import INDEX
from lab.domain.evidence import Interval
from lab.domain.rows import TraceSummary
from lab.errors import UsageError

STRETCH: Final = ".reference.json"
COMPARED: Final = ".reference"
COPIED: Final = frozenset({MANIFEST, "traces.jsonl", "checksums", INDEX})
"""What of another case is needed to compare with it, and nothing that somebody laid beside it."""
_ONE_AT_A_TIME: Final = threading.Lock()
"""Of two of a desk's forms at once the later one counts, and is kept whole."""


def read_stretch(folder: Path) -> Interval | None:
    """The stretch that was said to be healthy; None where there is none that can be read."""
    try:
        told = json.loads((folder / STRETCH).read_text(encoding="utf-8"))
        return Interval(float(told["start_unix_s"]), float(told["end_unix_s"]))
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None


def write_stretch(folder: Path, stretch: Interval) -> None:
    """Say that this stretch was healthy, and nothing else; OSError where the disk refuses."""
    told = {"start_unix_s": stretch.start_s, "end_unix_s": stretch.end_s}
    with _ONE_AT_A_TIME:
        write_whole(folder / STRETCH, json.dumps(told))
        own_folders.discard(folder / COMPARED, within=folder)


def write_compared(
    folder: Path, own: Sequence[TraceSummary], telemetry: Path, others: Sequence[TraceSummary]
) -> None:
    """Say that the traces of ``telemetry``, a case of its own, were healthy, and nothing else.

    UsageError where the case has no ``own`` trace that is not among them.
    """
    refuse_same(own, others)
    part = Path(tempfile.mkdtemp(prefix=f"{COMPARED}-", dir=folder))
    try:
        for name in COPIED:
            if (telemetry / name).is_file():
                shutil.copyfile(telemetry / name, part / name)
        with _ONE_AT_A_TIME:
            own_folders.discard(folder / COMPARED, within=folder)
            part.rename(folder / COMPARED)
            (folder / STRETCH).unlink(missing_ok=True)
    finally:
        own_folders.discard(part, within=folder)


def is_compared(name: str) -> bool:
    """Whether the lab calls what a case is compared with so, be it whole or half copied."""
    return re.fullmatch(rf"{re.escape(COMPARED)}(-([a-z0-9_]{{8}}|\d+))?", name) is not None


def refuse_same(own: Sequence[TraceSummary], others: Sequence[TraceSummary]) -> None:
    """UsageError where nothing would be left to compare with the others."""
    known = {each.trace_id for each in others}
    if all(each.trace_id in known for each in own):
        raise UsageError(
            "expected healthy traces of another time to compare with, found every trace of the "
            "case among them; a part of its own time is said as FROM..TO"
        )


def remove_reference(folder: Path) -> None:
    """Say nothing of what was healthy any more."""
    with _ONE_AT_A_TIME:
        (folder / STRETCH).unlink(missing_ok=True)
        own_folders.discard(folder / COMPARED, within=folder)


def state_of(folder: Path) -> str:
    """What tells this reference from another that the case had."""
    kept = (folder / STRETCH, folder / COMPARED)
    return " ".join(str(each.stat().st_mtime_ns) for each in kept if each.exists())
