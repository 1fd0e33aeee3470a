"""What each request came to: written out as it ends, and counted for the last second."""

from __future__ import annotations

import json
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from typing import Final, TextIO

LAST_S: Final = 1.0
"""How far back the progress looks."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One request, at Unix seconds; ``status`` 0 means no answer, bytes are of its body."""

    window: str
    planned_s: float
    start_s: float
    latency_ms: float
    actor: str
    route: str
    tenant: str
    status: int
    trace_id: str
    answer_bytes: int = 0

    @property
    def is_server_error(self) -> bool:
        """Whether the shop failed it."""
        return self.status == 0 or self.status >= 500


@dataclass(frozen=True, slots=True)
class LastSecond:
    """The newest second of a window, or less where the window is younger."""

    window: str
    requests: int
    requests_per_s: float
    error_rate: float
    p95_ms: float


class LogRefused(Exception):
    """The disk does not take what a request came to; the message says what to do."""


class RequestLog:
    """JSON lines at ``path``, each flushed at once: a killed run still tells what it did."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: TextIO = path.open("a", encoding="utf-8")
        self._recent: deque[tuple[float, Entry]] = deque()
        self.lateness_ms: list[float] = []
        self.written = 0

    def write(self, entry: Entry) -> None:
        """Append ``entry``; LogRefused where the disk does not take it."""
        try:
            self._file.write(json.dumps(asdict(entry), separators=(",", ":")) + "\n")
            self._file.flush()
        except OSError as error:
            raise LogRefused(
                f"expected to write {self._path}, found: {error.strerror}; free some space"
            ) from error
        self.written += 1
        self._recent.append((time.monotonic(), entry))
        self._forget_before(time.monotonic() - LAST_S)

    def last_second(self, window: str, age_s: float) -> LastSecond:
        """Progress of ``window``, which has run for ``age_s``."""
        self._forget_before(time.monotonic() - LAST_S)
        entries = [entry for _, entry in self._recent if entry.window == window]
        if not entries:
            return LastSecond(window, 0, 0.0, 0.0, 0.0)
        latencies = [entry.latency_ms for entry in entries]
        return LastSecond(
            window=window,
            requests=len(entries),
            requests_per_s=len(entries) / max(min(age_s, LAST_S), 0.1),
            error_rate=sum(entry.is_server_error for entry in entries) / len(entries),
            p95_ms=nearest_rank(latencies, 95),
        )

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _forget_before(self, moment: float) -> None:
        while self._recent and self._recent[0][0] < moment:
            self._recent.popleft()


def nearest_rank(values: Sequence[float], percent: int) -> float:
    """The smallest value that ``percent`` of all do not exceed; ``values`` must not be empty."""
    return sorted(values)[ceil(len(values) * percent / 100) - 1]
