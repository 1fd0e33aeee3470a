"""The requests of a case, and its traces that no request began, shown as lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from lab.domain.evidence import Evidence
from lab.domain.load import Request
from lab.domain.trace import Trace
from lab.domain.wording import duration, short_ids
from lab.investigation.reading.background import background_rows, first_span
from lab.investigation.reading.requests import WINDOW_WORDS, into_window_s, outcome_of
from lab.terminal.text import clean

_LEAST_DIGITS: Final = 8


def background_table(evidence: Evidence, traces: tuple[Trace, ...], *, full: bool) -> Table | Text:
    """The traces as a table; ids as short as `resolve_trace` takes them, or whole with ``full``."""
    if not traces:
        return Text("every trace of this case is a request's own")
    ids = list(evidence.traces)
    shown = {each: each for each in ids} if full else short_ids(ids, _LEAST_DIGITS)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("trace", "when", "into it", "took", "spans"):
        table.add_column(heading, justify="left" if heading in {"trace", "when"} else "right")
    table.add_column("begins with", overflow="fold")
    for trace, row in zip(traces, background_rows(evidence, traces), strict=True):
        first = first_span(trace)
        table.add_row(
            Text(shown[trace.trace_id], style="cyan"),
            row["window"] or "between",
            "" if row["window"] is None else f"{row['into_window_s']:.1f}s",
            duration(first.duration_ms),
            str(row["spans"]),
            Text(f"{clean(first.service, 40)} {clean(first.name, 120)}"),
        )
    return table


_MARKS: Final = {"ok": ("✔ ok", "green"), "error": ("✖ error", "bold red")} | {
    "rejected": ("▲ rejected", "yellow")
}
_ROOMY: Final = 100


def request_rows(evidence: Evidence, requests: Sequence[Request]) -> list[dict[str, Any]]:
    """The requests as a program reads them; ``into_window_s`` counts from the window's start.

    ``stands_for`` says for how many requests the trace stands that the case keeps of this one.
    """
    return [
        {
            "trace_id": request.trace_id,
            "window": WINDOW_WORDS[request.window],
            "into_window_s": into_window_s(evidence, request),
            "route": request.route,
            "status": request.status,
            "outcome": outcome_of(request),
            "latency_ms": round(request.latency_ms, 3),
            "tenant": request.tenant,
            "whole": evidence.traces[request.trace_id].is_whole,
            "stands_for": round(evidence.weight(request.trace_id), 2),
        }
        for request in requests
    ]


def request_table(
    evidence: Evidence, requests: Sequence[Request], *, fitting: int, full: bool = False
) -> RequestTable:
    """The first requests of those ``fitting`` as a table that fits itself to its width."""
    return RequestTable(evidence, requests, fitting=fitting, full=full)


class RequestTable:
    """A renderable: one line a request.

    Ids are as short as `resolve_trace` takes them; whole with ``full`` and wherever
    the output is no terminal. Where that leaves no room, outcome and tenant go.
    """

    def __init__(
        self, evidence: Evidence, requests: Sequence[Request], *, fitting: int, full: bool
    ) -> None:
        self._evidence = evidence
        self._fitting = fitting
        self._requests = requests
        self._full = full

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table and how to go on."""
        if not self._requests:
            yield Text("no request fits; leave a filter out, or see `lab traces --help`")
            return
        full = self._full or not options.is_terminal
        yield self._table(full=full, roomy=not full or options.max_width >= _ROOMY)
        yield Text(_footer(self._evidence, len(self._requests), self._fitting), style="dim")

    def _table(self, *, full: bool, roomy: bool) -> Table:
        ids = list(self._evidence.traces)
        shown = {each: each for each in ids} if full else short_ids(ids, _LEAST_DIGITS)
        table = Table(
            box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, int(roomy), 0, 0)
        )
        for heading in ("trace", "when", "into it", "status", "latency"):
            right = heading in {"into it", "status", "latency"}
            table.add_column(heading, justify="right" if right else "left", no_wrap=True)
        table.add_column("route", overflow="fold")
        if roomy:
            table.add_column("outcome", no_wrap=True)
            table.add_column("tenant", overflow="fold")
        for request in self._requests:
            mark, style = _MARKS[outcome_of(request)]
            more = [Text(mark, style=style), Text(clean(request.tenant))] if roomy else []
            table.add_row(
                Text(shown[request.trace_id], style="cyan"),
                WINDOW_WORDS[request.window],
                f"{into_window_s(self._evidence, request):.1f}s",
                Text(str(request.status or "none"), style=style),
                duration(request.latency_ms),
                Text(clean(request.route)),
                *more,
            )
        return table


def _footer(evidence: Evidence, shown: int, fitting: int) -> str:
    listed = sum(1 for each in evidence.requests if each.trace_id in evidence.traces)
    return (
        f"{shown} of {fitting} that fit, of {listed} requests with a trace in this case, which "
        f"counts {len(evidence.requests)}. "
        "`lab trace ID` opens one; the first digits of an id are enough."
    )
