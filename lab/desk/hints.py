"""Hints: what each is for and costs first, its words once somebody asks for them."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from lab.desk.desk import OpenCase, TheDesk
from lab.desk.guard import check_token
from lab.desk.pages import page
from lab.investigation.solving.hints import offered_hints

router = APIRouter(include_in_schema=False)


@router.get("/cases/{case_id}/hints")
def hints(request: Request, case: OpenCase, desk: TheDesk) -> HTMLResponse:
    """List all hints; the words of those that were read."""
    ledger = desk.solving.ledger(case.case_id)
    context = {"case": case, "ledger": ledger, "hints": offered_hints(case, ledger)}
    return page(request, "hints.html", context)


@router.post("/cases/{case_id}/hints/{number}", dependencies=[Depends(check_token)])
def read_hint(case: OpenCase, desk: TheDesk, number: int) -> RedirectResponse:
    """Read one, and write down that it was read."""
    desk.solving.read_hint(case, number)
    return RedirectResponse(f"/cases/{case.case_id}/hints#hint-{number}", 303)
