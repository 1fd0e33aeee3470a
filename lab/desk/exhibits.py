"""What a text of the case rests on: measured in this very case, with the spans that show it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from fastapi import Path as InPath
from fastapi.responses import HTMLResponse
from pydantic import BaseModel

from lab.desk.desk import OpenCase, TheDesk
from lab.desk.pages import page
from lab.domain.case import Case
from lab.domain.evidence import LogLine
from lab.investigation.solving.exhibits import Written, seen

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["desk"])

Name = Annotated[str, InPath(max_length=40)]


class ExhibitBody(BaseModel):
    """A claim, what was expected and measured, and spans or log lines, the first of ``count``."""

    exhibit: str
    claim: str
    expected: str
    measured: str
    outcome: str
    count: int
    spans: list[tuple[str, str]]
    lines: list[LogLine]


@router.get("/cases/{case_id}/exhibits/{name}")
def exhibit_page(request: Request, case: OpenCase, desk: TheDesk, name: Name) -> HTMLResponse:
    """One exhibit; of an open case only those of the pager message."""
    found = seen(case, desk.solving.ledger(case.case_id), name)
    return page(request, "exhibit.html", {"case": case, "found": found})


@api.get("/cases/{case_id}/exhibits/{name}")
def case_exhibit(case: OpenCase, desk: TheDesk, name: Name) -> ExhibitBody:
    """What a text rests on; 403 for those that the case does not show so far."""
    found = seen(case, desk.solving.ledger(case.case_id), name)
    return ExhibitBody(
        exhibit=found.name,
        claim=found.claim,
        expected=found.expected,
        measured=found.measured,
        outcome=found.outcome.value,
        count=found.count,
        spans=[(each.span.trace_id, each.span.span_id) for each in found.witnesses],
        lines=list(found.lines),
    )


def linked(case: Case) -> Written:
    """Writes the links of a text as links to the pages of their exhibits."""
    at = f"/cases/{case.case_id}/exhibits"
    return lambda words, found: f"[{words}]({at}/{found.name})"
