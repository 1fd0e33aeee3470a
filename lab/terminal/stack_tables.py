"""The stack, this machine and the tools: as tables, and while they start or are built."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.status import Status
from rich.table import Table
from rich.text import Text

from lab.domain.wording import duration
from lab.terminal.display import Display
from lab.terminal.tables import plain_table
from lab.terminal.text import clean

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


HARM_IS_STOPPED: Final = "harm is stopped: no lease is given until `lab allow-harm`"

_STATES: Final = {"ready": ("✔", "green"), "starting": ("…", "yellow")}
_LEVELS: Final = {
    "ok": ("✔ ok", "green"),
    "warn": ("! warn", "yellow"),
    "fail": ("✖ fail", "bold red"),
}


class Diagnosis(Protocol):
    """One thing that was looked at; ``level`` is ok, warn or fail."""

    @property
    def name(self) -> str:
        """What was looked at."""
        ...

    @property
    def level(self) -> str:
        """How it is."""
        ...

    @property
    def found(self) -> str:
        """What was found."""
        ...

    @property
    def advice(self) -> str:
        """What to do about it; empty where nothing needs doing."""
        ...


def status_table(
    parts: Iterable[Mapping[str, Any]],
    lease: Mapping[str, Any] | str | None,
    harm_stopped: bool | str = False,
) -> RenderableType:
    """Parts (``name``, ``state``, ``pid``, ``port``), the lease that is held, the safety lever.

    ``lease`` and ``harm_stopped`` are a word instead where the warden did not say.
    """
    table = plain_table("part", "state", "pid", "port", fold=("state",), right=("pid", "port"))
    for part in parts:
        mark, style = _STATES.get(str(part["state"]), ("✖", "bold red"))
        table.add_row(
            str(part["name"]),
            Text(f"{mark} {clean(str(part['state']))}", style=style),
            _number(part["pid"]),
            _number(part["port"]),
        )
    lines = [Text(_lease(lease))]
    if harm_stopped is True:
        lines.append(Text(HARM_IS_STOPPED, style="bold yellow"))
    return Group(table, *lines)


def doctor_table(findings: Iterable[Diagnosis]) -> RenderableType:
    """Every finding, and below it what to do."""
    table = plain_table("", "looked at", "found", fold=("found",))
    for finding in findings:
        mark, style = _LEVELS.get(finding.level, (finding.level, ""))
        found = Text(clean(finding.found))
        if finding.advice:
            found.append(f"\n→ {clean(finding.advice)}", style="bold")
        table.add_row(Text(mark, style=style), finding.name, found)
    return table


def tools_table(tools: Iterable[Mapping[str, Any]], cache_key: str) -> RenderableType:
    """Tools (``name``, ``version``, ``source``, ``path``) and the key CI may cache them by."""
    table = plain_table("tool", "version", "from", "path", fold=("path",))
    for tool in tools:
        found = tool["path"] is not None
        table.add_row(
            str(tool["name"]),
            str(tool["version"]),
            Text(str(tool["source"]), style="" if found else "bold red"),
            Text(str(tool["path"]) if found else "`lab tools --build` builds it"),
        )
    return Group(table, Text(f"cache key: {cache_key}"))


def _lease(lease: Mapping[str, Any] | str | None) -> str:
    if lease is None:
        return "no lease is held: the shop is as it should be"
    if isinstance(lease, str):
        return f"whether a lease is held is {lease}: the warden does not answer"
    return (
        f"a lease is held by {clean(str(lease['holder']))} ({lease['state']}), "
        f"it ends in {float(lease['expires_in_s']):.0f} s unless it is kept up"
    )


def _number(value: object) -> str:
    return "" if value is None else str(value)
