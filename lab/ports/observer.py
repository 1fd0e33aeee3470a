"""Who is told how a run goes on."""

from __future__ import annotations

from typing import Protocol

from lab.domain.journal import Step
from lab.domain.load import LoadProgress


class Observer(Protocol):
    """Whoever watches a run; never told what the fault is."""

    def phase(self, step: Step, detail: str, seconds_left: float | None = None) -> None:
        """Told when a step starts, and as its time runs down."""
        ...

    def progress(self, progress: LoadProgress) -> None:
        """The newest second of load."""
        ...

    def note(self, text: str) -> None:
        """Something worth a line."""
        ...
