"""How a method would have found it: the detective's ranking beside the learner's way."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse

from lab.desk.desk import OpenFile, TheDesk
from lab.desk.guard import check_site
from lab.desk.pages import page
from lab.detective.detect import detect
from lab.detective.incident import incident_between, incident_of, incident_said
from lab.domain.case import Case
from lab.domain.evidence import Telemetry
from lab.errors import NotEarned, UsageError
from lab.terminal.detection import NOT_THE_TRUTH, said

router = APIRouter(include_in_schema=False)


@router.get("/cases/{case_id}/detective", dependencies=[Depends(check_site)])
def detective_page(
    request: Request,
    case: OpenFile,
    desk: TheDesk,
    reference: Annotated[str | None, Query(max_length=200)] = None,
) -> HTMLResponse:
    """Of a case what the detective says, once closed; of telemetry at once, beside a calm time."""
    context: dict[str, object] = {"case": case, "here": "detective", "reference": reference}
    if isinstance(case, Case):
        if not desk.solving.ledger(case.case_id).may_see_answers:
            raise NotEarned(
                f"expected a case that is solved or given up, found that {case.case_id} is open"
            )
        context["answer"] = detect(incident_of(case.evidence))
    elif reference is None and case.healthy is not None:
        context["answer"] = detect(incident_said(case.evidence))
    elif reference is None:
        context["choices"] = desk.other_imports(case)
    else:
        before = desk.case_file(reference)
        if not isinstance(before, Telemetry):
            raise UsageError(f"expected traces of a calm time, found that {reference} is a case")
        context["answer"] = detect(incident_between(before.own_traces(), case.own_traces()))
    return page(request, "detective.html", {**context, "said": said, "by_what": NOT_THE_TRUTH})
