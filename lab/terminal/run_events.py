"""The progress of a run as JSON lines, for programs; it names nothing of what is hurt."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, Self, TextIO

from lab.domain.journal import Step
from lab.domain.load import LoadProgress
from lab.terminal.run_display import STEP_WORDS


class RunEvents:
    """`lab.ports.Observer` that writes one object a line, each with its ``event``.

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
