"""The command that reads log lines: logs. Case folders only."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from lab import bootstrap
from lab.commands.cases import CaseOption
from lab.commands.common import JsonOption, console, print_json, reading, say_no_reference
from lab.domain.evidence import Sight
from lab.errors import UsageError
from lab.settings import Settings


def logs(
    whose: Annotated[
        str | None, typer.Argument(metavar="[CASE|TRACE]", help="An id, or how a trace's begins.")
    ] = None,
    case_id: CaseOption = None,
    service: Annotated[str | None, typer.Option(help="Who wrote it.")] = None,
    level: Annotated[str | None, typer.Option(help="So bad or worse, e.g. warn.")] = None,
    window: Annotated[
        str | None, typer.Option(help="before, incident, after, or between them.")
    ] = None,
    pattern: Annotated[
        str | None, typer.Option(help="In what lines of a kind have in common, as printed.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="In the line itself.")] = None,
    lines: Annotated[
        bool, typer.Option("--lines", help="List the lines, not their kinds.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many rows.")] = 40,
    as_json: JsonOption = False,
) -> None:
    """Count what log lines say before, in and after the incident, the worst and newest first.

    With --lines, or of one TRACE, the lines themselves in order of time. A case keeps the lines
    of its traces, and those of no trace; of an import, what its spans have as events.
    """
    from lab.investigation.reading.ids import resolve_trace
    from lab.investigation.reading.logs import LogQuery, event_lines, patterns, read_logs
    from lab.investigation.reading.strangers import is_alone
    from lab.terminal.logs import line_rows, line_table, pattern_table

    if whose is not None and "-" in whose:  # As all ids of cases, and none of a trace.
        if case_id is not None:
            raise UsageError(f"expected a TRACE beside --case {case_id}, got {whose!r}")
        case_id, whose = whose, None
    archive = bootstrap.archive(Settings())
    case = archive.sight(case_id)
    evidence = case.evidence
    trace = whose and resolve_trace(evidence, whose, archive.replays(case.case_id))
    trace = trace or None
    query = LogQuery(service, level, window, pattern, text, trace.trace_id if trace else None)
    with reading(case):
        found = query.choose(
            read_logs(evidence, evidence.logs)
            if isinstance(case, Sight)
            else event_lines(evidence, trace)
        )
    say_no_reference(case)
    if lines or trace or is_alone(case):
        if as_json:
            print_json(line_rows(found))
        else:
            console.print(line_table(evidence, found, limit=limit, trace=trace))
    elif as_json:
        print_json([dataclasses.asdict(each) for each in patterns(found)])
    else:
        console.print(pattern_table(patterns(found), limit=limit, lines=len(found)))
