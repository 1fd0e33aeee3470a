"""The process of the actors that follow a timetable, the auditor; it speaks as `lab.load.driver`.

In: first the timetables, ``{"shapes": {"crime": {"auditor": {"at_s": 3, "every_s": 10,
"holds_s": 4}}}}``, then ``{"enter": "crime"}``, ``{"pause": true}``, ``{"finish": true}``.
Out: ``ready``, ``entered``, ``paused``, ``finished`` and ``failed``. Ends when stdin does,
and whatever an actor holds ends with it. Run as ``python -m lab.load.jobs``.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Mapping
from typing import Any, Protocol

from opentelemetry.context import Context

from lab.shop import telemetry
from lab.shop.database import Database
from lab.shop.ledger import MERCHANT_ACCOUNT
from lab.shop.problems import Problem
from lab.shop.settings import AuditorSettings
from lab.shop.telemetry import tracer

HOLD_BALANCE = "SELECT balance_cents FROM accounts WHERE id = $1 FOR UPDATE"


class Auditor:
    """Compares the merchant's balance with the papers, which takes as long as it takes.

    Nobody may book while it does: it holds the account until it is through.
    """

    def __init__(self) -> None:
        self._ledger = Database("ledger_db", AuditorSettings())

    async def open(self) -> None:
        """Connect, trying until the database answers."""
        await self._ledger.open()

    async def close(self) -> None:
        """Drop the connection, and with it whatever is held."""
        await self._ledger.close()

    async def visit(self, holds_s: float) -> None:
        """One audit; what goes wrong stands in its trace, and the next one tries again."""
        books: dict[str, str | int] = {"account_id": MERCHANT_ACCOUNT}
        try:
            with tracer.start_as_current_span("audit_accounts", Context(), attributes=books):
                async with self._ledger.transaction(books) as connection:
                    await connection.fetchval(HOLD_BALANCE, MERCHANT_ACCOUNT)
                    await asyncio.sleep(holds_s)
        except Problem:
            return


class Actor(Protocol):
    """Somebody who comes by the clock."""

    async def open(self) -> None:
        """Get ready to work."""
        ...

    async def visit(self, holds_s: float) -> None:
        """Do the work once."""
        ...

    async def close(self) -> None:
        """Let go of everything."""
        ...


class Jobs:
    """Every actor's timetable, window by window."""

    def __init__(
        self, shapes: Mapping[str, Mapping[str, Any]], actors: Mapping[str, Actor]
    ) -> None:
        self._shapes = shapes
        self._actors = actors
        self._timetables: list[asyncio.Task[None]] = []
        self._visits: set[asyncio.Task[None]] = set()

    def enter(self, window: str) -> None:
        """Begin the timetables of ``window``, counted from now."""
        self._end_timetables()
        for name, job in self._shapes.get(window, {}).items():
            self._timetables.append(asyncio.create_task(self._follow(self._actors[name], job)))

    async def pause(self) -> None:
        """Begin nothing new, and wait for what was begun."""
        self._end_timetables()
        if self._visits:
            await asyncio.wait(self._visits)

    async def _follow(self, actor: Actor, job: Mapping[str, float]) -> None:
        due_s = time.monotonic() + job["at_s"]
        while True:
            await asyncio.sleep(max(0.0, due_s - time.monotonic()))
            visit = asyncio.create_task(actor.visit(job["holds_s"]))
            self._visits.add(visit)
            visit.add_done_callback(self._visits.discard)
            due_s += job["every_s"]

    def _end_timetables(self) -> None:
        for timetable in self._timetables:
            timetable.cancel()
        self._timetables.clear()


async def _serve(shapes: Mapping[str, Mapping[str, Any]], counter: telemetry.SpanCounter) -> int:
    # After telemetry has patched what it imports.
    from lab.load.jobs import Auditor

    auditor = Auditor()
    jobs = Jobs(shapes, {"auditor": auditor})
    await auditor.open()
    _say("ready", at_s=time.time())
    commands = await _stdin()
    try:
        while line := await commands.readline():
            match json.loads(line):
                case {"enter": str(window)}:
                    jobs.enter(window)
                    _say("entered", window=window, start_s=time.time())
                case {"pause": True}:
                    await jobs.pause()
                    _say("paused", at_s=time.time())
                case {"finish": True}:
                    await jobs.pause()
                    await asyncio.to_thread(telemetry.flush)
                    ended = counter.count
                    _say("finished", spans_ended=ended, spans_failed=0, lateness_p99_ms=None)
                    return 0
                case command:
                    _say("failed", message=f"expected enter, pause or finish, got {command}")
                    return 1
        return 3
    finally:
        await auditor.close()


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), sys.stdin
    )
    return reader


def _say(event: str, **fields: object) -> None:
    sys.stdout.write(json.dumps({"event": event, **fields}) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Follow the timetables of stdin; 0 finished, 1 failed, 3 when stdin ended first."""
    # Nothing follows this line before it was answered, so that no buffer keeps a command.
    shapes = json.loads(sys.stdin.readline())["shapes"]
    counter = telemetry.SpanCounter(memoryview(bytearray(8)))
    telemetry.start(counter)
    telemetry.log_as_json()
    return asyncio.run(_serve(shapes, counter))


if __name__ == "__main__":
    sys.exit(main())
