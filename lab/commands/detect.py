"""The command that lets the lab's own detective solve a case: detect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from lab import bootstrap
from lab.commands.cases import may_see_answers
from lab.commands.common import JsonOption, console, print_json, reading
from lab.domain.evidence import Sight, Telemetry
from lab.errors import NoReference, NotEarned, UsageError
from lab.settings import Settings

if TYPE_CHECKING:
    from lab.detective.incident import Incident
    from lab.ports.case_archive import CaseArchive


def detect(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    reference: Annotated[
        str | None,
        typer.Option(help="Of a stranger's telemetry: another, from before it went wrong."),
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Of an open case too: help that is written down.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Rank who did it from requests and spans alone, with reasons; it may err.

    Exit 0 where it accuses somebody, 1 where nobody or where it cannot tell. Of an open case
    it says nothing without --anyway, which stands in your ledger as help you took.
    """
    from lab.detective.detect import detect as ask
    from lab.terminal.detection import answer_document, answer_table, verdict_word

    archive = bootstrap.archive(Settings())
    case = archive.sight(case_id)
    with reading(case):
        incident = _incident(archive, case, reference)
    if not isinstance(case, Telemetry) and not may_see_answers(case.case_id):
        if not anyway:
            raise NotEarned(
                f"expected a case that is solved or given up, found that {case.case_id} is open; "
                "--anyway lets the detective speak, and your ledger says so"
            )
        from lab.investigation.solving.moves import Solving

        Solving(archive, bootstrap.clock()).note_assist(case.case_id, "detective")
    answer = ask(incident)
    if as_json:
        print_json(answer_document(case.case_id, answer))
    else:
        console.print(answer_table(answer))
    raise typer.Exit(0 if verdict_word(answer) == "accuses" else 1)


def _incident(archive: CaseArchive, case: Sight | Telemetry, reference: str | None) -> Incident:
    """What the detective may know of it; UsageError where nothing tells how it was before."""
    from lab.detective.incident import incident_between, incident_of, incident_said
    from lab.investigation.reading.strangers import is_alone, no_reference, own_traces

    if not isinstance(case, Telemetry):
        if reference is not None:
            raise UsageError(f"expected no --reference: {case.case_id} has a reference of its own")
        return incident_of(case.evidence)
    if reference is None and not is_alone(case):
        return incident_said(case.evidence)
    if reference is None:
        raise NoReference(
            f"expected a reference, or --reference CASE, found neither: {no_reference(case)}"
        )
    before = archive.open(reference)
    return incident_between(own_traces(before), case.own_traces())
