"""The case room: the pager message, the three signals, the logs, and whom it hit."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from lab.desk.brought import reference_context
from lab.desk.charts import three_signals
from lab.desk.desk import Desk, OpenFile, TheDesk
from lab.desk.exhibits import linked
from lab.desk.guard import check_site
from lab.desk.pages import page
from lab.desk.request_list import TraceList, page_of_traces
from lab.domain.case import Case, CaseFile
from lab.domain.evidence import Telemetry
from lab.domain.ledger import Ledger
from lab.errors import ScenarioError, UnknownCase
from lab.investigation.reading.background import background_traces
from lab.investigation.reading.contrast import CONTRAST, contrasts
from lab.investigation.reading.edge_signals import restarts, signals
from lab.investigation.reading.impact import hurt_requests
from lab.investigation.reading.logs import LogLine, event_lines, patterns, read_logs
from lab.investigation.reading.requests import into_window_s, outcome_of
from lab.investigation.reading.strangers import is_alone
from lab.investigation.solving.briefing import briefing
from lab.investigation.solving.exhibits import told_so_far
from lab.scenario_file import grafana_path

VICTIMS_SHOWN: Final = 8
PATTERNS_SHOWN: Final = 12
LINES_A_PAGE: Final = 100

router = APIRouter(include_in_schema=False)


@router.get("/cases/{case_id}")
def room(
    request: Request,
    found: OpenFile,
    desk: TheDesk,
    state: TraceList,
    route: Annotated[str, Query()] = "",
) -> HTMLResponse:
    """Everything an on-call engineer has in the first minutes, on one page."""
    if isinstance(found, Telemetry):
        context = {**page_of_traces(found, state), **reference_context(desk, found)}
        return page(request, "telemetry.html", context)
    routes = sorted({each.route for each in found.evidence.requests})
    if route and route not in routes:
        raise UnknownCase(f"expected a route of {', '.join(routes)}, got {route!r}")
    hurt = hurt_requests(found.evidence)
    kept = [each for each in hurt if each.trace_id in found.evidence.traces]
    kept.sort(key=lambda each: each.start_s)
    ledger = desk.solving.ledger(found.case_id)
    told = patterns(lines_of(desk, found))
    measured, restarted = signals(found.evidence, route=route or None), restarts(found.evidence)
    context = {
        "case": found,
        "briefing": briefing_text(found),
        "grafana": _way_through_grafana(desk, found, ledger),
        "ledger": ledger,
        "routes": routes,
        "route": route,
        "measured": measured,
        "charts": three_signals(measured, restarts=restarted),
        "restarts": restarted,
        "patterns": told[:PATTERNS_SHOWN],
        "more_patterns": max(0, len(told) - PATTERNS_SHOWN),
        "counts": _counts(told),
        "hurt": len(hurt),
        "victims": [
            {"request": each, "into_s": into_window_s(found.evidence, each)}
            for each in kept[:VICTIMS_SHOWN]
        ],
        "outcome_of": outcome_of,
        "background": len(background_traces(found.evidence)),
    }
    return page(request, "room.html", context)


@router.get("/cases/{case_id}/contrast", dependencies=[Depends(check_site)])
def contrast(request: Request, case: OpenFile, desk: TheDesk) -> HTMLResponse:
    """What sets the hurt requests apart; that it was looked at is noted for the debrief."""
    found = None
    if not is_alone(case):
        desk.solving.note_assist(case.case_id, CONTRAST)
        found = contrasts(case.evidence)
    return page(request, "contrast.html", {"case": case, "contrasts": found})


@router.get("/cases/{case_id}/logs")
def logs(
    request: Request,
    case: OpenFile,
    desk: TheDesk,
    service: str = "",
    severity: str = "",
    window: str = "",
    q: str = "",
    number: Annotated[int, Query(alias="page", ge=1)] = 1,
) -> HTMLResponse:
    """Every log line the case keeps, filtered and paged; of a stranger's traces their events."""
    lines = lines_of(desk, case)

    def fits(line: LogLine) -> bool:
        return (
            service in {"", line.service}
            and severity in {"", line.severity}
            and window in {"", line.window or "between"}
            and (not q or line.says(q) or q.lower() == (line.trace_id or ""))
        )

    found = [line for line in lines if fits(line)]
    start = (number - 1) * LINES_A_PAGE
    context = {
        "case": case,
        "lines": found[start : start + LINES_A_PAGE],
        "total": len(found),
        "number": number,
        "pages": max(1, -(-len(found) // LINES_A_PAGE)),
        "services": sorted({line.service for line in lines}),
        "severities": sorted({line.severity for line in lines}),
        "asked": {"service": service, "severity": severity, "window": window, "q": q},
        "kept": case.evidence.traces,
    }
    return page(request, "logs.html", context)


def lines_of(desk: Desk, case: CaseFile) -> tuple[LogLine, ...]:
    """The log lines of a case, or what a stranger's traces have of a log."""
    if isinstance(case, Telemetry):
        return event_lines(case.evidence)
    return read_logs(case.evidence, desk.archive.logs(case.case_id))


def briefing_text(case: Case) -> str:
    """The pager message without its last line, which the page shows as a link."""
    return briefing(case, linked(case)).partition("\n\nSupport code")[0]


def _way_through_grafana(desk: Desk, case: Case, ledger: Ledger) -> str | None:
    """Where to begin in Grafana; a scenario without it, or with a damaged one, has a room too."""
    try:
        text = grafana_path(desk.settings.scenarios_dir / case.scenario.id)
    except ScenarioError:
        return None
    return text and told_so_far(text, case, ledger, linked(case))


def _counts(told: Any) -> list[dict[str, Any]]:
    """Lines by service and window, the loudest service of the incident first."""
    counted: dict[str, dict[str, Any]] = {}
    for each in told:
        row = counted.setdefault(
            each.service, {"service": each.service, "before": 0, "incident": 0, "after": 0}
        )
        for word in ("before", "incident", "after"):
            row[word] += getattr(each, word)
    return sorted(counted.values(), key=lambda row: -row["incident"])
