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
from itertools import islice
from typing import Any, TextIO

import gevent
from gevent.event import AsyncResult
from gevent.fileobject import FileObject
from gevent.pool import Pool
from gevent.queue import Queue
from locust.contrib.fasthttp import FastHttpSession
from locust.env import Environment

# After Locust, whose import replaces sockets and threads by gevent's: what holds on to
# the blocking ones before that would stop every actor while it waits.
from lab.load.actors import ACCOUNTS, Account, credentials
from lab.load.plan import Plan, PlanError
from lab.load.request_log import LogRefused, RequestLog, nearest_rank
from lab.load.storefront import LoginFailed, Storefront
from lab.load.stretch import Floor, Stretch
from lab.load.tracing import RootSpans, otlp_exporter
from lab.load.users import HEADERS, user_classes

DRAIN_S = 15.0
FLUSH_S = 10.0
PROGRESS_EVERY_S = 0.5
LOGIN_CONNECTIONS = 4


class RunFailed(Exception):
    """The run cannot go on; the message is for whoever started it."""


class Driver:
    """One run: obeys commands until it is finished."""

    def __init__(self, plan: Plan, events: TextIO) -> None:
        self._plan = plan
        self._events = events
        self._floor = Floor()
        self._log = RequestLog(plan.request_log)
        self._roots = RootSpans(otlp_exporter(plan.otlp_endpoint, plan.otlp_protocol))
        self._storefront = Storefront(plan.host, self._roots, self._log, self._floor)
        self._accounts: list[Account] = []
        self._over: AsyncResult = AsyncResult()

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
        """Log the customers in and seat the users; says ``ready``."""
        environment = Environment()
        environment.events.user_error.add_listener(self._on_user_error)
        session = FastHttpSession(
            self._plan.host,
            environment.events.request,
            user=None,
            concurrency=LOGIN_CONNECTIONS,
            network_timeout=self._plan.timeout_s,
            connection_timeout=self._plan.timeout_s,
            max_retries=0,
            headers=HEADERS,
        )
        self._accounts = Pool(LOGIN_CONNECTIONS).map(
            lambda customer: self._storefront.log_in(session, *customer),
            islice(credentials(), ACCOUNTS),
        )
        self._seat(environment)
        gevent.spawn(self._report_progress)
        self._say("ready", at_s=time.time())

    def _obey(self, command: dict[str, Any]) -> None:
        """Do one command."""
        match command:
            case {"enter": str(window)}:
                self._enter(window)
            case {"pause": True}:
                self._pause()
            case {"finish": True}:
                self._finish()
            case _:
                raise RunFailed(f"expected enter, pause or finish, got {command}")

    def _seat(self, environment: Environment) -> None:
        environment.user_classes = user_classes(
            self._plan, self._floor, self._storefront, self._on_greenlet_failure
        )
        users = sum(each.fixed_count for each in environment.user_classes)
        runner = environment.create_local_runner()
        runner.start(users, spawn_rate=min(users, 100))
        runner.spawning_greenlet.join()

    def _enter(self, window: str) -> None:
        shape = self._plan.shapes.get(window)
        if shape is None:
            raise RunFailed(f"expected one of the plan's {sorted(self._plan.shapes)}, got {window}")
        stretch = Stretch(window, shape, self._accounts, self._plan.seed)
        self._floor.open(stretch)
        self._say("entered", window=window, start_s=stretch.start_s)

    def _pause(self) -> None:
        self._floor.close()
        if not self._floor.drain(DRAIN_S):
            raise RunFailed(
                f"expected every request answered within {DRAIN_S:.0f} s of the pause, "
                f"{self._floor.in_flight} still are not"
            )
        self._say("paused", at_s=time.time())

    def _finish(self) -> None:
        self._floor.close()
        self._floor.drain(DRAIN_S)
        with gevent.Timeout(FLUSH_S, False):
            self._roots.flush()
        lateness_ms = self._log.lateness_ms
        self._say(
            "finished",
            spans_ended=self._roots.ended,
            spans_failed=self._roots.failed,
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
            if (stretch := self._floor.current) is not None:
                last = self._log.last_second(stretch.window, stretch.age_s)
                self._say("progress", **asdict(last))

    def _on_greenlet_failure(self, failed: gevent.Greenlet) -> None:
        self._fail(failed.exception)

    def _on_user_error(self, exception: BaseException, **_: object) -> None:
        self._fail(exception)

    def _fail(self, problem: BaseException) -> None:
        """End the run with ``problem``, unless it has ended already."""
        self._floor.close()
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
