"""The requests of a case, and its traces that no request began, shown as lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from lab.domain.evidence import Evidence
from lab.domain.load import Request
from lab.domain.trace import Trace
from lab.domain.wording import counted, duration, short_ids
from lab.investigation.reading.background import background_rows, first_span
from lab.investigation.reading.impact import nearly_all_before_ms
from lab.investigation.reading.requests import (
    EDGE_KEYS,
    WINDOW_WORDS,
    RequestGroup,
    into_window_s,
    is_slow,
    outcome_of,
)
from lab.terminal.tables import WholeTable, plain_table
from lab.terminal.text import clean

_LEAST_DIGITS: Final = 8


def background_table(
    evidence: Evidence, traces: Sequence[Trace], *, limit: int, full: bool
) -> RenderableType:
    """The first of the traces as a table, on the clock of the requests, with what joins them.

    Ids are as short as `resolve_trace` takes them, or whole with ``full``.
    """
    if not traces:
        return Text("every trace of this case is a request's own")
    told = (
        f"{min(limit, len(traces))} of {len(traces)} traces that no request began. belongs to: "
        "the request whose trace is linked or has the same value, and how long after it this began"
    )
    return Group(_background(evidence, traces[:limit], full=full), Text(told, style="dim"))


def _background(evidence: Evidence, traces: Sequence[Trace], *, full: bool) -> Table:
    ids = list(evidence.traces)
    shown = {each: each for each in ids} if full else short_ids(ids, _LEAST_DIGITS)
    table = WholeTable()
    for heading in ("trace", "when", "into it", "took", "spans"):
        table.add_column(heading, justify="left" if heading in {"trace", "when"} else "right")
    table.add_column("begins with", overflow="fold")
    table.add_column("belongs to", overflow="fold")
    owners = short_ids(ids, _LEAST_DIGITS)
    for trace, row in zip(traces, background_rows(evidence, traces), strict=True):
        first = first_span(trace)
        table.add_row(
            Text(shown[trace.trace_id], style="cyan"),
            row["window"] or "between",
            "" if row["window"] is None else f"{row['into_window_s']:.1f}s",
            duration(first.duration_ms),
            str(row["spans"]),
            Text(f"{clean(first.service, 40)} {clean(first.name, 120)}"),
            _belongs(row["joined"], owners),
        )
    return table


def _belongs(joined: Sequence[dict[str, Any]], shown: dict[str, str]) -> Text:
    if not joined:
        return Text("")
    nearest = joined[0]
    after = f" {nearest['after_s']:+.1f}s, {clean(nearest['by'], 80)}"
    more = f", and {len(joined) - 1} more" if joined[1:] else ""
    owner = shown.get(nearest["trace_id"], nearest["trace_id"])  # Not every request's is kept.
    return Text.assemble((owner, "cyan"), after, more)


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
    evidence: Evidence, requests: Sequence[Request], *, limit: int = 1000, full: bool = False
) -> RequestTable:
    """The first of the requests as a table that fits itself to the width it is given."""
    return RequestTable(evidence, requests, limit=limit, full=full)


class RequestTable:
    """A renderable: one line a request.

    Ids are as short as `resolve_trace` takes them; whole with ``full`` and wherever
    the output is no terminal. Where that leaves no room, outcome and tenant go.
    """

    def __init__(
        self, evidence: Evidence, requests: Sequence[Request], *, limit: int, full: bool
    ) -> None:
        self._evidence = evidence
        self._requests = requests[:limit]
        self._fit = len(requests)
        self._full = full
        self._usual_ms = nearly_all_before_ms(evidence)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the table and how to go on."""
        if not self._requests:
            yield Text("no request fits; leave a filter out, or see `lab traces --help`")
            return
        full = self._full or not options.is_terminal
        yield self._table(full=full, roomy=not full or options.max_width >= _ROOMY)
        yield Text(self._footer(), style="dim")

    def _table(self, *, full: bool, roomy: bool) -> Table:
        ids = list(self._evidence.traces)
        shown = {each: each for each in ids} if full else short_ids(ids, _LEAST_DIGITS)
        table = WholeTable(padding=(0, int(roomy), 0, 0))
        for heading in ("trace", "when", "into it", "status", "latency"):
            right = heading in {"into it", "status", "latency"}
            table.add_column(heading, justify="right" if right else "left", no_wrap=True)
        table.add_column("route", overflow="fold")
        if roomy:
            table.add_column("outcome", no_wrap=True)
            table.add_column("tenant", overflow="fold")
        for request in self._requests:
            mark, style = self._mark(request)
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

    def _mark(self, request: Request) -> tuple[str, str]:
        """The outcome; of a success whether nearly all of its route were quicker before."""
        if is_slow(request, self._usual_ms):
            return "◆ slow", "yellow"
        return _MARKS[outcome_of(request)]

    def _footer(self) -> str:
        evidence = self._evidence
        kept = sum(1 for each in evidence.requests if each.trace_id in evidence.traces)
        return (
            f"{len(self._requests)} of {counted(self._fit, 'request')} that fit, of {kept} with a "
            f"trace in this case, which counts {len(evidence.requests)}. slow: slower than nearly "
            "all of its route before. `lab trace ID` opens one; the first digits of an id are "
            "enough."
        )


def group_table(groups: Sequence[RequestGroup], key: str, *, limit: int) -> RenderableType:
    """A row for each value, the most frequent first, with counts, errors and percentiles."""
    if not groups:
        return Text("no request fits; leave a filter out, or see `lab traces --help`")
    counts = ("requests", "before", "incident", "after", "errors", "rejected", "p50", "p95", "max")
    table = plain_table(key, *counts, fold=(key,), right=counts)
    for each in groups[:limit]:
        table.add_row(
            Text(clean(each.value, 160)),
            *map(str, (each.requests, each.before, each.incident, each.after)),
            *map(str, (each.errors, each.rejected)),
            *map(duration, (each.p50_ms, each.p95_ms, each.most_ms)),
        )
    told = f"{min(limit, len(groups))} of {counted(len(groups), 'value')}"
    of = "all requests that fit" if key in EDGE_KEYS else "those that fit and whose trace is kept"
    return Group(table, Text(f"{told}; counted are {of}.", style="dim"))
