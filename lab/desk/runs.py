"""A run that the desk has started: one at a time, in a process of its own.

It is the same command a terminal would run, so whatever holds for that (one run in a
checkout, harm under a lease) holds here, and it goes on if the desk is started anew.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import field
from pathlib import Path
from typing import Any, Final

from lab import bootstrap
from lab.adapters.cases.recording_file import recordings
from lab.errors import LabError, PreconditionError, RunInProgress, UsageError
from lab.frozen import dataclass
from lab.settings import CHECKOUT, Settings

MOST_EVENTS: Final = 5_000
"""A run of an hour tells less; beyond that something is wrong with it."""

LONGEST_ERROR: Final = 4_000


HARM_IS_STOPPED: Final = "harm is stopped, until somebody allows it at the board"


@dataclass(frozen=True, slots=True)
class Startable:
    """What the board says of a scenario; the rest of it need not stay in memory.

    ``number`` is its place on the board, by which a page asks for it: its id says too much.
    """

    number: int
    id: str
    title: str
    difficulty: int
    skill: str
    is_recorded: bool = False


Command = Callable[[str], list[str]]
"""From a scenario's id to what runs it and prints its events."""


def lab_run(scenario_id: str) -> list[str]:
    """`lab run` as this very checkout has it."""
    return [sys.executable, "-m", "lab", "run", "--events", "--by-number", "--", scenario_id]


@dataclass
class Run:
    """What a run has told so far; ``exit_code`` is None while it is at work.

    Its error is kept apart from its events, whose last one, ``ended``, says what it came to.
    """

    number: int
    title: str
    events: list[Mapping[str, Any]] = field(default_factory=list)
    exit_code: int | None = None

    @property
    def case_id(self) -> str | None:
        """The case it has opened."""
        opened = (each for each in self.events if each.get("event") == "opened")
        return next((str(each["case"]) for each in opened), None)

    @property
    def problem(self) -> str | None:
        """Why it became no case."""
        ended = (each for each in self.events if each.get("event") == "ended")
        return next((str(each["said"]) for each in ended if each["said"]), None)

    @property
    def newest(self) -> Mapping[str, Mapping[str, Any]]:
        """The newest event of each kind."""
        return {str(each.get("event")): each for each in self.events}


class Runs:
    """Starts runs and remembers the last one."""

    def __init__(self, settings: Settings, command: Command = lab_run) -> None:
        self._settings = settings
        self._command = command
        self._lock = threading.Lock()
        self._scenarios: Mapping[str, Startable] | None = None
        self._stamp: object = None
        self.last: Run | None = None

    def scenarios(self) -> Mapping[str, Startable]:
        """Every scenario of this checkout, read again when a file of theirs has changed."""
        folder = self._settings.scenarios_dir
        stamp = {path: path.stat().st_mtime_ns for path in folder.glob("*/scenario.yaml")}
        with self._lock:
            if self._scenarios is None or stamp != self._stamp:
                try:
                    known = bootstrap.scenarios(self._settings).values()
                    by_level = sorted(known, key=lambda each: (each.difficulty, each.title))
                    self._scenarios = {
                        each.id: Startable(
                            *(n, each.id, each.title, each.difficulty, each.skill),
                            is_recorded=each.is_recorded,
                        )
                        for n, each in enumerate(by_level, start=1)
                    }
                except LabError:
                    # `lab lint` says what is wrong; the cases there are can still be read.
                    self._scenarios = {}
                self._stamp = stamp
            return self._scenarios

    def recordings(self) -> Mapping[str, Path]:
        """Scenario → its recorded case, of each that has one."""
        return recordings(self._settings.scenarios_dir)

    def obstacle(self) -> str | None:
        """Why nothing can be started now; None where it can."""
        if self.at_work is not None:
            return f"a run of “{self.at_work.title}” is at work"
        if not bootstrap.stack_answers(self._settings):
            return "the stack is down; `make up` starts it"
        elsewhere = bootstrap.run_at_work(self._settings)
        if elsewhere:
            return f"a run is at work elsewhere: {elsewhere}"
        return HARM_IS_STOPPED if self.is_harm_stopped() else None

    def is_harm_stopped(self) -> bool:
        """Whether the safety lever is pulled; False where only a silent warden could tell."""

        async def ask() -> bool:
            async with bootstrap.lever(self._settings) as lever:
                return await lever.is_pulled()

        try:
            return asyncio.run(ask())
        except LabError:
            return False

    @property
    def at_work(self) -> Run | None:
        """The run that goes on, if it is one of this desk's."""
        return self.last if self.last is not None and self.last.exit_code is None else None

    def start(self, scenario_number: int) -> Run:
        """Run that scenario; UsageError for an unknown one, RunInProgress beside another."""
        numbered = {each.number: each for each in self.scenarios().values()}
        if scenario_number not in numbered:
            raise UsageError(f"expected a case of the board, got number {scenario_number}")
        scenario = numbered[scenario_number]
        if scenario.is_recorded:
            raise PreconditionError(
                "expected a case that can be run, found one that happened once and is recorded; "
                f"`lab practice {scenario.id}` opens it"
            )
        with self._lock:
            obstacle = self.obstacle()
            if obstacle:
                kind = RunInProgress if "at work" in obstacle else PreconditionError
                raise kind(f"expected nothing in the way of a run, found: {obstacle}")
            number = self.last.number + 1 if self.last else 1
            run = Run(number, scenario.title)
            process = subprocess.Popen(
                self._command(scenario.id),
                cwd=CHECKOUT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
                start_new_session=True,  # A run outlives the desk, as it outlives a terminal's end.
            )
            self.last = run
        threading.Thread(target=_follow, args=(run, process), daemon=True).start()
        return run


def _follow(run: Run, process: subprocess.Popen[str]) -> None:
    """Keep what it tells, and in the end how it ended."""
    said: list[str] = []
    assert process.stdout is not None
    assert process.stderr is not None
    errors = threading.Thread(target=_read_all, args=(process.stderr, said), daemon=True)
    errors.start()
    for line in process.stdout:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict) and len(run.events) < MOST_EVENTS:
            run.events.append(event)
    code = process.wait()
    errors.join(timeout=5)
    told = "" if run.case_id else "".join(said)[-LONGEST_ERROR:].strip() or f"it ended with {code}"
    run.events.append({"event": "ended", "exit_code": code, "said": told, "case": run.case_id})
    run.exit_code = code


def _read_all(stream: Any, into: list[str]) -> None:
    """A pipe that nobody reads stops whoever writes into it."""
    for line in stream:
        into.append(line)
        del into[:-200]
