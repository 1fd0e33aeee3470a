"""Commands that list and show traces; they need case folders only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from lab import bootstrap
from lab.commands.cases import CaseOption
from lab.commands.common import JsonOption, console, print_json
from lab.domain.case import Telemetry
from lab.domain.wording import unknown_name
from lab.errors import UsageError
from lab.settings import Settings

if TYPE_CHECKING:
    from lab.domain.case import Sight
    from lab.domain.evidence import Evidence
    from lab.domain.load import Request
    from lab.domain.trace import Trace


def traces(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    outcome: Annotated[
        str | None, typer.Option(help="ok, error (5xx or no answer) or rejected (4xx).")
    ] = None,
    route: Annotated[str | None, typer.Option(help="e.g. 'POST /checkout'.")] = None,
    window: Annotated[str | None, typer.Option(help="before, incident or after.")] = None,
    tenant: Annotated[str | None, typer.Option(help="Whose request it was.")] = None,
    service: Annotated[str | None, typer.Option(help="One that the trace reached.")] = None,
    text: Annotated[
        str | None, typer.Option(help="In the route, an id, a span's name or attribute.")
    ] = None,
    min_ms: Annotated[float | None, typer.Option(help="At least so long.")] = None,
    max_ms: Annotated[float | None, typer.Option(help="At most so long.")] = None,
    from_s: Annotated[
        float | None, typer.Option("--from", help="Begun so many seconds into `lab signals`.")
    ] = None,
    to_s: Annotated[float | None, typer.Option("--to", help="And before so many.")] = None,
    slowest: Annotated[bool, typer.Option(help="Slowest first.")] = False,
    group_by: Annotated[
        str | None,
        typer.Option(help="Count by route, tenant, outcome, status, window or an attribute."),
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Only what no request began, in order of time.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many rows.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List requests of a case whose traces are in its folder, or what no request began.

    Of a stranger's telemetry, which has no requests, all traces. With --group-by each value is
    a row.
    """
    from lab.investigation.reading.requests import RequestQuery, find_requests
    from lab.terminal.requests import request_rows, request_table

    query = RequestQuery(
        *(outcome, route, window, tenant, service, text, min_ms, max_ms),
        *(not group_by, from_s, to_s),
    )
    if background and (slowest or query != RequestQuery()):
        raise UsageError("expected no filter beside --background, which lists no requests")
    archive = bootstrap.archive(Settings())
    case = archive.sight(case_id)
    if isinstance(case, Telemetry):
        if outcome == "rejected" or query != RequestQuery(outcome):
            raise UsageError(
                f"expected only --outcome ok or error beside {case.case_id}, which has traces "
                "and no requests, so no routes and no windows"
            )
        _list_telemetry(case, limit, outcome, slowest=slowest, as_json=as_json)
        return
    if background:
        _list_background(case, limit, as_json=as_json)
        return
    sort = "latency" if slowest else "time"
    chosen = find_requests(case.evidence, query, sort=sort, descending=slowest)
    if group_by:
        _list_groups(case, chosen, group_by, limit, as_json=as_json)
    elif as_json:
        print_json(request_rows(case.evidence, chosen[:limit]))
    else:
        console.print(request_table(case.evidence, chosen, limit=limit))


def _list_telemetry(
    case: Telemetry, limit: int, outcome: str | None, *, slowest: bool, as_json: bool
) -> None:
    from lab.terminal.telemetry import select_traces, telemetry_rows, telemetry_table

    found = select_traces(case.index, outcome=outcome, slowest=slowest)
    if as_json:
        print_json(telemetry_rows(found[:limit]))
    else:
        full = not console.is_terminal
        console.print(telemetry_table(case, found, limit=limit, full=full))


def _list_background(case: Sight, limit: int, *, as_json: bool) -> None:
    from lab.investigation.reading.background import background_rows, background_traces
    from lab.terminal.requests import background_table

    found, full = background_traces(case.evidence), not console.is_terminal
    if as_json:
        print_json(background_rows(case.evidence, found[:limit]))
    else:
        console.print(background_table(case.evidence, found, limit=limit, full=full))


def _list_groups(
    case: Sight, chosen: Sequence[Request], key: str, limit: int, *, as_json: bool
) -> None:
    from lab.investigation.reading.requests import EDGE_KEYS, attribute_names, group_requests
    from lab.terminal.requests import group_table

    if key not in EDGE_KEYS and key not in (known := attribute_names(case.evidence)):
        raise UsageError(unknown_name("attribute to group by", key, (*EDGE_KEYS, *known)))
    groups = group_requests(case.evidence, chosen, key)
    if as_json:
        print_json([asdict(each) for each in groups[:limit]])
    else:
        console.print(group_table(groups, key, limit=limit))


def trace(
    trace_ids: Annotated[
        list[str], typer.Argument(metavar="TRACE…", help="An id, or how it begins; or several.")
    ],
    case_id: CaseOption = None,
    attributes: Annotated[bool, typer.Option(help="Show every attribute.")] = False,
    unfolded: Annotated[
        bool, typer.Option("--all", help="Give each of many repeats a row of its own.")
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Print whole span ids.")] = False,
    wires: Annotated[
        bool, typer.Option("--wires", help="Give time on the wire rows of its own.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one trace as a tree: status, duration, self time, wire time, events, what is missing.

    Several stand side by side, operation by operation.
    """
    from lab.adapters.otlp.traces import write_traces
    from lab.investigation.reading.ids import resolve_trace

    archive = bootstrap.archive(Settings())
    case = archive.sight(case_id)
    replays = archive.replays(case.case_id)
    found = [resolve_trace(case.evidence, each, replays) for each in trace_ids]
    if as_json:
        print_json(write_traces(found))
    elif len(found) > 1:
        if attributes or full or wires or unfolded:
            raise UsageError("expected no option but --case and --json beside several traces")
        _show_beside(found, case.evidence)
    else:
        from lab.terminal.trace_tree import trace_tree

        how = {"attributes": attributes, "full": full, "wires": wires, "unfolded": unfolded}
        console.print(trace_tree(found[0], case.evidence, **how))


def _show_beside(found: Sequence[Trace], evidence: Evidence) -> None:
    from lab.terminal.comparing import MOST_BESIDE, beside_table

    if len(found) > MOST_BESIDE:
        raise UsageError(f"expected at most {MOST_BESIDE} traces, got {len(found)}")
    console.print(beside_table(found, evidence))
