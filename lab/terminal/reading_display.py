"""How far the reading of large files is, where it takes long enough to wonder."""

from __future__ import annotations

import time
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from lab.terminal.display import Display

SHOWN_AFTER_S: Final = 2.0


class ReadingDisplay(Display[Progress]):
    """A bar over ``total`` bytes, in a terminal and after two seconds; gone at the end."""

    def __init__(self, console: Console, what: str, total: int) -> None:
        self._drawing = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._drawing.add_task(what, total=total)
        self._shown_from_s = time.monotonic() + SHOWN_AFTER_S

    def advance(self, count: int) -> None:
        """So many bytes more were read."""
        self._drawing.advance(self._task, count)
        if not self._drawing.live.is_started and time.monotonic() >= self._shown_from_s:
            self._drawing.start()
