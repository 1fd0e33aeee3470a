"""Traces as one page of HTML that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Iterator
from typing import Final

from lab.domain.rows import Row, extent_ns, rows
from lab.domain.trace import Span, Status, Trace
from lab.domain.wording import duration, visible
from lab.testing.report import MOST_ROWS, title
from lab.testing.source import TraceSet

_STYLE: Final = (
    "body{font:14px/1.5 system-ui,sans-serif;margin:2rem;max-width:75rem}"
    "table{border-collapse:collapse;width:100%}td{padding:0 .5rem;white-space:nowrap}"
    "td.axis{width:40%;position:relative}i{position:absolute;height:.8em;top:.3em;"
    "min-width:2px;background:#4a78b5}.error i{background:#b3261e}.error{color:#b3261e}"
    "@media(prefers-color-scheme:dark){body{background:#16181c;color:#e6e6e6}}"
)


def page_of(test: str, found: TraceSet) -> str:
    """The traces as one page that needs nothing else: rows with a bar on a common axis."""
    name = html.escape(visible(test))
    body = "".join(
        f"<h2>trace {trace.trace_id}</h2><table>{''.join(_rows(trace))}</table>"
        for trace in found.traces
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>'
        f"<style>{_STYLE}</style><h1>{name}</h1>{body}</html>\n"
    )


def _rows(trace: Trace) -> Iterator[str]:
    start_ns, end_ns = extent_ns(trace)
    per_cent = 100 / max(1, end_ns - start_ns)
    for number, row in enumerate(rows(trace)):
        if isinstance(row.item, Span) and number < 10 * MOST_ROWS:
            yield _row(row, row.item, start_ns, per_cent)


def _row(row: Row, span: Span, start_ns: int, per_cent: float) -> str:
    left, width = (span.start_ns - start_ns) * per_cent, (span.end_ns - span.start_ns) * per_cent
    mark = ' class="error"' if span.status is Status.ERROR else ""
    attributes = "\n".join(f"{key} = {value}" for key, value in sorted(span.attributes.items()))
    return (
        f'<tr{mark} title="{html.escape(visible(attributes))}">'
        f'<td style="padding-left:{row.depth}em">{html.escape(title(span))}</td>'
        f'<td>{duration(span.duration_ms)}</td><td class="axis">'
        f'<i style="left:{left:.2f}%;width:{max(0.0, width):.2f}%"></i></td></tr>'
    )
