"""A load generator that replays requests on the clock it is given."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import field, replace
from pathlib import Path

from pydantic import TypeAdapter

from lab.domain.load import LoadPlan, LoadProgress, LoadReport, Request, Window, percentile
from lab.errors import LoadError
from lab.frozen import dataclass
from lab.ports.clock import Clock

_REQUEST = TypeAdapter(Request)


@dataclass(frozen=True, slots=True)
class MemoryLoad:
    """Replays ``requests``: those of a window each time it is entered.

    Their ``start_s`` and ``planned_s`` are seconds since the window's start. ``lost_spans``
    and ``lateness_p99_ms`` are what the report shall say.
    """

    clock: Clock
    requests: Mapping[Window, Sequence[Request]]
    lost_spans: int = 0
    lateness_p99_ms: float | None = None

    @asynccontextmanager
    async def start(self, plan: LoadPlan, request_log: Path) -> AsyncIterator[MemoryRun]:
        """A run of ``plan``; ends with the context, finished or not."""
        run = MemoryRun(self, plan, request_log)
        try:
            yield run
        finally:
            run.is_over = True


@dataclass(slots=True)
class MemoryRun:
    """A replay. Time passes only while others sleep on the clock."""

    load: MemoryLoad
    plan: LoadPlan
    request_log: Path
    is_over: bool = False
    _window: Window | None = None
    _start_s: float = 0.0
    _written: list[Request] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.request_log.touch()

    async def enter(self, window: Window) -> float:
        """Begin to replay the requests of ``window``; returns its start (Unix seconds)."""
        self._check_running()
        if window not in self.plan.shapes:
            known = sorted(each.value for each in self.plan.shapes)
            raise LoadError(f"expected one of the plan's {known}, got {window.value}")
        self._end_window()
        self._window, self._start_s = window, self.load.clock.unix()
        return self._start_s

    async def pause(self) -> float:
        """End the window, wait for the answer of whatever straddles its end."""
        self._check_running()
        last_end_s = self._end_window()
        await self.load.clock.sleep(max(0.0, last_end_s - self.load.clock.unix()))
        return self.load.clock.unix()

    def progress(self) -> LoadProgress | None:
        """The requests that ended in the last second; None before a second has passed."""
        now_s = self.load.clock.unix()
        if self._window is None or now_s - self._start_s < 1.0:
            return None
        ended = [each for each in self._begun() if now_s - 1.0 < _end_s(each) <= now_s]
        failed = sum(each.is_server_error for each in ended)
        return LoadProgress(
            window=self._window,
            requests=len(ended),
            requests_per_s=float(len(ended)),
            error_rate=failed / len(ended) if ended else 0.0,
            p95_ms=percentile([each.latency_ms for each in ended], 0.95) if ended else 0.0,
        )

    async def finish(self) -> LoadReport:
        """Drain and report."""
        await self.pause()
        self.is_over = True
        return LoadReport(
            spans_ended=len(self._written),
            spans_failed=self.load.lost_spans,
            lateness_p99_ms=self.load.lateness_p99_ms,
        )

    def _check_running(self) -> None:
        if self.is_over:
            raise LoadError("expected a running load generator, it has ended")

    def _begun(self) -> list[Request]:
        """The window's requests that started until now, at their real times."""
        if self._window is None:
            return []
        replayed = (
            replace(
                each,
                window=self._window,
                planned_s=self._start_s + each.planned_s,
                start_s=self._start_s + each.start_s,
            )
            for each in self.load.requests.get(self._window, ())
        )
        now_s = self.load.clock.unix()
        return [each for each in replayed if each.start_s <= now_s]

    def _end_window(self) -> float:
        """Write what began in the window; returns when the last of it ends (Unix seconds)."""
        now_s = self.load.clock.unix()
        begun = [
            each if _end_s(each) <= now_s else replace(each, window=Window.TRANSITION)
            for each in self._begun()
        ]
        with self.request_log.open("a", encoding="utf-8") as log:
            log.writelines(_line(each) for each in begun)
        self._written += begun
        self._window = None
        return max(map(_end_s, begun), default=now_s)


def _end_s(request: Request) -> float:
    return request.start_s + request.latency_ms / 1000


def _line(request: Request) -> str:
    return _REQUEST.dump_json(request).decode() + "\n"
