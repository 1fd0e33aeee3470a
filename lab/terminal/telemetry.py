"""A stranger's traces as a list: when each began, how long it took, whether it is whole."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from lab.domain.evidence import Telemetry
from lab.domain.rows import TraceSummary
from lab.domain.trace import Status
from lab.domain.wording import counted, duration, short_ids
from lab.terminal.tables import WholeTable
from lab.terminal.text import MARKS, clean, service_text

_LEAST_DIGITS: Final = 8


def telemetry_rows(traces: Sequence[TraceSummary]) -> list[dict[str, Any]]:
    """The traces as a program reads them; ``duration_ms`` is of all their spans."""
    return [
        {
            "trace_id": each.trace_id,
            "start_unix_s": each.start_ns / 1e9,
            "service": each.service,
            "name": each.name,
            "duration_ms": round(each.duration_ms, 3),
            "spans": each.spans,
            "errors": each.errors,
            "own_errors": each.own_errors,
            "unfinished": each.unfinished,
            "services": list(each.services),
            "whole": each.is_whole,
        }
        for each in traces
    ]


def telemetry_table(
    case: Telemetry, traces: Sequence[TraceSummary], *, limit: int, full: bool
) -> RenderableType:
    """The first of the traces as a table.

    Ids are as short as `resolve_trace` takes them, or whole with ``full``.
    """
    if not traces:
        return Text("no trace fits; leave a filter out, or see `lab traces --help`")
    ids = [each.trace_id for each in case.index]
    shown = {each: each for each in ids} if full else short_ids(ids, _LEAST_DIGITS)
    table = WholeTable()
    for heading in ("trace", "began", "took", "spans", "services", "own errors", "whole"):
        table.add_column(heading, justify="left" if heading in {"trace", "began"} else "right")
    table.add_column("root", overflow="fold")
    _, red = MARKS[Status.ERROR]
    for each in traces[:limit]:
        table.add_row(
            Text(shown[each.trace_id], style="cyan"),
            _moment(each.start_ns),
            duration(each.duration_ms) if each.unfinished < each.spans else "unfinished",
            str(each.spans),
            str(len(each.services)),
            Text(f"✖ {each.own_errors}" if each.errors else "0", style=red * bool(each.errors)),
            "yes" if each.is_whole else "no",
            service_text(each.service).append(
                f" {clean(each.name, 120)}", style="not bold default"
            ),
        )
    footer = (
        f"{min(limit, len(traces))} of {counted(len(traces), 'trace')} that fit, of {len(ids):,} "
        f"from {clean(case.source)}. `lab trace ID` opens one. "
        "Nobody knows the truth of them, so there is nothing to accuse."
    )
    return Group(table, Text(footer, style="dim"))


def _moment(start_ns: int) -> str:
    """When it began, by this machine's clock; a question mark where that is none."""
    with suppress(ValueError, OverflowError, OSError):
        began = datetime.fromtimestamp(start_ns / 1e9).astimezone()
        return began.strftime("%Y-%m-%d %H:%M:%S") if start_ns else "?"
    return "?"
