"""The traces of a case that no request began, shown as a list."""

from __future__ import annotations

from typing import Final

from rich import box
from rich.table import Table
from rich.text import Text

from lab.domain.evidence import Evidence
from lab.domain.trace import Trace
from lab.domain.wording import duration, short_ids
from lab.investigation.reading.background import background_rows, first_span
from lab.terminal.text import clean

_LEAST_DIGITS: Final = 8


def background_table(evidence: Evidence, traces: tuple[Trace, ...], *, full: bool) -> Table | Text:
    """The traces as a table; ids as short as `resolve_trace` takes them, or whole with ``full``."""
    if not traces:
        return Text("every trace of this case is a request's own")
    ids = list(evidence.traces)
    shown = {each: each for each in ids} if full else short_ids(ids, _LEAST_DIGITS)
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for heading in ("trace", "when", "at", "took", "spans"):
        table.add_column(heading, justify="left" if heading in {"trace", "when"} else "right")
    table.add_column("begins with", overflow="fold")
    for trace, row in zip(traces, background_rows(evidence, traces), strict=True):
        first = first_span(trace)
        table.add_row(
            Text(shown[trace.trace_id], style="cyan"),
            row["window"] or "between",
            f"{first.start_ns / 1e9 % 60:06.3f}s",
            duration(first.duration_ms),
            str(row["spans"]),
            Text(f"{clean(first.service, 40)} {clean(first.name, 120)}"),
        )
    return table
