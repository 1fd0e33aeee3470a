"""The load process: commands in on stdin, events out on stdout, one JSON object a line.

In: first the plan (`lab.load.plan.Plan`), then ``{"enter": "crime"}``, ``{"pause": true}``,
``{"finish": true}``. Out: ``ready``, ``entered``, ``paused``, ``progress``, ``finished`` and
``failed``, each under the key ``event``. Ends when stdin does: nobody is left to pause it.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from dataclasses import asdict
from typing import Any, TextIO

import gevent
from gevent.event import AsyncResult
from gevent.fileobject import FileObject
from gevent.queue import Queue

from lab.load.master import Fleet
from lab.load.plan import Plan
from lab.load.request_log import LogRefused, RequestLog, nearest_rank
from lab.load.shape import PlanError
from lab.load.storefront import LoginFailed
from lab.load.users_here import Crew, Hands, RunFailed

PROGRESS_EVERY_S = 0.5


class Driver:
    """One run: obeys commands until it is finished."""

    def __init__(self, plan: Plan, events: TextIO) -> None:
        self._plan = plan
        self._events = events
        self._log = RequestLog(plan.request_log)
        self._over: AsyncResult = AsyncResult()
        make: type[Crew | Fleet] = Fleet if plan.workers else Crew
        self._hands: Hands = make(plan, self._log, self._fail)

    def serve(self, commands: FileObject) -> None:
        """Prepare, then obey each line of ``commands``; fails with EOFError when they end."""
        waiting: Queue[str] = Queue()

        def listen() -> None:
            # Apart from the work, so that the end of stdin is seen during a drain too.
            for line in commands:
                waiting.put(line)
            self._fail(EOFError("stdin ended"))

        def work() -> None:
            self._prepare()
            for line in waiting:
                self._obey(json.loads(line))

        gevent.spawn_later(
            self._plan.max_run_s,
            self._fail,
            RunFailed(f"stopped after {self._plan.max_run_s:.0f} s: the plan's limit"),
        )
        for part in (listen, work):
            gevent.spawn(part).link_exception(self._on_greenlet_failure)
        self._over.get()

    def _prepare(self) -> None:
        self._hands.prepare()
        gevent.spawn(self._report_progress)
        self._say("ready", at_s=time.time())

    def _obey(self, command: dict[str, Any]) -> None:
        """Do one command."""
        match command:
            case {"enter": str(window)}:
                self._say("entered", window=window, start_s=self._hands.enter(window))
            case {"pause": True}:
                self._hands.pause()
                self._say("paused", at_s=time.time())
            case {"finish": True}:
                self._finish()
            case _:
                raise RunFailed(f"expected enter, pause or finish, got {command}")

    def _finish(self) -> None:
        spans = self._hands.finish()
        lateness_ms = self._log.lateness_ms
        self._say(
            "finished",
            spans_ended=spans.ended,
            spans_failed=spans.failed,
            lateness_p99_ms=round(nearest_rank(lateness_ms, 99), 3) if lateness_ms else None,
        )
        self._log.close()
        self._over.set(None)

    def _report_progress(self) -> None:
        while True:
            gevent.sleep(PROGRESS_EVERY_S)
            if self._log.written > self._plan.max_requests:
                self._fail(
                    RunFailed(f"stopped after {self._log.written} requests: the plan's limit")
                )
            if (current := self._hands.current) is not None:
                self._say("progress", **asdict(self._log.last_second(*current)))

    def _on_greenlet_failure(self, failed: gevent.Greenlet) -> None:
        self._fail(failed.exception)

    def _fail(self, problem: BaseException) -> None:
        """End the run with ``problem``, unless it has ended already."""
        self._hands.close()
        if not self._over.ready():
            self._over.set_exception(problem)

    def _say(self, event: str, **fields: object) -> None:
        say(self._events, event, **fields)


def say(events: TextIO, event: str, **fields: object) -> None:
    """Write one event."""
    events.write(json.dumps({"event": event, **fields}) + "\n")
    events.flush()


def main() -> int:
    """Run a plan from stdin; 0 finished, 1 failed, 3 when stdin ended first."""
    events = _take_stdout()
    commands = FileObject(sys.stdin.fileno(), "r", encoding="utf-8", closefd=False)
    try:
        Driver(Plan.from_json(commands.readline()), events).serve(commands)
    except EOFError:
        return 3
    except (PlanError, LoginFailed, LogRefused, RunFailed) as problem:
        say(events, "failed", message=str(problem))
        return 1
    except Exception as problem:  # noqa: BLE001 (the last resort of a process; it tells and ends)
        traceback.print_exc()
        say(events, "failed", message=f"{type(problem).__name__}: {problem}")
        return 1
    return 0


def _take_stdout() -> TextIO:
    """Keep stdout for events alone: what anything else prints goes to stderr."""
    events = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return events
