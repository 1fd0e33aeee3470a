"""The progress of a run, for people or for programs; it names nothing of what is hurt."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from typing import Any, Final, Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from lab.domain.journal import Step
from lab.domain.load import LoadProgress
from lab.domain.scenario import Scenario
from lab.domain.wording import duration
from lab.terminal.display import Display


class RunEvents:
    """`Observer` that writes one object a line, each with its ``event``.

    ``phase`` has ``step``, ``says``, ``detail`` and ``seconds_left``; ``load`` the newest second;
    ``note`` a ``text``. The caller writes how it ended.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def __enter__(self) -> Self:
        """Nothing to start."""
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to end."""

    def phase(self, step: Step, detail: str, seconds_left: float | None = None) -> None:
        """Told when a step starts, and as its time runs down."""
        self.write(
            "phase",
            step=step.value,
            says=STEP_WORDS[step],
            detail=detail,
            seconds_left=None if seconds_left is None else round(max(0.0, seconds_left), 1),
        )

    def progress(self, progress: LoadProgress) -> None:
        """The newest second of load."""
        self.write("load", **asdict(progress))

    def note(self, text: str) -> None:
        """Something worth a line."""
        self.write("note", text=text)

    def write(self, event: str, **data: Any) -> None:
        """One line, at once: somebody reads along."""
        self._stream.write(json.dumps({"event": event, **data}, default=str) + "\n")
        self._stream.flush()


STEP_WORDS: Final = {
    Step.PREFLIGHT: "is the lab fit for a case?",
    Step.SETTLE: "waiting until the shop runs evenly",
    Step.REFERENCE: "a healthy shop, to compare with",
    Step.CRIME: "the incident",
    Step.RECOVERY: "the shop recovers",
    Step.EVIDENCE: "fetching traces",
    Step.PROOF: "is the case fair?",
    Step.OPENED: "the case is open",
}

LINE_EVERY_S: Final = 5.0
"""Where nobody watches: at most one line of load in so much time."""

LoadedSteps = frozenset({Step.SETTLE, Step.REFERENCE, Step.CRIME, Step.RECOVERY})


class RunDisplay(Display[Live]):
    """`Observer` on a console: live in a terminal, else plain lines.

    A context manager; what it showed live is gone at its end, notes stay.
    """

    def __init__(self, console: Console, scenario: Scenario | None = None) -> None:
        self._console = console
        self._title = scenario.title if scenario else "run"
        self._step: Step | None = None
        self._detail = ""
        self._seconds_left: float | None = None
        self._load: LoadProgress | None = None
        self._started_s = time.monotonic()
        self._line_at_s = self._started_s
        # Last, because Live draws its first view while it is made.
        self._drawing = Live(
            console=console, refresh_per_second=4, transient=True, get_renderable=self._view
        )

    def __enter__(self) -> Self:
        """Start to draw, in a terminal."""
        if self._console.is_terminal:
            self._drawing.start()
        return self

    def phase(self, step: Step, detail: str, seconds_left: float | None = None) -> None:
        """Told when a step starts, and as its time runs down."""
        changed = step is not self._step
        self._step, self._detail, self._seconds_left = step, detail, seconds_left
        if changed:
            self._load = None
            self._line_at_s = time.monotonic()
            self._console.print(
                Text(self._phase_line(), style="bold" if self._drawing.is_started else "")
            )

    def progress(self, progress: LoadProgress) -> None:
        """The newest second of load."""
        self._load = progress
        now_s = time.monotonic()
        if not self._drawing.is_started and now_s - self._line_at_s >= LINE_EVERY_S:
            self._line_at_s = now_s
            self._console.print(Text(f"          {self._load_line()}"))

    def note(self, text: str) -> None:
        """Something worth a line that stays."""
        self._console.print(Text(text))

    def _phase_line(self) -> str:
        if self._step is None:
            return ""
        into_run = f"{time.monotonic() - self._started_s:6.1f}s"
        words = STEP_WORDS[self._step]
        detail = f" ({self._detail})" if self._detail else ""
        return f"{into_run}  {self._step.value:<10} {words}{detail}"

    def _load_line(self) -> str:
        load = self._load
        if load is None:
            return "no load yet"
        left = "" if self._seconds_left is None else f"{max(0.0, self._seconds_left):.0f}s left, "
        return (
            f"{left}{load.requests_per_s:.0f} requests/s, {load.error_rate:.0%} errors, "
            f"p95 {duration(load.p95_ms)}"
        )

    def _view(self) -> Table:
        view = Table.grid(padding=(0, 2, 0, 0))
        steps = list(STEP_WORDS)
        done = steps.index(self._step) if self._step else 0
        bar = Text("●" * (done + 1) + "○" * (len(steps) - done - 1), style="cyan")
        left = "" if self._seconds_left is None else f"{max(0.0, self._seconds_left):4.0f}s left"
        view.add_row(bar, Text(self._title, style="bold"), Text(left))
        if self._load is not None and self._step in LoadedSteps:
            load = self._load
            errors = Text(f"{load.error_rate:.0%} errors", style="red" if load.error_rate else "")
            view.add_row(
                Text(f"{load.requests_per_s:.0f} req/s"),
                errors,
                Text(f"p95 {duration(load.p95_ms)}"),
            )
        return view
