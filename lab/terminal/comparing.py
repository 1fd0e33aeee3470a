"""Traces beside others, and an incident beside the healthy shop, as tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from lab.domain.evidence import Evidence
from lab.domain.trace import Span, Status, Trace
from lab.domain.wording import counted, duration
from lab.investigation.reading.healthy_twin import (
    BesideRow,
    Comparison,
    PairedRow,
    Runs,
    side_by_side,
)
from lab.investigation.reading.requests import in_words
from lab.investigation.reading.service_map import Figures, MapEdge, ServiceMap
from lab.investigation.reading.span_words import operation_without_statement
from lab.terminal.tables import WholeTable, plain_table
from lab.terminal.text import MARKS, clean, service_text


def map_document(found: ServiceMap) -> dict[str, Any]:
    """The map as a program reads it."""
    return dataclasses.asdict(found)


def map_table(found: ServiceMap) -> RenderableType:
    """Every arrow with calls per request, share of errors, p50 and p95, before → incident.

    Where both sides are the same there is no time before, and all is told once.
    """
    table = WholeTable()
    table.add_column("who calls whom", overflow="fold")
    for heading in ("calls a request", "errors", "p50", "p95"):
        table.add_column(heading, justify="right", no_wrap=True)
    for edge in found.edges:
        arrow = "⇢" if edge.is_link else "→"
        table.add_row(
            Text(f"{clean(edge.caller, 40)} {arrow} {clean(edge.callee, 40)}"),
            *_cells(edge),
        )
    is_alone = found.reference is found.crime
    rests_on = f"before: {found.reference}\nincident: {found.crime}"
    lopsided = "a median may be that of one trace: `lab signals` has the times of all requests\n"
    return Group(
        table,
        Text(
            f"{found.crime if is_alone else rests_on}\n"
            f"{lopsided if found.is_lopsided else ''}"
            "each trace counts for as many requests as it stands for; "
            "⇢ took up later what the other left",
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
    if before is during:
        return Text(words[0])
    return Text(" → ".join(words), style="dim" if words[0] == words[1] else "")


NOTEWORTHY_MS: Final = 1.0
"""A change of self time that is worth its colour; below it two healthy traces differ as well."""

DEEPEST: Final = 24
"""No terminal is wide enough for deeper indents."""


def twin_table(comparison: Comparison, *, in_tree_order: bool, limit: int) -> RenderableType:
    """The pairs, the greatest change of self time first, or as the tree has them."""
    rows = comparison.folded(in_tree_order=in_tree_order)
    table = WholeTable()
    table.add_column("span", overflow="fold")
    for heading in ("here", "healthy", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in rows[:limit]:
        table.add_row(
            _title(
                row,
                comparison.says(row, operation_without_statement),
                indent=min(row.depth, DEEPEST) if in_tree_order else 0,
            ),
            "" if row.self_ms is None else duration(row.self_ms),
            "" if row.healthy_self_ms is None else duration(row.healthy_self_ms),
            _change(row),
            _presence(row),
        )
    here, healthy = comparison.here, comparison.healthy
    shown = f"{min(limit, len(rows))} of {counted(len(rows), 'row')}"
    return Group(
        Text.assemble("trace   ", (here.trace_id, "cyan"), f"  {_took(here.roots)}"),
        Text.assemble("healthy ", (healthy.trace_id, "cyan"), f"  {_took(healthy.roots)}"),
        table,
        Text(
            f"{shown}; what each took of itself, without its children, and without the wire where "
            "both tell it apart; ×: together",
            "dim",
        ),
    )


def _took(roots: tuple[Span, ...]) -> str:
    return duration(roots[0].duration_ms) if roots else ""


def _title(row: PairedRow, says: str, indent: int) -> Text:
    span = row.here or row.either
    if row.is_wire:
        told = f"⇄ on the wire to {clean(span.peer or '?', 40)} and back"
        return Text("  " * indent).append(told, style="dim").append(_times(row))
    mark, style = MARKS[span.status]
    text = Text("  " * indent).append(f"{mark} " if mark else "", style=style)
    text.append_text(service_text(span.service)).append(f" {clean(says, 120)}")
    text.append(f" ({clean(span.peer, 40)})" if span.peer else "", style="dim")
    return text.append(_times(row))


def _times(row: PairedRow) -> str:
    return f" ×{row.count}" if row.count > 1 else ""


def _change(row: PairedRow) -> Text:
    sign = "+" if row.change_ms > 0 else ""
    noteworthy = abs(row.change_ms) >= NOTEWORTHY_MS
    return Text(sign + duration(row.change_ms), style="bold yellow" if noteworthy else "dim")


def _presence(row: PairedRow) -> Text:
    if row.here is None:
        return Text("only in the healthy one", style="yellow")
    return Text("only here", style="yellow") if row.healthy is None else Text("")


# --- several traces ---

MOST_BESIDE: Final = 6
"""No terminal is wide enough for more, and nobody compares them."""


def beside_table(traces: Sequence[Trace], evidence: Evidence) -> RenderableType:
    """Each operation's runs in each of the traces, named by letters in the order given."""
    letters = "ABCDEF"[: len(traces)]
    table = plain_table("span", fold=("span",))
    for letter in letters:
        table.add_column(letter, justify="right", no_wrap=True)
        table.add_column("self", justify="right", no_wrap=True)
    for row in side_by_side(traces):
        least = min((each.took_ms for each in row.runs if each), default=0.0)
        cells = (cell for each in row.runs for cell in _run_cells(each, least))
        table.add_row(_operation_of(row), *cells)
    return Group(
        *(_whose(letter, each, evidence) for letter, each in zip(letters, traces, strict=True)),
        table,
        Text("took and self: of all runs together, which × counts; none: not in it", style="dim"),
    )


def _whose(letter: str, trace: Trace, evidence: Evidence) -> Text:
    request = evidence.request_of.get(trace.trace_id)
    text = Text.assemble((letter, "bold"), "  ", (trace.trace_id, "cyan"), "  ")
    if request is None:
        return text.append(_took(trace.roots))
    return text.append(clean(in_words(request)))


def _operation_of(row: BesideRow) -> Text:
    failed = any(each and each.errors for each in row.runs)
    mark, style = MARKS[Status.ERROR if failed else Status.UNSET]
    text = Text("  " * min(row.depth, DEEPEST)).append(f"{mark} " if mark else "", style=style)
    text.append(clean(row.operation.service, 40), style="bold")
    text.append(f" {clean(row.says, 120)}")
    peer = row.operation.peer
    return text.append(f" ({clean(peer, 40)})" if peer else "", style="dim")


def _run_cells(runs: Runs | None, least_ms: float) -> tuple[Text, Text]:
    if runs is None:
        return Text("none", style="yellow"), Text("")
    times = f"×{runs.count} " if runs.count > 1 else ""
    failed = "✖ " if runs.errors else ""
    much = runs.took_ms >= max(2 * least_ms, least_ms + NOTEWORTHY_MS)
    took = Text(f"{failed}{times}{duration(runs.took_ms)}", style="bold yellow" if much else "")
    return took, Text(duration(runs.self_ms), style="dim")
