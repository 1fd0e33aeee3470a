"""Commands that list and show traces; they need case folders only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from lab import bootstrap
from lab.commands.cases import CaseOption
from lab.commands.common import (
    JsonOption,
    console,
    moment_s,
    notes,
    print_json,
    reading,
    say_no_reference,
)
from lab.domain.evidence import Telemetry
from lab.errors import UsageError
from lab.frozen import dataclass
from lab.settings import Settings

if TYPE_CHECKING:
    from lab.domain.evidence import Evidence, Sight
    from lab.domain.load import Request
    from lab.domain.trace import Trace
    from lab.investigation.reading.requests import RequestQuery
    from lab.investigation.reading.trace_list import TraceQuery


def _option(help_text: str, *names: str, metavar: str | None = None) -> Any:
    return typer.Option(*names, help=help_text, metavar=metavar)


OutcomeOption = Annotated[
    str | None,
    _option("ok, error (5xx or no answer; of an import a failed span), rejected (4xx), slow."),
]
RouteOption = Annotated[
    str | None,
    _option(
        "e.g. 'POST /checkout'; of an import what stands in its root's name.", "--route", "--root"
    ),
]
WindowOption = Annotated[str | None, _option("before, incident or after.")]
TenantOption = Annotated[str | None, _option("Whose request it was.")]
ServiceOption = Annotated[str | None, _option("One that the trace reached.")]
TextOption = Annotated[str | None, _option("In the route, an id, a span's name or attribute.")]
LeastOption = Annotated[float | None, _option("At least so long.")]
MostOption = Annotated[float | None, _option("At most so long.")]
SinceOption = Annotated[
    str | None,
    _option(
        "Begun so many seconds into `lab signals`; of an import 15m (ago), or ISO 8601.",
        "--from",
        metavar="TIME",
    ),
]
UntilOption = Annotated[str | None, _option("And before then.", "--to", metavar="TIME")]
GroupOption = Annotated[
    str | None, _option("Count by route, tenant, outcome, status, window or an attribute.")
]
IncompleteOption = Annotated[
    bool, _option("Of an import: only traces of which something is missing.", "--incomplete")
]
SortOption = Annotated[
    str | None,
    _option(
        "time, latency, route, status, tenant, bytes; of an import time, trace, root, duration, "
        "spans, services, errors, whole."
    ),
]


def traces(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    outcome: OutcomeOption = None,
    route: RouteOption = None,
    window: WindowOption = None,
    tenant: TenantOption = None,
    service: ServiceOption = None,
    text: TextOption = None,
    min_ms: LeastOption = None,
    max_ms: MostOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    incomplete: IncompleteOption = False,
    sort: SortOption = None,
    descending: Annotated[bool, _option("The other way round.", "--descending")] = False,
    slowest: Annotated[bool, _option("Slowest first.", "--slowest")] = False,
    group_by: GroupOption = None,
    background: Annotated[
        bool, _option("Only what no request began, in order of time.", "--background")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, help="How many rows.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """List requests of a case whose traces are in its folder, or what no request began.

    Of a stranger's telemetry, which has no requests, all traces.
    """
    from lab.investigation.reading.requests import RequestQuery
    from lab.investigation.reading.trace_list import TraceQuery

    query = RequestQuery(
        *(outcome, route, window, tenant, service, text, min_ms, max_ms),
        with_trace=group_by is None,
    )
    if background and any((slowest, sort, descending, since, until, query != RequestQuery())):
        raise UsageError("expected no filter beside --background, which lists no requests")
    if slowest and (sort or descending):
        raise UsageError("expected --slowest, or --sort and --descending, got both")
    archive = bootstrap.archive(Settings())
    case = archive.sight(case_id)
    page = _Page(sort, descending or slowest, slowest, limit, as_json)
    if isinstance(case, Telemetry):
        _refuse_for(
            case.case_id,
            _NOT_OF_TRACES,
            **{"window": window, "tenant": tenant, "group-by": group_by, "background": background},
        )
        since_s, until_s = (
            moment_s(each, archive.now_s()) if each else None for each in (since, until)
        )
        asked_of_traces = TraceQuery(
            outcome, route, service, text, min_ms, max_ms, since_s, until_s, incomplete
        )
        _list_telemetry(case, asked_of_traces, page)
        return
    _refuse_for(case.case_id, _NOT_OF_REQUESTS, incomplete=incomplete)
    if background:
        _list_background(case, limit, as_json=as_json)
        return
    query = replace(query, from_s=_seconds("from", since), to_s=_seconds("to", until))
    _list_requests(case, query, page, group_by)


def _seconds(option: str, text: str | None) -> float | None:
    try:
        return None if text is None else float(text)
    except ValueError as error:
        raise UsageError(f"expected --{option} to be seconds such as 45, got {text!r}") from error


_NOT_OF_TRACES: Final = "traces that somebody brought, without requests: no windows, no tenants"
_NOT_OF_REQUESTS: Final = "requests of a run, not traces alone"


@dataclass(frozen=True, slots=True)
class _Page:
    """Which part of what fits is printed, in which order, and how."""

    sort: str | None
    descending: bool
    slowest: bool
    limit: int
    as_json: bool

    def tell(self, fitting: int) -> None:
        """Say how many there are, where JSON shows only some of them."""
        if self.as_json and fitting > self.limit:
            notes.print(f"{self.limit} of {fitting} that fit; --limit prints more")


def _refuse_for(case_id: str, holds: str, **asked: object) -> None:
    """UsageError that names every option that says nothing of such a case."""
    if wrong := [f"--{name}" for name, value in asked.items() if value]:
        raise UsageError(
            f"expected no {' and no '.join(wrong)} beside {case_id}, which has {holds}"
        )


def _list_requests(case: Sight, query: RequestQuery, page: _Page, group_by: str | None) -> None:
    from lab.investigation.reading.requests import find_requests
    from lab.terminal.requests import request_rows, request_table

    sort = page.sort or ("latency" if page.slowest else "time")
    found = find_requests(case.evidence, query, sort=sort, descending=page.descending)
    if group_by is not None:
        _list_groups(case, found, group_by, page.limit, as_json=page.as_json)
        return
    if page.as_json:
        print_json(request_rows(case.evidence, found[: page.limit]))
    else:
        console.print(request_table(case.evidence, found, limit=page.limit))
    page.tell(len(found))


def _list_telemetry(case: Telemetry, query: TraceQuery, page: _Page) -> None:
    from lab.investigation.reading.trace_list import find_traces
    from lab.terminal.telemetry import telemetry_rows, telemetry_table

    sort = page.sort or ("duration" if page.slowest else "time")
    found = find_traces(case, query, sort=sort, descending=page.descending)
    if page.as_json:
        print_json(telemetry_rows(found[: page.limit]))
    else:
        full = not console.is_terminal
        console.print(telemetry_table(case, found, limit=page.limit, full=full))
    page.tell(len(found))


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
    from lab.investigation.reading.requests import group_requests
    from lab.terminal.requests import group_table

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
        with reading(case):
            tree = trace_tree(found[0], case.evidence, **how)
        console.print(tree)
        say_no_reference(case)


def _show_beside(found: Sequence[Trace], evidence: Evidence) -> None:
    from lab.terminal.comparing import MOST_BESIDE, beside_table

    if len(found) > MOST_BESIDE:
        raise UsageError(f"expected at most {MOST_BESIDE} traces, got {len(found)}")
    console.print(beside_table(found, evidence))
