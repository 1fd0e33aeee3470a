"""The warden's own diary: what it did, when, and by which method."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Protocol

from lab.ports.clock import Clock

log = logging.getLogger("lab.warden")


class WardenJournal(Protocol):
    """Where the warden writes what it does."""

    def record(self, event: str, **facts: object) -> None:
        """Append one entry. Never fails: harm must go even when the disk is full."""
        ...


class JournalFile:
    """One JSON object a line, appended and flushed; times in seconds."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock

    def record(self, event: str, **facts: object) -> None:
        """Append one entry; what cannot be written goes to the process's log instead."""
        entry = {
            "time_unix_s": round(self._clock.unix(), 3),
            "monotonic_s": round(self._clock.monotonic(), 3),
            "event": event,
            **facts,
        }
        line = json.dumps(entry, default=str)
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:
            log.warning("could not append to %s (%s): %s", self._path, error, line)
