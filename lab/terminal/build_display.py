"""The building of tools while it goes on: what, for how long, and how long it usually takes."""

from __future__ import annotations

import time
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lab.domain.wording import duration
from lab.terminal.display import Display

LINE_EVERY_S: Final = 15.0
"""Where nobody watches: at most one line a tool in so much time, and one a new phase."""


class BuildDisplay(Display[Live]):
    """Called with each moment of a build; a context manager around all of them."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._seen: dict[str, tuple[str, float, float]] = {}
        self._line_at_s: dict[str, float] = {}
        # Last, because Live draws its first view while it is made.
        self._drawing = Live(console=console, refresh_per_second=4, get_renderable=self._view)

    def __call__(self, tool: str, phase: str, elapsed_s: float, estimate_s: float) -> None:
        """Show one moment of one tool; times in seconds."""
        before = self._seen.get(tool)
        self._seen[tool] = (phase, elapsed_s, estimate_s)
        if self._console.is_terminal:
            if not self._drawing.is_started:
                self._drawing.start()
            return
        now_s = time.monotonic()
        new_phase = before is None or before[0] != phase
        if new_phase or now_s - self._line_at_s[tool] >= LINE_EVERY_S:
            self._line_at_s[tool] = now_s
            self._console.print(Text(f"{tool}: {phase}, {_times(elapsed_s, estimate_s)}"))

    def _view(self) -> Table:
        view = Table.grid(padding=(0, 2, 0, 0))
        for tool, (phase, elapsed_s, estimate_s) in self._seen.items():
            bar = ProgressBar(total=max(estimate_s, elapsed_s, 0.1), completed=elapsed_s, width=24)
            view.add_row(tool, bar, Text(_times(elapsed_s, estimate_s)), Text(phase, style="dim"))
        return view


def _times(elapsed_s: float, estimate_s: float) -> str:
    return f"{duration(elapsed_s * 1000)} of about {duration(estimate_s * 1000)}"
