"""Cases, hints, verdicts and mechanisms as tables, and as rows for programs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.measure import Measurement
from rich.padding import PaddingDimensions
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from lab.domain.accusation import Accusation
from lab.domain.case import Case, CaseSummary
from lab.domain.mechanism import NO_SPAN_RULE, Mechanism, Scope
from lab.domain.verdict import EXAMPLE_LEVEL, Judgement, VerdictClass
from lab.investigation.reading.span_words import data_size
from lab.terminal.text import clean

if TYPE_CHECKING:
    from lab.investigation.solving.hints import OfferedHint

_VERDICT_STYLES: Final = {
    VerdictClass.SOLVED: ("✔", "green"),
    VerdictClass.CLOSE: ("≈", "yellow"),
}


LEAST_FOLDED: Final = 20
"""Characters that a text may be folded to; below that half a word would stand in a line."""

_WIDEST: Final = 1000


class WholeTable(Table):
    """A table of which nothing is cut off: ``3.55s`` would be ``3.55``, and a column be gone.

    Columns give way that may fold. Where that is not enough its lines are longer than the
    terminal's, which goes on in the next one.
    """

    def __init__(self, *, padding: PaddingDimensions = (0, 1)) -> None:
        super().__init__(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=padding)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it as wide as it has to be; nothing where it has no rows."""
        if not self.row_count:
            return
        _, right, _, left = self.padding
        between = len(self.columns) - 1 + len(self.columns) * (left + right)
        needed = between + sum(self._least(console, options, each) for each in self.columns)
        yield from super().__rich_console__(
            console, options.update_width(max(options.max_width, needed))
        )

    @staticmethod
    def _least(console: Console, options: ConsoleOptions, column: Column) -> int:
        unbound = options.update_width(_WIDEST)
        cells = (column.header, *column.cells)
        widest = max(Measurement.get(console, unbound, each).maximum for each in cells)
        may_fold = column.overflow == "fold" and not column.no_wrap
        return min(widest, LEAST_FOLDED) if may_fold else widest


def plain_table(*headings: str, fold: Sequence[str] = (), right: Sequence[str] = ()) -> Table:
    """A table of bare columns; those in ``fold`` give way when the terminal is narrow."""
    table = WholeTable(padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(
            heading,
            no_wrap=heading not in fold,
            overflow="fold",
            justify="right" if heading in right else "left",
        )
    return table


# --- hints --------------------------------------------------------------------------------


def hint_table(hints: Iterable[OfferedHint]) -> RenderableType:
    """What each hint is for and costs; the words of those that were read."""
    table = plain_table("hint", "what it is", "costs", "words", fold=("words",), right=("hint",))
    for hint in hints:
        table.add_row(
            str(hint.number),
            hint.title,
            f"{hint.cost} points, once solved" if hint.cost else "nothing",
            Text(clean(hint.text or "not read yet"), style="" if hint.text else "dim"),
        )
    return table


# --- cases -------------------------------------------------------------------------------


def case_rows(cases: Iterable[CaseSummary]) -> list[dict[str, Any]]:
    """Cases as a program reads them."""
    return [
        {
            "case": case.case_id,
            "scenario": case.told_scenario,
            "title": case.title,
            "difficulty": case.difficulty,
            "opened": iso(case.opened_unix_s),
            "verdict": case.verdict.value if case.verdict else None,
            "accusations": case.accusations,
            "solved": case.solved,
            "size_bytes": case.size_bytes,
            "traces": case.traces,
            "spans": case.spans,
        }
        for case in cases
    ]


def case_table(cases: Iterable[CaseSummary]) -> RenderableType:
    """Cases in the order given; the newest first is what commands take where none is named."""
    table = plain_table(
        *("case", "opened", "title", "level", "proof", "accused", "solved", "size"),
        fold=("title",),
        right=("size",),
    )
    for case in cases:
        table.add_row(
            Text(case.case_id, style="cyan"),
            datetime.fromtimestamp(case.opened_unix_s).astimezone().strftime("%Y-%m-%d %H:%M"),
            Text(clean(case.title)),
            _level(case.difficulty),
            case.verdict.value if case.verdict else "no truth",
            f"{case.accusations}×",
            Text("✔ yes", style="green") if case.solved else "no",
            data_size(case.size_bytes),
        )
    return table


def _level(difficulty: int | None) -> str:
    if difficulty == EXAMPLE_LEVEL:
        return "example"
    return "none" if difficulty is None else "●" * difficulty + "○" * (5 - difficulty)


# --- verdicts ----------------------------------------------------------------------------


def verdict_panel(judgement: Judgement) -> RenderableType:
    """What an accusation came to, the class first and then its reason."""
    mark, style = _VERDICT_STYLES.get(judgement.verdict, ("✖", "red"))
    title = f"{mark} {judgement.verdict.value.replace('-', ' ').upper()}"
    return Panel(
        Text(clean(judgement.text)),
        title=Text(title, style=f"bold {style}"),
        title_align="left",
        border_style=style,
        padding=(1, 2),
    )


def verdict_row(case: Case, accusation: Accusation, judgement: Judgement) -> dict[str, Any]:
    """An accusation and what it came to, as a program reads them."""
    return {
        "case": case.case_id,
        "accused": [
            {"trace_id": trace_id, "span_id": span_id, "mechanism": how.value}
            for trace_id, span_id, how in accusation.charges
        ],
        "nobody": accusation.nobody,
        "scope": accusation.scope.value if accusation.scope else None,
        "scope_counts": case.scenario.asks_scope,
        "verdict": judgement.verdict.value,
        "text": judgement.text,
    }


def mechanism_table() -> RenderableType:
    """Every word an accusation may use with its definition; mechanisms in the order to ask in."""
    table = plain_table("", "word", "what it means", fold=("what it means",), right=("",))
    for n, mechanism in enumerate(Mechanism, start=1):
        table.add_row(str(n), Text(mechanism.value, style="bold cyan"), Text(mechanism.definition))
    legend = f"Ask from 1 to {len(Mechanism)}; the first that fits is meant."
    scopes = plain_table("--scope", "whom it hit", fold=("whom it hit",))
    for scope in Scope:
        scopes.add_row(Text(scope.value, style="bold cyan"), Text(scope.definition))
    parts = (table, Text(legend, style="dim"), Text(f"{NO_SPAN_RULE}\n", style="dim"), scopes)
    return Group(*parts, Text("Where it counts, the briefing says so.", style="dim"))


def iso(unix_s: float) -> str:
    """A moment as programs read it, in UTC."""
    return datetime.fromtimestamp(unix_s, UTC).isoformat(timespec="milliseconds")
