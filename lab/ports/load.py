"""The shoppers, for the length of a run."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from lab.domain.load import LoadPlan, LoadProgress, LoadReport, Window


class LoadRun(Protocol):
    """A load generator at work; one process for the whole run."""

    async def enter(self, window: Window) -> float:
        """Load as the plan says for ``window``; returns its start (Unix seconds)."""
        ...

    async def pause(self) -> float:
        """Start nothing new and wait until nothing is in flight; returns that moment."""
        ...

    def progress(self) -> LoadProgress | None:
        """The newest second; None before the first."""
        ...

    async def finish(self) -> LoadReport:
        """Drain, flush every span, and end the process."""
        ...


class LoadGenerator(Protocol):
    """Shoppers."""

    def start(self, plan: LoadPlan, request_log: Path) -> AbstractAsyncContextManager[LoadRun]:
        """A run of ``plan``; leaving the context leaves no process behind."""
        ...
