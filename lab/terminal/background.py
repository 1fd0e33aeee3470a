"""The traces of a case that no request began, shown as a list."""

from __future__ import annotations

from typing import Any, Final

from rich import box
from rich.table import Table
from rich.text import Text

from lab.domain.evidence import Evidence
from lab.domain.trace import Span, Trace
from lab.domain.wording import duration, short_ids
from lab.investigation.requests import WINDOW_WORDS
from lab.terminal.text import clean

_LEAST_DIGITS: Final = 8


def background_traces(evidence: Evidence, limit: int) -> tuple[Trace, ...]:
    """The first ``limit`` of them, in order of time."""
    found = [trace for key, trace in evidence.traces.items() if key not in evidence.request_of]
    found.sort(key=lambda trace: _first(trace).start_ns)
    return tuple(found[:limit])


def background_rows(evidence: Evidence, traces: tuple[Trace, ...]) -> list[dict[str, Any]]:
    """The traces as a program reads them; ``window`` is None between two windows."""
    return [
        {
            "trace_id": trace.trace_id,
            "window": _window(evidence, _first(trace)),
            "start_unix_s": _first(trace).start_ns / 1e9,
            "service": _first(trace).service,
            "name": _first(trace).name,
            "duration_ms": round(_first(trace).duration_ms, 3),
            "spans": len(trace.by_id),
        }
        for trace in traces
    ]


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
        first = _first(trace)
        table.add_row(
            Text(shown[trace.trace_id], style="cyan"),
            row["window"] or "between",
            f"{first.start_ns / 1e9 % 60:06.3f}s",
            duration(first.duration_ms),
            str(row["spans"]),
            Text(f"{clean(first.service, 40)} {clean(first.name, 120)}"),
        )
    return table


def _first(trace: Trace) -> Span:
    return trace.spans[0]


def _window(evidence: Evidence, span: Span) -> str | None:
    at_s = span.start_ns / 1e9
    inside = [
        word
        for window, word in WINDOW_WORDS.items()
        if window in evidence.windows and at_s in evidence.windows[window]
    ]
    return inside[0] if inside else None
