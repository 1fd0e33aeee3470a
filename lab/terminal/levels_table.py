"""The levels of instrumentation side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.table import Table

from lab.domain.instrumentation import Instrumentation, Sight
from lab.investigation.proof.levels import Seen
from lab.terminal.proof_tables import OUTCOME_MARKS
from lab.terminal.tables import plain_table

WRITTEN: Final = {
    Instrumentation.NONE: "no span but the caller's",
    Instrumentation.AUTO: "zero-code spans",
    Instrumentation.FULL: "the shop's own spans too",
}


def level_table(levels: Sequence[Seen]) -> Table:
    """A row a level, with the share of affected traces that show each sight."""
    table = plain_table(
        *("level", "what is written down", "spans a trace"),
        *("culprit", "ancestor", "gap", "expected of most", "", "case"),
        right=("spans a trace", "culprit", "ancestor", "gap"),
    )
    for seen in levels:
        mark, style = OUTCOME_MARKS[seen.outcome]
        table.add_row(
            seen.level.value,
            WRITTEN[seen.level],
            f"{seen.spans:g}",
            *(_share(seen, sight) for sight in Sight),
            seen.expected.value if seen.expected else "nothing",
            f"[{style}]{mark}[/]",
            seen.case.case_id,
        )
    return table


def level_rows(levels: Sequence[Seen]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [
        {
            "level": seen.level.value,
            "case": seen.case.case_id,
            "verdict": seen.case.proof.verdict.value,
            "affected_traces": seen.total,
            "spans_a_trace": seen.spans,
            **{sight.value: seen.counts.get(sight, 0) for sight in Sight},
            "expected": seen.expected.value if seen.expected else None,
            "outcome": seen.outcome.value,
        }
        for seen in levels
    ]


def _share(seen: Seen, sight: Sight) -> str:
    share = seen.share(sight)
    return "none seen" if share is None else f"{share:.0%}"
