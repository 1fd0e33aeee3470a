"""What a dashboard would have shown: rate, errors and latency at the edge over time. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Final

from lab.domain.evidence import Evidence
from lab.domain.load import Request, percentile
from lab.domain.trace import AttributeValue, Span
from lab.frozen import dataclass
from lab.investigation.reading.requests import WINDOW_WORDS, axis_start_s

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
    windows = stretches(evidence)
    if not windows:
        return Signals(0.0, step_s, (), ())
    origin_s = axis_start_s(evidence)
    end_s = max(each.end_s for each in windows)
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
        buckets=tuple(_bucket(n * step_s, grouped.get(n, []), windows) for n in range(count)),
        windows=windows,
    )


def stretches(evidence: Evidence) -> tuple[Stretch, ...]:
    """The windows on the time axis of a case, in their order."""
    origin_s = axis_start_s(evidence)
    return tuple(
        Stretch(word, window.start_s - origin_s, window.end_s - origin_s)
        for word, window in ((w, evidence.windows.get(each)) for each, w in WINDOW_WORDS.items())
        if window is not None
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


INSTANCE: Final = "service.instance.id"
"""Tells the processes of a service apart (OpenTelemetry's resource conventions)."""

_OF_A_PROCESS: Final = re.compile(
    r"service\.instance\.id|process\.(pid|parent_pid|creation\.time|owner)|host\.(id|name|ip|mac)"
    r"|container\.(id|name)|k8s\.pod\.(name|uid|ip|start_time)"
)
"""What differs from process to process also where nobody changed anything."""


@dataclass(frozen=True, slots=True)
class Restart:
    """A service that went on as another process, in seconds since the first window's start.

    Between the last kept span of the one and the first of the other. ``changed`` has what its
    resource says otherwise: attribute → old and new value, None where there was none.
    """

    service: str
    after_s: float
    by_s: float
    changed: Mapping[str, tuple[AttributeValue | None, AttributeValue | None]]


@dataclass(slots=True)
class _Process:
    first: Span
    start_s: float
    end_s: float


def restarts(evidence: Evidence) -> tuple[Restart, ...]:
    """The restarts and deployments that kept spans show, in order of time.

    One is seen where a process begins to send spans after another of its service sent its
    last; a second one beside it is a replica and no restart. A service without
    ``service.instance.id`` shows none.
    """
    found: list[Restart] = []
    origin_s = axis_start_s(evidence)
    for service, processes in _processes(evidence).items():
        waiting: list[_Process] = []
        for new in sorted(processes, key=lambda each: each.start_s):
            gone = [each for each in waiting if each.end_s <= new.start_s]
            if gone:
                old = max(gone, key=lambda each: each.end_s)
                waiting.remove(old)
                after_s, by_s = (round(at - origin_s, 3) for at in (old.end_s, new.start_s))
                found.append(Restart(service, after_s, by_s, _changed(old.first, new.first)))
            waiting.append(new)
    return tuple(sorted(found, key=lambda each: (each.by_s, each.service)))


def _processes(evidence: Evidence) -> Mapping[str, Iterable[_Process]]:
    found: dict[str, dict[AttributeValue, _Process]] = {}
    spans = (span for trace in evidence.traces.values() for span in trace)
    for span in spans:
        instance = span.resource.get(INSTANCE)
        if instance is None or span.is_undated:
            continue
        start_s, end_s = span.start_ns / 1e9, max(span.start_ns, span.end_ns) / 1e9
        seen = found.setdefault(span.service, {}).setdefault(
            instance, _Process(span, start_s, end_s)
        )
        seen.start_s, seen.end_s = min(seen.start_s, start_s), max(seen.end_s, end_s)
    return {service: by_id.values() for service, by_id in found.items()}


def _changed(
    old: Span, new: Span
) -> Mapping[str, tuple[AttributeValue | None, AttributeValue | None]]:
    names = sorted(old.resource.keys() | new.resource.keys())
    pairs = {name: (old.resource.get(name), new.resource.get(name)) for name in names}
    return {
        name: pair
        for name, pair in pairs.items()
        if pair[0] != pair[1] and not _OF_A_PROCESS.fullmatch(name)
    }
