"""Rate, errors and latency in a terminal, as sparklines over one axis of time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from lab.domain.evidence import Evidence
from lab.domain.load import Request, percentile
from lab.domain.wording import duration
from lab.investigation.reading.edge_signals import Bucket, Signals, signals
from lab.investigation.reading.requests import WINDOW_WORDS, outcome_of
from lab.terminal.tables import plain_table

_LEVELS: Final = "▁▂▃▄▅▆▇█"
_LABEL: Final = 12
_NUMBER: Final = 9


class SignalChart:
    """A renderable: a sparkline a signal over one time axis, and the numbers of each window.

    A step is a second, or as many as make the axis fit. With ``is_alone`` no time is called
    anything.
    """

    def __init__(self, evidence: Evidence, route: str | None, is_alone: bool = False) -> None:
        self._evidence = evidence
        self._route = route
        self._is_alone = is_alone

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the lines, the windows below them, and the table."""
        found = signals(self._evidence, route=self._route)
        room = max(10, options.max_width - _LABEL - _NUMBER)
        found = signals(
            self._evidence, route=self._route, step_s=max(1, math.ceil(found.end_s / room))
        )
        grid = Table.grid(padding=0)
        for n, width in enumerate((_LABEL, len(found.buckets), _NUMBER)):
            grid.add_column(width=width, no_wrap=True, justify="right" if n == 2 else "left")
        for name, values, most, style in _lines(found):
            grid.add_row(Text(name), Text(sparkline(values), style=style), Text(most, style="dim"))
        if not self._is_alone:
            grid.add_row("", _ruler(found), "")
        yield grid
        yield _window_table(self._evidence, self._route, self._is_alone)
        yield Text(
            f"{found.step_s:g} s a step from {found.end_s:g} s; the number behind a line is its "
            "highest step. Requests of between two windows count for nothing.",
            style="dim",
        )


def sparkline(values: Sequence[float | None]) -> str:
    """A block a value, from 0 to the highest; a dot for 0, a blank where nothing was measured."""
    most = max((value for value in values if value is not None), default=0.0)

    def block(value: float | None) -> str:
        if value is None:
            return " "
        if value <= 0 or most <= 0:
            return "·"
        return _LEVELS[min(len(_LEVELS) - 1, int(value / most * len(_LEVELS)))]

    return "".join(map(block, values))


def _lines(found: Signals) -> Iterable[tuple[str, list[float | None], str, str]]:
    """Each signal: name, values, the highest in words, style."""
    inside = found.buckets

    def rate(count: int, bucket: Bucket) -> float | None:
        return count / found.step_s if bucket.window or count else None

    for name, counts, style in (
        ("requests/s", [rate(each.requests, each) for each in inside], "blue"),
        ("errors/s", [rate(each.errors, each) for each in inside], "red"),
        ("rejected/s", [rate(each.rejected, each) for each in inside], "yellow"),
    ):
        yield name, counts, f"{_most(counts):g}", style
    for name, times in (
        ("p50", [each.p50_ms for each in inside]),
        ("p95", [each.p95_ms for each in inside]),
    ):
        yield name, times, duration(_most(times)), "magenta"


def _most(values: Iterable[float | None]) -> float:
    return round(max((value for value in values if value is not None), default=0.0), 1)


def _ruler(found: Signals) -> Text:
    """The windows below the axis, each from its first step to its last."""
    text = Text()
    for each in found.windows:
        start, end = (round(at / found.step_s) for at in (each.start_s, each.end_s))
        text.append(" " * max(0, start - len(text)))
        length = max(2, end - start)
        inner = each.word[: length - 2].ljust(length - 2, "─")
        text.append(f"├{inner}┤", style="bold" if each.word == "incident" else "dim")
    return text


def _window_table(evidence: Evidence, route: str | None, is_alone: bool) -> Table:
    names = ("requests", "a second", "errors", "rejected", "p50", "p95", "max")
    table = plain_table("window", "from", "to", *names, right=("from", "to", *names))
    origin_s = min((each.start_s for each in evidence.windows.values()), default=0.0)
    for row in window_rows(evidence, route, is_alone):
        start_s, end_s = row["start_unix_s"] - origin_s, row["end_unix_s"] - origin_s
        times = [row[each] for each in ("p50_ms", "p95_ms", "max_ms")]
        table.add_row(
            row["window"],
            *(f"{start_s:.0f}s", f"{end_s:.0f}s", str(row["requests"])),
            f"{row['requests'] / (end_s - start_s):.1f}",
            *(_share(row[each], row["requests"]) for each in ("errors", "rejected")),
            *("" if each is None else duration(each) for each in times),
        )
    return table


def _share(count: int, of: int) -> str:
    return f"{count} ({count / of:.0%})" if count else "0"


def window_rows(
    evidence: Evidence, route: str | None, is_alone: bool = False
) -> list[dict[str, Any]]:
    """Each window as a whole: requests, errors, rejected, and what they took in ms.

    With ``is_alone`` there is one window, and no word for it.
    """
    rows = []
    for window, word in WINDOW_WORDS.items():
        if window not in evidence.windows:
            continue
        found = [
            each
            for each in evidence.requests
            if each.window is window and route in {None, each.route}
        ]
        rows.append(
            {
                "window": "all" if is_alone else word,
                "start_unix_s": evidence.windows[window].start_s,
                "end_unix_s": evidence.windows[window].end_s,
                "requests": len(found),
                "errors": _count(found, "error"),
                "rejected": _count(found, "rejected"),
                **_times(found),
            }
        )
    return rows


def _count(requests: Sequence[Request], outcome: str) -> int:
    return sum(outcome_of(each) == outcome for each in requests)


def _times(requests: Sequence[Request]) -> dict[str, float | None]:
    shares = {"p50_ms": 0.5, "p95_ms": 0.95, "max_ms": 1.0}
    took = [each.latency_ms for each in requests]
    return {n: round(percentile(took, each), 3) if took else None for n, each in shares.items()}
