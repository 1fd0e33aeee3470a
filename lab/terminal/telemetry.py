"""A stranger's traces as a list: when each began, how long it took, whether it is whole."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.domain.case import Telemetry
from lab.domain.evidence import Evidence
from lab.domain.trace import Span, Status, Trace
from lab.domain.wording import duration, short_ids
from lab.errors import UsageError
from lab.terminal.text import MARKS, clean

_LEAST_DIGITS: Final = 8
_OUTCOMES: Final = (None, "ok", "error")


def select_traces(
    evidence: Evidence, *, outcome: str | None, slowest: bool, limit: int
) -> tuple[Trace, ...]:
    """The first ``limit`` traces in order of time, or the slowest first.

    ``outcome`` is ``error`` for those with a span that failed, ``ok`` for the others.
    UsageError for another word.
    """
    if outcome not in _OUTCOMES:
        raise UsageError(f"expected --outcome to be ok or error, got {outcome!r}")
    found = [
        trace
        for trace in evidence.traces.values()
        if trace.spans and outcome in {None, "error" if _errors(trace) else "ok"}
    ]
    found.sort(key=lambda trace: -_first(trace).duration_ms if slowest else _first(trace).start_ns)
    return tuple(found[:limit])


def telemetry_rows(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """The traces as a program reads them."""
    return [
        {
            "trace_id": trace.trace_id,
            "start_unix_s": _first(trace).start_ns / 1e9,
            "service": _first(trace).service,
            "name": _first(trace).name,
            "duration_ms": round(_first(trace).duration_ms, 3),
            "spans": len(trace.by_id),
            "errors": _errors(trace),
            "whole": trace.is_whole,
        }
        for trace in traces
    ]


def telemetry_table(case: Telemetry, traces: Sequence[Trace], *, full: bool) -> RenderableType:
    """The traces as a table; ids as short as `resolve_trace` takes them, or whole with ``full``."""
    if not traces:
        return Text("no trace fits; leave --outcome out")
    ids = list(case.evidence.traces)
    shown = {each: each for each in ids} if full else short_ids(ids, _LEAST_DIGITS)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("trace", "began", "took", "spans", "errors", "whole"):
        table.add_column(heading, justify="left" if heading in {"trace", "began"} else "right")
    table.add_column("begins with", overflow="fold")
    _, red = MARKS[Status.ERROR]
    for trace, row in zip(traces, telemetry_rows(traces), strict=True):
        began = datetime.fromtimestamp(row["start_unix_s"]).astimezone()
        table.add_row(
            Text(shown[trace.trace_id], style="cyan"),
            began.strftime("%m-%d %H:%M:%S"),
            duration(_first(trace).duration_ms),
            str(row["spans"]),
            Text(f"✖ {row['errors']}" if row["errors"] else "0", style=red * bool(row["errors"])),
            "yes" if row["whole"] else "no",
            Text(f"{clean(row['service'], 40)} {clean(row['name'], 120)}"),
        )
    footer = (
        f"{len(traces)} of {len(ids)} traces, from {clean(case.source)}. `lab trace ID` opens one. "
        "Nobody knows the truth of them, so there is nothing to accuse."
    )
    return Group(table, Text(footer, style="dim"))


def _first(trace: Trace) -> Span:
    return trace.spans[0]


def _errors(trace: Trace) -> int:
    return sum(span.status is Status.ERROR for span in trace)
