"""Commands that read cases; they need case folders only, no stack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lab import bootstrap
from lab.commands.common import (
    JsonOption,
    RevealOption,
    consent,
    console,
    lab_command,
    notes,
    print_json,
)
from lab.domain.wording import visible
from lab.errors import UsageError
from lab.investigation.reading.span_words import data_size
from lab.settings import Settings

if TYPE_CHECKING:
    from lab.adapters.cases.archive import FolderArchive

CaseOption = Annotated[
    str | None, typer.Option("--case", "-c", help="Which case; the newest where not given.")
]


def cases(
    delete: Annotated[
        str | None, typer.Option("--delete", metavar="CASE", help="Remove that one for good.")
    ] = None,
    force: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the cases of this checkout, newest first; or delete one, a run's or an import.

    Only what the lab wrote is ever removed; a case in which somebody keeps files stays.
    """
    from lab.terminal.tables import case_rows, case_table

    archive = bootstrap.archive(Settings())
    if delete is not None:
        _delete(archive, delete, force=force, as_json=as_json)
        return
    if force:
        raise UsageError("expected --yes beside --delete CASE, found it alone")
    found, leftovers = archive.cases(), archive.leftovers()
    if as_json:
        print_json(case_rows(found))
    elif found:
        console.print(case_table(found))
    else:
        console.print(f"no case yet: `{lab_command()} practice db-timeout` opens a recorded one")
    if leftovers:
        newest = f"`{lab_command()} journal {leftovers[0]}` tells of the newest"
        notes.print(f"runs that became no case: {len(leftovers)}; {newest}")


def _delete(archive: FolderArchive, case_id: str, *, force: bool, as_json: bool) -> None:
    found = next((each for each in archive.cases() if each.case_id == case_id), None)
    if found is not None:
        is_played = found.accusations or found.points is not None
        more = ", and all that was found out in it" if is_played else ""
        told = f"{case_id}: {visible(found.title)}, {data_size(found.size_bytes)}{more}"
        notes.print(told, markup=False, soft_wrap=True)
        consent("Delete it for good?", force=force)
    archive.delete(case_id)
    if as_json:
        print_json({"deleted": case_id})
    else:
        console.print(f"{case_id} is deleted", markup=False)


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
