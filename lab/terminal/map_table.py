"""The map of a case as text: one line an arrow, before beside incident."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.domain.wording import duration
from lab.investigation.reading.service_map import Figures, MapEdge, ServiceMap
from lab.terminal.text import clean


def map_document(found: ServiceMap) -> dict[str, Any]:
    """The map as a program reads it."""
    return dataclasses.asdict(found)


def map_table(found: ServiceMap) -> RenderableType:
    """Every arrow with calls per request, share of errors, p50 and p95, before → incident."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    table.add_column("who calls whom", overflow="fold")
    for heading in ("calls a request", "errors", "p50", "p95"):
        table.add_column(heading, justify="right", no_wrap=True)
    for edge in found.edges:
        arrow = "⇢" if edge.is_link else "→"
        table.add_row(
            Text(f"{clean(edge.caller, 40)} {arrow} {clean(edge.callee, 40)}"),
            *_cells(edge),
        )
    return Group(
        table,
        Text(
            f"before → incident, from {found.reference_traces} and {found.crime_traces} traces "
            "kept of each; ⇢ took up later what the other left",
            style="dim",
        ),
    )


def _cells(edge: MapEdge) -> tuple[Text, ...]:
    before, during = edge.reference, edge.crime
    return (
        _pair(before, during, lambda f: f"{f.per_trace:.2f}"),
        _pair(before, during, lambda f: f"{f.error_share:.0%}"),
        _pair(before, during, lambda f: duration(f.p50_ms)),
        _pair(before, during, lambda f: duration(f.p95_ms)),
    )


def _pair(before: Figures | None, during: Figures | None, say: Callable[[Figures], str]) -> Text:
    words = [say(each) if each else "none" for each in (before, during)]
    return Text(" → ".join(words), style="dim" if words[0] == words[1] else "")
