"""What a run wrote down, as a table and as rows for programs; names the harm only on request."""

from __future__ import annotations

import json
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.text import Text

from lab.domain.ids import is_numbered
from lab.domain.journal import Ending, RunRecord
from lab.terminal.tables import iso, plain_table
from lab.terminal.text import clean

ENDING_WORDS: Final = {
    None: "is still at work",
    Ending.COMPLETED: "ran to completion",
    Ending.DEVIATED: "deviated: something it needed failed",
    Ending.INTERRUPTED: "was interrupted",
}


def journal_rows(run: RunRecord, *, reveal: bool) -> dict[str, Any]:
    """A run as a program reads it; entries that spoil only with ``reveal``."""
    return {
        "run": run.case_id,
        "case": run.is_case,
        "ending": run.ending.value if run.ending else None,
        "reached": run.reached.value if run.reached else None,
        "entries": [
            {
                "time": iso(entry.time_unix_s),
                "into_run_s": round(entry.monotonic_s - run.entries[0].monotonic_s, 3),
                "step": entry.step.value,
                "event": entry.event,
                "data": {
                    name: value
                    for name, value in entry.data.items()
                    if reveal or name != "scenario" or not is_numbered(run.case_id)
                },
            }
            for entry in run.entries
            if reveal or not entry.spoiler
        ],
    }


def journal_table(run: RunRecord, *, reveal: bool) -> RenderableType:
    """How a run ended, and each thing it wrote down with seconds since it began."""
    table = plain_table("into run", "step", "event", "with", fold=("with",), right=("into run",))
    for row in journal_rows(run, reveal=reveal)["entries"]:
        data = ", ".join(f"{key} {_shown(value)}" for key, value in row["data"].items())
        event = Text(clean(row["event"]))
        table.add_row(f"{row['into_run_s']:.1f}s", row["step"], event, Text(clean(data)))
    return Group(Text(ending_sentence(run), style="bold"), table)


def ending_sentence(run: RunRecord) -> str:
    """How the run ended and how far it came, in a sentence."""
    words = f"{run.case_id} {ENDING_WORDS[run.ending]}"
    if run.ending is Ending.INTERRUPTED and run.told_ending is not Ending.INTERRUPTED:
        words += " without a word of it: killed, or unable to write"
    if run.is_case:
        return words
    return f"{words}; the last step it wrote of: {run.reached or 'none'}"


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
