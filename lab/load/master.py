"""A run whose load is shared: this process is Locust's master, its workers do the work.

Commands go out and answers come back as messages of Locust's own connection. A worker's
messages arrive in the order in which they were sent, so that when it says *paused* every
request of it is in the log.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import gevent
from gevent.event import AsyncResult
from locust.env import Environment

from lab.load.plan import Plan
from lab.load.request_log import Entry, RequestLog
from lab.load.users_here import Crew, OnFailure, RunFailed, Spans
from lab.shop.topology import HOST

COMMAND, ANSWER, REQUESTS = "lab_command", "lab_answer", "lab_requests"
LISTENS = "lab_listens"
"""Said by a worker that takes commands: Locust counts it as ready a moment before that."""
CONNECT_S = 40.0
ANSWER_S = 30.0
TOGETHER_S = 0.1
"""How far ahead a window's start is agreed on: longer than a message takes to any worker."""

_LOOK_EVERY_S = 0.05
_END_S = 2.0


class Fleet:
    """`lab.load.users_here.Hands` of several processes."""

    def __init__(self, plan: Plan, log: RequestLog, on_failure: OnFailure) -> None:
        self._plan = plan
        self._log = log
        self._on_failure = on_failure
        self._current: tuple[str, float] | None = None
        self._listening: set[str] = set()
        self._waiting: dict[str, AsyncResult] = {}
        self._processes: list[WorkerProcess] = []
        self._finished = False

    @property
    def current(self) -> tuple[str, float] | None:
        """The window that is on, and for how long (seconds)."""
        if self._current is None:
            return None
        window, start_s = self._current
        return window, max(time.time() - start_s, 0)

    def prepare(self) -> None:
        """Start the workers, have them log their customers in, and seat the users among them."""
        environment = Environment()
        # Only their names and numbers matter here: the users are the workers'.
        environment.user_classes = Crew(self._plan, self._log, self._on_failure).user_classes()
        self._master = environment.create_master_runner(HOST, self._plan.master_port)
        self._master.register_message(LISTENS, lambda msg, **_: self._listening.add(msg.node_id))
        self._master.register_message(ANSWER, self._on_answer)
        self._master.register_message(REQUESTS, self._on_requests)
        self._processes = [WorkerProcess(self._plan) for _ in range(self._plan.workers)]
        gevent.spawn(self._watch).link_exception(lambda failed: self._on_failure(failed.exception))
        self._until(
            f"{self._plan.workers} workers to connect",
            lambda: len(self._listening) == self._plan.workers,
        )
        self._all("log_in")
        users = sum(each.fixed_count for each in environment.user_classes)
        self._master.start(users, spawn_rate=min(users, 100))
        self._seat(users)

    def enter(self, window: str) -> float:
        """Begin ``window`` everywhere at one moment; returns it."""
        at_s = time.time() + TOGETHER_S
        started = self._all("enter", window=window, at_s=at_s)
        start_s = min(answer["start_s"] for answer in started)
        self._current = (window, start_s)
        return float(start_s)

    def pause(self) -> None:
        """Start nothing new anywhere, and wait until nothing is in flight."""
        self._current = None
        self._all("pause")

    def finish(self) -> Spans:
        """Drain, have every span handed over, and end the workers."""
        self._current = None
        spans = self._all("finish")
        self._finished = True
        self._end()
        return Spans(sum(each["ended"] for each in spans), sum(each["failed"] for each in spans))

    def close(self) -> None:
        """End the workers: there is no other way to be sure that nothing new starts."""
        self._current = None
        self._finished = True
        self._end()

    def _seat(self, users: int) -> None:
        """Have every worker know which of all users its own are, once all have started."""

        def taken() -> bool:
            self._counts = {each["node"]: each for each in self._all("count")}
            seated = [int(has["shoppers"] + has["dispatchers"]) for has in self._counts.values()]
            return sum(seated) == users

        self._until(f"{users} users to be seated", taken)
        seat, dispatcher, places = 0, 0, {}
        for node, has in self._counts.items():
            places[node] = {"first_seat": seat, "first_dispatcher": dispatcher}
            seat, dispatcher = seat + has["shoppers"], dispatcher + has["dispatchers"]
        self._all("take_places", places=places, all_dispatchers=max(dispatcher, 1))

    def _all(self, command: str, **fields: object) -> list[dict[str, Any]]:
        """Tell every worker, and wait for all their answers; RunFailed where one fails or hangs."""
        nodes = [client.id for client in self._master.clients.all]
        self._waiting = {node: AsyncResult() for node in nodes}
        self._master.send_message(COMMAND, {"command": command, **fields})
        done = gevent.wait(list(self._waiting.values()), timeout=ANSWER_S)
        if len(done) < len(nodes):
            raise RunFailed(
                f"expected {len(nodes)} workers to {command} within {ANSWER_S:.0f} s, "
                f"{len(done)} did"
            )
        answers = [{"node": node, **waiting.get()} for node, waiting in self._waiting.items()]
        if problems := [str(answer["problem"]) for answer in answers if "problem" in answer]:
            raise RunFailed(problems[0])
        return answers

    def _on_answer(self, msg: Any, **_: object) -> None:
        if "failure" in msg.data:
            self._on_failure(RunFailed(msg.data["failure"]))
        elif msg.node_id in self._waiting:
            self._waiting[msg.node_id].set(msg.data)

    def _on_requests(self, msg: Any, **_: object) -> None:
        for entry in msg.data["requests"]:
            self._log.write(Entry(**entry))
        self._log.lateness_ms += msg.data["lateness_ms"]

    def _watch(self) -> None:
        """Notice a worker that died: what it did not send is lost, and so is the run."""
        while not self._finished:
            gevent.sleep(_LOOK_EVERY_S)
            for number, process in enumerate(self._processes, start=1):
                if not self._finished and process.exit_code() is not None:
                    raise RunFailed(
                        f"expected worker {number} of {self._plan.workers} to run to the end, "
                        f"it ended with exit code {process.exit_code()}"
                    )

    def _until(self, awaited: str, holds: Callable[[], bool]) -> None:
        give_up_s = time.monotonic() + CONNECT_S
        while not holds():
            if time.monotonic() > give_up_s:
                raise RunFailed(f"expected {awaited} within {CONNECT_S:.0f} s, they did not")
            gevent.sleep(_LOOK_EVERY_S)

    def _end(self) -> None:
        for process in self._processes:
            process.let_go()
        give_up_s = time.monotonic() + _END_S
        while any(p.exit_code() is None for p in self._processes) and time.monotonic() < give_up_s:
            gevent.sleep(_LOOK_EVERY_S)
        for process in self._processes:
            process.kill()


class WorkerProcess:
    """A worker, which ends when it is let go, or when this process is gone.

    Spawned and not forked: after a fork by gevent, in Python, OpenTelemetry's hooks wait
    for threads that the new process does not have.
    """

    def __init__(self, plan: Plan) -> None:
        reading, self._stdin = os.pipe()
        command = (sys.executable, "-m", "lab.load", "worker")
        self._pid = os.posix_spawn(
            command[0],
            command,
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, reading, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            ],
        )
        os.close(reading)
        line = json.dumps({**asdict(plan), "request_log": str(plan.request_log)})
        os.write(self._stdin, f"{line}\n".encode())
        self._exit_code: int | None = None

    def exit_code(self) -> int | None:
        """What it ended with; None while it runs."""
        if self._exit_code is None:
            pid, status = os.waitpid(self._pid, os.WNOHANG)
            if pid:
                self._exit_code = os.waitstatus_to_exitcode(status)
        return self._exit_code

    def let_go(self) -> None:
        """Close its stdin, at which it leaves."""
        if self._stdin >= 0:
            os.close(self._stdin)
            self._stdin = -1

    def kill(self) -> None:
        """End it, if it is still there."""
        if self.exit_code() is None:
            os.kill(self._pid, signal.SIGKILL)
