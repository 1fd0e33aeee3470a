"""Load by Locust, in a process of its own: importing it replaces this process's sockets.

The process is `lab.load.driver`; it takes commands and gives events as JSON lines.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, field
from pathlib import Path
from typing import Any, Final, Literal

import anyio

from lab.domain.load import LoadPlan, LoadProgress, LoadReport, Window
from lab.errors import LoadError
from lab.frozen import dataclass
from lab.ports.load import LoadRun
from lab.shop import propagators, topology

PACKAGE_ROOT: Final = Path(__file__).resolve().parents[2]

READY_S: Final = 30.0
SHARED_READY_S: Final = 60.0  # Several processes import Locust at once.
ENTER_S: Final = 5.0
PAUSE_S: Final = 20.0
FINISH_S: Final = 40.0
"""Deadlines of an answer. Each is a little above what the process allows itself."""

TERMINATE_S: Final = 1.0
STDERR_LINES: Final = 20


@dataclass(frozen=True, slots=True)
class LocustLoad:
    """Shoppers before ``gateway_url`` whose root spans go to ``otlp_endpoint``.

    ``otlp_endpoint`` is the Collector's base URL, without ``/v1/traces``; ``carried_by`` names the
    propagators that the shop reads, with commas. ``timeout_s`` is
    an actor's patience; it must be longer than the gateway's own limits, or the actor's
    timeout hides their answers. ``jobs_environment`` says where actors that come by the clock
    find database and Collector. ``max_run_s`` and ``max_requests`` end a forgotten run.
    With ``workers`` the process is Locust's master and so many of its workers share the load.
    """

    gateway_url: str
    otlp_endpoint: str
    otlp_protocol: Literal["http/protobuf", "grpc"] = "http/protobuf"
    carried_by: str = propagators.USUAL
    timeout_s: float = 10.0
    max_run_s: float = 1800.0
    max_requests: int = 100_000
    workers: int = 0
    master_port: int = topology.PORTS["locust_master"]
    jobs_environment: Mapping[str, str] = field(default_factory=dict)

    @asynccontextmanager
    async def start(self, plan: LoadPlan, request_log: Path) -> AsyncIterator[LoadRun]:
        """Start the process and log its customers in; whatever happens, none is left after.

        Where somebody comes by the clock, that is a second process beside it.
        """
        async with AsyncExitStack() as stack:
            environment = clean_environment(self.carried_by)
            shoppers = await stack.enter_async_context(_process("lab.load", environment))
            deadline_s = SHARED_READY_S if self.workers else READY_S
            await shoppers.prepare(self._plan_line(plan, request_log), deadline_s)
            if not any(shape.jobs for shape in plan.shapes.values()):
                yield shoppers
                return
            environment |= self.jobs_environment
            jobs = await stack.enter_async_context(_process("lab.load.jobs", environment))
            await jobs.prepare({"shapes": _timetables(plan)})
            yield BothRuns(shoppers, jobs)

    def _plan_line(self, plan: LoadPlan, request_log: Path) -> dict[str, object]:
        return {
            "host": self.gateway_url,
            "otlp_endpoint": self.otlp_endpoint,
            "otlp_protocol": self.otlp_protocol,
            "request_log": str(request_log),
            "seed": plan.seed,
            "shapes": {
                window.value: {
                    "mix": dict(shape.mix),
                    "users": shape.users,
                    "rate_per_s": shape.rate_per_s,
                    "pace_s": shape.pace_s,
                    "bursts": [asdict(burst) for burst in shape.bursts],
                }
                for window, shape in plan.shapes.items()
            },
            "timeout_s": self.timeout_s,
            "max_run_s": self.max_run_s,
            "max_requests": self.max_requests,
            "workers": self.workers,
            "master_port": self.master_port,
        }


@asynccontextmanager
async def _process(module: str, environment: Mapping[str, str]) -> AsyncIterator[LocustRun]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        # A session of its own: Ctrl-C in the terminal is the lab's to act on, which
        # still needs the load process to drain and flush.
        start_new_session=True,
    )
    run = LocustRun(process)
    try:
        yield run
    finally:
        # A cancelled scope cancels every wait in it: the process would end after the loop.
        with anyio.CancelScope(shield=True):
            await _end(process)
            await run.stop_reading()


def _timetables(plan: LoadPlan) -> dict[str, object]:
    return {
        window.value: {name: asdict(job) for name, job in shape.jobs.items()}
        for window, shape in plan.shapes.items()
    }


class BothRuns:
    """Shoppers, and whoever comes by the clock: in and out of each window together."""

    def __init__(self, shoppers: LocustRun, jobs: LocustRun) -> None:
        self._shoppers = shoppers
        self._jobs = jobs

    async def enter(self, window: Window) -> float:
        """Load as the plan says for ``window``; returns its start (Unix seconds)."""
        start_s = await self._shoppers.enter(window)
        await self._jobs.enter(window)
        return start_s

    async def pause(self) -> float:
        """Start nothing new and wait until nothing is in flight; returns that moment."""
        return max(await asyncio.gather(self._jobs.pause(), self._shoppers.pause()))

    def progress(self) -> LoadProgress | None:
        """The newest second of the shoppers; None before the first."""
        return self._shoppers.progress()

    async def finish(self) -> LoadReport:
        """Drain, flush every span, and end both processes."""
        jobs, shoppers = await asyncio.gather(self._jobs.finish(), self._shoppers.finish())
        return LoadReport(
            spans_ended=jobs.spans_ended + shoppers.spans_ended,
            spans_failed=jobs.spans_failed + shoppers.spans_failed,
            lateness_p99_ms=shoppers.lateness_p99_ms,
        )


class LocustRun:
    """A load process at work. Every wait has a deadline; LoadError when it is missed."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._answers: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue()
        self._progress: LoadProgress | None = None
        self._last_lines: deque[str] = deque(maxlen=STDERR_LINES)
        self._readers = [
            asyncio.create_task(self._read_events()),
            asyncio.create_task(self._read_stderr()),
        ]

    async def prepare(self, plan: Mapping[str, object], deadline_s: float = READY_S) -> None:
        """Hand over the plan and wait until every customer is logged in."""
        await self._ask(plan, "ready", deadline_s)

    async def enter(self, window: Window) -> float:
        """Load as the plan says for ``window``; returns its start (Unix seconds)."""
        answer = await self._ask({"enter": window.value}, "entered", ENTER_S)
        return float(answer["start_s"])

    async def pause(self) -> float:
        """Start nothing new and wait until nothing is in flight; returns that moment."""
        answer = await self._ask({"pause": True}, "paused", PAUSE_S)
        return float(answer["at_s"])

    def progress(self) -> LoadProgress | None:
        """The newest second; None before the first."""
        return self._progress

    async def finish(self) -> LoadReport:
        """Drain, flush every span, and end the process."""
        answer = await self._ask({"finish": True}, "finished", FINISH_S)
        return LoadReport(
            spans_ended=answer["spans_ended"],
            spans_failed=answer["spans_failed"],
            lateness_p99_ms=answer["lateness_p99_ms"],
        )

    async def stop_reading(self) -> None:
        """Let go of the process's pipes."""
        for reader in self._readers:
            reader.cancel()
        await asyncio.gather(*self._readers, return_exceptions=True)

    async def _ask(
        self, command: Mapping[str, object], awaited: str, deadline_s: float
    ) -> dict[str, Any]:
        """Send ``command`` and wait for the event ``awaited``."""
        assert self._process.stdin is not None
        try:
            async with asyncio.timeout(deadline_s):
                # A dead process breaks the pipe; its last words are on the other two.
                with suppress(BrokenPipeError, ConnectionResetError):
                    self._process.stdin.write(json.dumps(command).encode() + b"\n")
                    await self._process.stdin.drain()
                answer = await self._answers.get()
        except TimeoutError as late:
            raise LoadError(
                f"expected the load generator to say '{awaited}' within {deadline_s:.0f} s, "
                f"heard nothing; {self._last_words()}"
            ) from late
        if answer is None:
            code = await self._process.wait()
            raise LoadError(
                f"expected the load generator to say '{awaited}', "
                f"it ended with exit code {code}; {self._last_words()}"
            )
        if answer["event"] == "failed":
            raise LoadError(f"the load generator failed: {answer['message']}")
        if answer["event"] != awaited:
            raise LoadError(f"expected the load generator to say '{awaited}', got {answer}")
        return answer

    async def _read_events(self) -> None:
        """Keep the newest progress, queue everything else; None marks the end."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            event = json.loads(line)
            if event["event"] != "progress":
                self._answers.put_nowait(event)
                continue
            del event["event"]
            self._progress = LoadProgress(**{**event, "window": Window(event["window"])})
        # Let stderr be read to its end first: it explains this one.
        with suppress(TimeoutError):
            async with asyncio.timeout(TERMINATE_S):
                await asyncio.wait([self._readers[1]])
        self._answers.put_nowait(None)

    async def _read_stderr(self) -> None:
        assert self._process.stderr is not None
        async for line in self._process.stderr:
            self._last_lines.append(line.decode(errors="replace").rstrip())

    def _last_words(self) -> str:
        if not self._last_lines:
            return "it wrote nothing to stderr"
        return "its last lines:\n" + "\n".join(self._last_lines)


async def _end(process: asyncio.subprocess.Process) -> None:
    """Leave no process behind: close its stdin, ask it to end, then make it."""
    if process.stdin is not None:
        process.stdin.close()
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.terminate()
    with suppress(TimeoutError):
        async with asyncio.timeout(TERMINATE_S):
            await process.wait()
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


def clean_environment(carried_by: str) -> dict[str, str]:
    """This process's, without settings of OpenTelemetry or Locust for others, able to import us.

    ``carried_by`` names the propagators by which actors hand their traces on.
    """
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("OTEL_", "LOCUST_"))
    }
    # The actors' exporter would else send its spans to a proxy of the user's.
    environment |= {"NO_PROXY": topology.HOST, "no_proxy": topology.HOST}
    environment["OTEL_PROPAGATORS"] = carried_by
    paths = [str(PACKAGE_ROOT), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    return environment
