"""What the stack's start still waits for, while it starts."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final, Self

from rich.console import Console
from rich.status import Status
from rich.text import Text

from lab.terminal.display import Display

NAMES_AT_MOST: Final = 5
"""So many fit on one line of a terminal beside the words around them."""


class StartDisplay(Display[Status]):
    """Told of each part that is ready; one live line in a terminal, else a line a part.

    A context manager around the start. Parts that were ready before are not spoken of.
    """

    def __init__(self, console: Console, waiting_for: Iterable[str]) -> None:
        self._console = console
        self._pending = dict.fromkeys(waiting_for)
        self._started_s = time.monotonic()
        self._drawing = console.status(self._line())

    def __enter__(self) -> Self:
        """Start to draw, in a terminal that has something to show."""
        if self._pending and self._console.is_terminal:
            self._drawing.start()
        elif self._pending:
            self._console.print(self._line())
        return self

    def ready(self, name: str) -> None:
        """``name`` is waited for no longer."""
        if name not in self._pending:
            return
        del self._pending[name]
        self._drawing.update(self._line())
        if not self._console.is_terminal:
            into_start = f"{time.monotonic() - self._started_s:6.1f}s"
            self._console.print(Text(f"{into_start}  {name} is ready; ").append(self._line()))

    def _line(self) -> Text:
        names = list(self._pending)
        if not names:
            return Text("nothing is waited for")
        more = len(names) - NAMES_AT_MOST
        shown = ", ".join(names[:NAMES_AT_MOST]) + (f" and {more} more" if more > 0 else "")
        return Text(f"waiting for {shown}")
