"""What a dashboard would have shown: rate, errors and latency at the edge over time. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from lab.domain.evidence import Evidence
from lab.domain.load import Request, percentile
from lab.investigation.reading.requests import WINDOW_WORDS

MOST_BUCKETS: Final = 600
"""A chart has 440 points across: what is finer costs work, and nobody sees it."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """The requests that started within one step; times in seconds since the first window's start.

    ``p50_ms`` and ``p95_ms`` are None where no request started. ``window`` is None between
    two windows.
    """

    start_s: float
    requests: int
    errors: int
    rejected: int
    p50_ms: float | None
    p95_ms: float | None
    window: str | None


@dataclass(frozen=True, slots=True)
class Stretch:
    """A window in a learner's words, in seconds since the first window's start."""

    word: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Signals:
    """Evenly spaced buckets of ``step_s`` seconds; ``origin_unix_s`` is their zero."""

    origin_unix_s: float
    step_s: float
    buckets: tuple[Bucket, ...]
    windows: tuple[Stretch, ...]

    @property
    def end_s(self) -> float:
        """Where the last bucket ends."""
        return len(self.buckets) * self.step_s


def signals(evidence: Evidence, *, route: str | None = None, step_s: float = 1.0) -> Signals:
    """The three signals of the requests of ``route``, or of all.

    Requests of settling and of transitions are left out, as they count for nothing. Where
    ``step_s`` would make more than `MOST_BUCKETS`, the step is the next whole multiple of it
    that does not.
    """
    windows = {
        word: evidence.windows[w] for w, word in WINDOW_WORDS.items() if w in evidence.windows
    }
    if not windows:
        return Signals(0.0, step_s, (), ())
    origin_s = min(window.start_s for window in windows.values())
    stretches = tuple(
        Stretch(word, window.start_s - origin_s, window.end_s - origin_s)
        for word, window in windows.items()
    )
    end_s = max(each.end_s for each in stretches)
    step_s *= max(1, math.ceil(end_s / step_s / MOST_BUCKETS))
    count = max(1, math.ceil(end_s / step_s))
    meant = (
        request
        for request in evidence.requests
        if request.window in WINDOW_WORDS and route in {None, request.route}
    )
    grouped = _grouped(meant, origin_s, step_s, count)
    return Signals(
        origin_unix_s=origin_s,
        step_s=step_s,
        buckets=tuple(_bucket(n * step_s, grouped.get(n, []), stretches) for n in range(count)),
        windows=stretches,
    )


def _grouped(
    requests: Iterable[Request], origin_s: float, step_s: float, count: int
) -> Mapping[int, list[Request]]:
    grouped: dict[int, list[Request]] = {}
    for request in requests:
        number = min(count - 1, max(0, int((request.start_s - origin_s) / step_s)))
        grouped.setdefault(number, []).append(request)
    return grouped


def _bucket(start_s: float, requests: list[Request], windows: tuple[Stretch, ...]) -> Bucket:
    latencies = [request.latency_ms for request in requests]
    inside = [each.word for each in windows if each.start_s <= start_s < each.end_s]
    return Bucket(
        start_s=start_s,
        requests=len(requests),
        errors=sum(request.is_server_error for request in requests),
        rejected=sum(request.is_rejected for request in requests),
        p50_ms=percentile(latencies, 0.5) if latencies else None,
        p95_ms=percentile(latencies, 0.95) if latencies else None,
        window=inside[0] if inside else None,
    )
