"""What is given away: hints one by one, and the debrief, earned or at the price of all points."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response

from lab.desk.charts import three_signals
from lab.desk.desk import Desk, OpenCase, TheDesk
from lab.desk.exhibits import linked
from lab.desk.guard import check_token
from lab.desk.pages import page
from lab.domain.case import Case
from lab.errors import NotEarned
from lab.investigation.reading.edge_signals import signals
from lab.investigation.reading.logs import read_logs
from lab.investigation.solving.debriefing import Debriefing, debriefing
from lab.investigation.solving.exhibits import told
from lab.investigation.solving.hints import offered_hints
from lab.investigation.solving.post_mortem import post_mortem

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


@router.get("/cases/{case_id}/debrief")
def debrief(request: Request, case: OpenCase, desk: TheDesk) -> HTMLResponse:
    """The whole story; of an open case only how to come to it."""
    ledger = desk.solving.ledger(case.case_id)
    context = {"case": case, "ledger": ledger}
    if not ledger.may_see_answers:
        return page(request, "debrief_closed.html", context)
    found = earned(desk, case)
    measured = signals(case.evidence)
    harm = [
        (start - measured.origin_unix_s, end - measured.origin_unix_s)
        for start, end in found.harm_unix_s
    ]
    story = told(case.scenario.debrief, case, linked(case))
    more = {"found": found, "story": story, "charts": three_signals(measured, fault=harm)}
    return page(request, "debrief.html", {**context, **more})


@router.get("/cases/{case_id}/post-mortem.md")
def export(case: OpenCase, desk: TheDesk) -> Response:
    """The same as a Markdown file."""
    found = earned(desk, case)
    text = post_mortem(case, desk.solving.ledger(case.case_id), found)
    headers = {"Content-Disposition": f'attachment; filename="post-mortem-{case.case_id}.md"'}
    return PlainTextResponse(text, headers=headers, media_type="text/markdown")


@router.post("/cases/{case_id}/give-up", dependencies=[Depends(check_token)])
def give_up(case: OpenCase, desk: TheDesk) -> RedirectResponse:
    """Open the answers, for no points."""
    desk.solving.give_up(case.case_id)
    return RedirectResponse(f"/cases/{case.case_id}/debrief", 303)


def earned(desk: Desk, case: Case) -> Debriefing:
    """The debriefing; NotEarned while the case is open."""
    ledger = desk.solving.ledger(case.case_id)
    if not ledger.may_see_answers:
        raise NotEarned(
            f"expected a case that is solved or given up, found that {case.case_id} is open"
        )
    lines = read_logs(case.evidence, desk.archive.logs(case.case_id))
    return debriefing(case, ledger, lines)
