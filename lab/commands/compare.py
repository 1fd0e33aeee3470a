"""Commands that lay an incident beside the healthy shop; they need case folders only."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from lab import bootstrap
from lab.commands.cases import CaseOption
from lab.commands.common import JsonOption, console, print_json, reading, say_no_reference
from lab.errors import CaseError, UnknownCase, UsageError
from lab.settings import Settings


def twin(
    trace_id: Annotated[str, typer.Argument(metavar="TRACE", help="An id, or how it begins.")],
    case_id: CaseOption = None,
    in_tree_order: Annotated[
        bool, typer.Option("--tree", help="In the order of the tree, not by change.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many rows.")] = 40,
    as_json: JsonOption = False,
) -> None:
    """Lay a trace beside the healthy one nearest to it, the greatest change of self time first."""
    from lab.investigation.reading.healthy_twin import compare, twin_rows
    from lab.investigation.reading.ids import resolve_trace
    from lab.investigation.reading.strangers import compared
    from lab.terminal.comparing import twin_table

    archive = bootstrap.archive(Settings())
    case = compared(archive.sight(case_id))
    evidence = case.evidence
    found = resolve_trace(evidence, trace_id, archive.replays(case.case_id))
    with reading(case):
        comparison = compare(evidence, found)
    if comparison is None:
        raise CaseError(
            f"expected a healthy trace of the same route as {found.trace_id[:8]}…, found none in "
            "the reference; `lab trace` compares each span with its own operation"
        )
    if as_json:
        ids = {"trace_id": found.trace_id, "healthy_trace_id": comparison.healthy.trace_id}
        print_json({**ids, "rows": twin_rows(comparison, in_tree_order=in_tree_order)})
    else:
        console.print(twin_table(comparison, in_tree_order=in_tree_order, limit=limit))


def service_map(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show who calls whom, how often, how well and how fast, before beside the incident."""
    from lab.investigation.reading.strangers import map_of, map_shown
    from lab.terminal.comparing import map_document, map_table

    case = bootstrap.archive(Settings()).joined(case_id)
    with reading(case):
        found = map_of(case) if as_json else map_shown(case)
    if as_json:
        print_json(map_document(found))
    else:
        console.print(map_table(found))
    say_no_reference(case)


def contrast(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many rows of each table.")] = 12,
    as_json: JsonOption = False,
) -> None:
    """Rank what sets the hurt requests apart: what their spans say, how long, how much, how often.

    That you looked is noted in your debrief, as at the desk, and costs nothing.
    """
    from lab.investigation.reading.contrast import CONTRAST, contrasts
    from lab.investigation.reading.strangers import compared
    from lab.investigation.solving.moves import Solving
    from lab.terminal.contrast import contrast_tables

    settings = Settings()
    archive = bootstrap.archive(settings)
    try:
        case = compared(archive.sight(case_id))
    except UnknownCase as error:
        if case_id and (settings.scenarios_dir / case_id).is_dir():
            raise UsageError(
                f"expected a case of `lab cases`, got {case_id!r}, a scenario; to run it at each "
                f"level of instrumentation is `lab instrumentation {case_id}` now"
            ) from error
        raise
    Solving(archive, bootstrap.clock()).note_assist(case.case_id, CONTRAST)
    with reading(case):
        found = contrasts(case.evidence, limit=10_000)
    if as_json:
        print_json(dataclasses.asdict(found))
    else:
        console.print(contrast_tables(found, limit=limit))
