"""The command that shows rate, errors and latency over time: signals. Case folders only."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from lab import bootstrap
from lab.commands.common import JsonOption, console, print_json, say_no_reference
from lab.errors import UsageError
from lab.settings import Settings


def signals(
    case_id: Annotated[str | None, typer.Argument(metavar="[CASE]")] = None,
    route: Annotated[
        str | None, typer.Option(help="Of these requests alone, e.g. 'POST /checkout'.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show rate, errors and latency at the edge over time, before, in and after the incident.

    --json has a bucket for each second, with times in seconds since the first window's start.
    """
    from lab.investigation.reading.edge_signals import signals as signals_of
    from lab.investigation.reading.requests import RequestQuery, routes_meant
    from lab.investigation.reading.strangers import is_alone, named, signals_evidence
    from lab.terminal.signals import SignalChart, window_rows

    case = bootstrap.archive(Settings()).sight(case_id)
    evidence = signals_evidence(case)
    if route is not None:
        RequestQuery(route=route).check(evidence)
        meant = routes_meant(evidence, route)
        if len(meant) > 1:
            raise UsageError(f"expected one route, got {route!r}, which is {' and '.join(meant)}")
        route = meant[0]
    alone = is_alone(case)
    if as_json:
        document = dataclasses.asdict(named(case, signals_of(evidence, route=route)))
        print_json({**document, "in_each_window": window_rows(evidence, route, alone)})
    else:
        console.print(SignalChart(evidence, route, alone))
    say_no_reference(case)
