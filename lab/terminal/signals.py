"""What a dashboard would show, in a terminal: three signals as sparklines, and log lines."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from lab.domain.evidence import Evidence
from lab.domain.load import Request, percentile
from lab.domain.trace import Trace
from lab.domain.wording import counted, duration, short_ids
from lab.investigation.reading.edge_signals import Bucket, Signals, signals
from lab.investigation.reading.logs import BETWEEN, LogLine, LogPattern
from lab.investigation.reading.requests import WINDOW_WORDS, outcome_of
from lab.terminal.tables import iso, plain_table
from lab.terminal.text import clean

_LEVELS: Final = "▁▂▃▄▅▆▇█"
_LABEL: Final = 12
_NUMBER: Final = 9
_LEVEL_STYLES: Final = {"FATAL": "bold red", "ERROR": "bold red", "WARN": "yellow"}


# --- signals ------------------------------------------------------------------------------


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


# --- log lines ----------------------------------------------------------------------------


def pattern_table(found: Sequence[LogPattern], *, limit: int, lines: int) -> RenderableType:
    """What the lines say, the worst and newest first, counted by window."""
    if not found:
        return Text("no log line fits; leave a filter out, or see `lab logs --help`")
    counts = ("before", "incident", "after")
    table = plain_table("level", "service", *counts, "", "says", fold=("says",), right=counts)
    for each in found[:limit]:
        table.add_row(
            _level(each.severity),
            Text(clean(each.service, 40)),
            *(str(getattr(each, word)) for word in counts),
            Text("new" if each.is_new else "", style="yellow"),
            Text(clean(each.pattern, 300)),
        )
    told = (
        f"{min(limit, len(found))} of {counted(len(found), 'kind')} of line, which "
        f"{counted(lines, 'line')} that the case keeps are of; # stands for what differs. "
        "`--lines` lists the lines, `--pattern TEXT` those of a kind."
    )
    return Group(table, Text(told, style="dim"))


def line_table(
    evidence: Evidence, found: Sequence[LogLine], *, limit: int, trace: Trace | None
) -> RenderableType:
    """The lines in order of time, each with its trace, or of one ``trace`` with its span.

    Ids are as short as they may be typed.
    """
    if not found:
        return Text("no log line fits; leave a filter out, or see `lab logs --help`")
    ids = short_ids(list(evidence.traces if trace is None else trace.by_id), 8 - 4 * bool(trace))
    owner = "trace" if trace is None else "span"
    table = plain_table(
        *("when", "into it", "level", "service", owner, "says"), fold=("says",), right=("into it",)
    )
    for each in found[:limit]:
        owner_id = each.trace_id if trace is None else each.span_id
        table.add_row(
            each.window or BETWEEN if evidence.windows else "",
            _into(evidence, each),
            _level(each.severity),
            Text(clean(each.service, 40)),
            _owner(owner_id, ids),
            Text(clean(each.body, 600)),
        )
    told = f"{min(limit, len(found))} of {counted(len(found), 'line')} that fit."
    more = "`lab logs TRACE` shows those of one trace." if trace is None else ""
    return Group(table, Text(f"{told} {more}".rstrip(), style="dim"))


def _owner(owner_id: str | None, ids: Mapping[str, str]) -> Text:
    if owner_id is None:
        return Text("none", style="dim")
    if owner_id in ids:
        return Text(ids[owner_id], style="cyan")
    return Text(f"{clean(owner_id, 16)} not kept", style="yellow")


def line_rows(found: Iterable[LogLine]) -> list[dict[str, Any]]:
    """The lines as a program reads them."""
    return [
        {
            "time": iso(each.time_unix_s),
            "window": each.window,
            "service": each.service,
            "severity": each.severity,
            "trace_id": each.trace_id,
            "span_id": each.span_id,
            "body": each.body,
        }
        for each in found
    ]


def _level(severity: str) -> Text:
    return Text(clean(severity.lower(), 10), style=_LEVEL_STYLES.get(severity, "dim"))


def _into(evidence: Evidence, line: LogLine) -> str:
    for window, word in WINDOW_WORDS.items():
        if word == line.window:
            return f"{line.time_unix_s - evidence.windows[window].start_s:.1f}s"
    return ""
