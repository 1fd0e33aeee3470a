"""Texts that rest on exhibits, in a terminal: a number behind the words, and a list below."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from lab.domain.case import Case
from lab.domain.evidence import LogLine
from lab.investigation.solving.exhibits import Exhibit
from lab.terminal.tables import plain_table
from lab.terminal.text import clean


class Footnotes:
    """Writes links as numbers, and keeps what they stand for, in the order of the text.

    ``command`` is what a reader types to ask the lab. Each one names the case: what a reader has
    may not be the newest.
    """

    def __init__(self, command: str, case_id: str) -> None:
        self._command, self._case_id = command, case_id
        self._found: dict[str, Exhibit] = {}

    def __call__(self, words: str, found: Exhibit) -> str:
        """The words with their number."""
        self._found.setdefault(found.name, found)
        number = list(self._found).index(found.name) + 1
        return f"{words} \\[{number}]"

    def lines(self) -> Iterator[Text]:
        """What each number stands for, and the command that shows it."""
        for number, found in enumerate(self._found.values(), start=1):
            told = f"{found.claim}: {found.told}; {self._command} exhibit {found.name}"
            told += f" -c {self._case_id}"
            yield Text(f"[{number}] {clean(told)}", style="dim")


def log_table(lines: Iterable[LogLine]) -> Table:
    """Log lines, each with the trace and the span that it was written in."""
    table = plain_table("service", "level", "line", "trace", "span", fold=("line",))
    for each in lines:
        ids = (Text(clean(found or "none")) for found in (each.trace_id, each.span_id))
        line = Text(clean(each.body.partition("\n")[0]))
        table.add_row(Text(clean(each.service)), Text(clean(each.severity.lower())), line, *ids)
    return table


def exhibit_rows(case: Case, found: Exhibit) -> dict[str, Any]:
    """An exhibit as a program reads it."""
    return {
        "case": case.case_id,
        "exhibit": found.name,
        "claim": found.claim,
        "expected": found.expected,
        "measured": found.measured,
        "outcome": found.outcome.value,
        "count": found.count,
        "spans": [
            {"trace": each.span.trace_id, "span": each.span.span_id, "says": each.said}
            for each in found.witnesses
        ],
        "lines": [asdict(each) for each in found.lines],
    }


def exhibit_view(found: Exhibit) -> RenderableType:
    """What is claimed, what was measured, and the first spans or log lines that show it."""
    told = Text(f"{clean(found.claim)}: {clean(found.told)} (expected {clean(found.expected)})")
    if found.lines:
        shown = len(found.lines)
        more = f"the first {shown} of {found.count}" if found.count > shown else f"{shown}"
        return Group(told, Text(f"{more} lines", style="dim"), log_table(found.lines))
    if not found.witnesses:
        return told
    table = plain_table("trace", "span", "says", fold=("says",))
    for each in found.witnesses:
        table.add_row(each.span.trace_id, each.span.span_id, Text(clean(each.said)))
    shown = len(found.witnesses)
    more = f"the first {shown} of {found.count} spans" if found.count > shown else f"{shown} spans"
    return Group(told, Text(more, style="dim"), table)
