"""Commands that read cases; they need case folders only, no stack."""

from __future__ import annotations

from typing import Annotated

import typer

from lab import bootstrap
from lab.commands.common import (
    JsonOption,
    RevealOption,
    console,
    lab_command,
    notes,
    print_json,
)
from lab.settings import Settings

CaseOption = Annotated[
    str | None, typer.Option("--case", "-c", help="Which case; the newest where not given.")
]


def cases(as_json: JsonOption = False) -> None:
    """List the cases of this checkout, newest first."""
    from lab.terminal.tables import case_rows, case_table

    archive = bootstrap.archive(Settings())
    found, leftovers = archive.cases(), archive.leftovers()
    if as_json:
        print_json(case_rows(found))
    elif found:
        console.print(case_table(found))
    else:
        console.print(f"no case yet: `{lab_command()} run db-timeout` makes one")
    if leftovers:
        notes.print(
            f"runs that became no case: {len(leftovers)}; "
            f"`{lab_command()} journal {leftovers[0]}` tells of the newest"
        )


def briefing(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    grafana: Annotated[
        bool, typer.Option("--grafana", help="Also where to begin in Grafana: a hint, for free.")
    ] = False,
) -> None:
    """Read the pager message again."""
    from rich.markdown import Markdown

    from lab.investigation.solving.briefing import briefing as text
    from lab.investigation.solving.exhibits import told_so_far
    from lab.investigation.solving.moves import Solving
    from lab.terminal.exhibits import Footnotes

    settings = Settings()
    archive = bootstrap.archive(settings)
    case = archive.load(case_id)
    notes_below = Footnotes(lab_command())
    console.print(Markdown(text(case, notes_below), hyperlinks=False))
    path = bootstrap.grafana_path(settings, case.scenario.id) if grafana else None
    if grafana and path is None:
        notes.print("this case says nothing of Grafana")
    elif path is not None:
        ledger = Solving(archive, bootstrap.clock()).ledger(case.case_id)
        way = told_so_far(path, case, ledger, notes_below)
        console.print(Markdown(f"\n## In Grafana\n\n{way}", hyperlinks=False))
    for line in notes_below.lines():
        console.print(line)


def may_see_answers(case_id: str) -> bool:
    """Whether that case is solved or given up; False for what is no case."""
    cases = bootstrap.archive(Settings()).cases()
    return any(each.case_id == case_id and each.points is not None for each in cases)


def journal(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    reveal: RevealOption = False,
    as_json: JsonOption = False,
) -> None:
    """Read what a run wrote down, step by step, and how it ended.

    Without CASE that is the newest run, be it a case, one that deviated, one that was
    interrupted, or one that is still at work.
    """
    from lab.terminal.journal import journal_rows, journal_table

    run = bootstrap.archive(Settings()).run_record(case_id)
    shown = reveal or may_see_answers(run.case_id)
    if as_json:
        print_json(journal_rows(run, reveal=shown))
    else:
        console.print(journal_table(run, reveal=shown))
        if not shown:
            notes.print("what was hurt is left out: the case is not solved (--reveal shows it)")
