"""``python -m lab.load worker``: one of several processes that share a run's load.

The plan comes as the first line of stdin; everything else by Locust's own connection to
the master (`lab.load.master`). Ends when stdin does: then the master is gone.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from typing import Any

import gevent
from gevent.fileobject import FileObject
from locust.env import Environment

from lab.load.actors import ACCOUNTS, credentials
from lab.load.master import ANSWER, COMMAND, LISTENS, REQUESTS
from lab.load.plan import Plan
from lab.load.request_log import Entry
from lab.load.storefront import LoginFailed
from lab.load.users_here import Crew, RunFailed
from lab.shop.topology import HOST

SEND_EVERY_S = 0.1

Send = Callable[[str, dict[str, Any]], None]


class RemoteLog:
    """What requests came to, on its way to the master, who has the file."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._entries: list[Entry] = []
        self.lateness_ms: list[float] = []

    def write(self, entry: Entry) -> None:
        """Keep ``entry`` for the next sending."""
        self._entries.append(entry)

    def send(self) -> None:
        """Send what there is; what the master is told next comes after it."""
        entries, self._entries = self._entries, []
        lateness_ms, self.lateness_ms = self.lateness_ms, []
        if entries or lateness_ms:
            requests = [asdict(entry) for entry in entries]
            self._send(REQUESTS, {"requests": requests, "lateness_ms": lateness_ms})


class Worker:
    """Does as the master says, and answers each command once it is done."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._environment = Environment()
        self._log = RemoteLog(self._send)
        self._crew = Crew(plan, self._log, self._on_failure)
        self._environment.user_classes = self._crew.user_classes()
        self._runner = self._environment.create_worker_runner(HOST, plan.master_port)
        self._runner.register_message(COMMAND, self._on_command, concurrent=True)
        self._send(LISTENS, {})
        gevent.spawn(self._send_often)

    def _on_command(self, msg: Any, **_: object) -> None:
        fields = dict(msg.data)
        do = getattr(self, f"do_{fields.pop('command')}")
        try:
            answer = do(**fields)
        except (RunFailed, LoginFailed) as problem:
            answer = {"problem": str(problem)}
        self._log.send()
        self._send(ANSWER, answer or {})

    def do_log_in(self) -> None:
        """Every n-th customer is ours."""
        mine = islice(credentials(), self._runner.worker_index, ACCOUNTS, self._plan.workers)
        self._crew.log_in(self._environment, mine)

    def do_count(self) -> dict[str, int]:
        """How many users of each kind have started here."""
        return {
            "shoppers": self._crew.places.seated,
            "dispatchers": self._crew.places.dispatching,
        }

    def do_take_places(self, places: dict[str, dict[str, int]], all_dispatchers: int) -> None:
        """Know which of all users ours are."""
        mine = places[self._runner.client_id]
        self._crew.places.first_seat = mine["first_seat"]
        self._crew.places.first_dispatcher = mine["first_dispatcher"]
        self._crew.places.all_dispatchers = all_dispatchers

    def do_enter(self, window: str, at_s: float) -> dict[str, float]:
        """Begin a window at the moment all agreed on."""
        return {"start_s": self._crew.enter(window, at_s)}

    def do_pause(self) -> None:
        """Drain."""
        self._crew.pause()

    def do_finish(self) -> dict[str, int]:
        """Drain and flush."""
        return asdict(self._crew.finish())

    def _on_failure(self, problem: BaseException) -> None:
        self._send(ANSWER, {"failure": f"{type(problem).__name__}: {problem}"})

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        self._runner.send_message(kind, data)

    def _send_often(self) -> None:
        while True:
            gevent.sleep(SEND_EVERY_S)
            self._log.send()


def main() -> int:
    """Work until stdin ends; 1 where it could not begin."""
    commands = FileObject(sys.stdin.fileno(), "r", encoding="utf-8", closefd=False)
    try:
        Worker(Plan.from_json(commands.readline()))
    except Exception:  # noqa: BLE001 (the last resort of a process; it tells and ends)
        traceback.print_exc()
        return 1
    commands.read()
    return 0
