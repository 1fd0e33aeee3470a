"""How far the reading of large files is, where it takes long enough to wonder."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Final, Self

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

SHOWN_AFTER_S: Final = 2.0


class ReadingDisplay:
    """A bar over ``total`` bytes, in a terminal and after two seconds; gone at the end."""

    def __init__(self, console: Console, what: str, total: int) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task(what, total=total)
        self._shown_from_s = time.monotonic() + SHOWN_AFTER_S

    def __enter__(self) -> Self:
        """Be ready; nothing is drawn yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()

    def advance(self, count: int) -> None:
        """So many bytes more were read."""
        self._bar.advance(self._task, count)
        if not self._bar.live.is_started and time.monotonic() >= self._shown_from_s:
            self._bar.start()
