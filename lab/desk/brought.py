"""Traces that somebody brought: their signals over time, and which of them were healthy."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from lab.desk.charts import three_signals
from lab.desk.desk import Desk, OpenFile, TheDesk
from lab.desk.guard import check_token
from lab.domain.evidence import Telemetry
from lab.errors import UsageError
from lab.investigation.reading.strangers import brought, healthy_count, overview_signals

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["traces"])

Said = Annotated[str, Field(max_length=200)]


def traces_of(found: OpenFile) -> Telemetry:
    """What ``{case_id}`` names, where it has no windows of its own; else UsageError."""
    return brought(found)


OpenTraces = Annotated[Telemetry, Depends(traces_of)]


class ReferenceBody(BaseModel):
    """Which traces were healthy: of a stretch (``FROM..TO``), or all of another import; or none."""

    model_config = ConfigDict(extra="forbid")

    before: Said | None = None
    compare: Said | None = None


class ReferenceState(BaseModel):
    """What has been said: in words, None where nothing has, and how many traces that are."""

    healthy: str | None
    healthy_traces: int


@router.post("/cases/{case_id}/reference", dependencies=[Depends(check_token)])
def choose(
    case: OpenTraces,
    desk: TheDesk,
    from_s: Annotated[str, Form(max_length=100)] = "",
    to_s: Annotated[str, Form(max_length=100)] = "",
    compare: Annotated[str, Form(max_length=200)] = "",
    none: Annotated[bool, Form()] = False,
) -> RedirectResponse:
    """Take what the form says, and show the page that now compares with it."""
    stretch = f"{from_s}..{to_s}" if from_s or to_s else None
    if (stretch is not None) + bool(compare) + none != 1:
        raise UsageError("expected from when to when it was healthy, or other traces; got neither")
    desk.archive.refer(case.case_id, stretch=stretch, other=compare or None)
    return RedirectResponse(f"/cases/{case.case_id}#reference", 303)


@api.put("/cases/{case_id}/reference")
def choose_json(case: OpenTraces, desk: TheDesk, body: ReferenceBody) -> ReferenceState:
    """Say which traces were healthy; other sites are refused like everywhere."""
    if body.before is not None and body.compare is not None:
        raise UsageError("expected one of before and compare, got both")
    desk.archive.refer(case.case_id, stretch=body.before, other=body.compare)
    return reference_json(traces_of(desk.case_file(case.case_id)))


@api.get("/cases/{case_id}/reference")
def reference_json(case: OpenTraces) -> ReferenceState:
    """What has been said of it."""
    healthy = str(case.healthy) if case.healthy else None
    return ReferenceState(healthy=healthy, healthy_traces=healthy_count(case))


def reference_context(desk: Desk, case: Telemetry) -> dict[str, Any]:
    """What the page of such traces shows of their time: charts, and the reference or a form."""
    found = overview_signals(case)
    return {
        "charts": three_signals(found),
        "measured": found,
        "healthy": case.healthy,
        "healthy_traces": healthy_count(case),
        "others": desk.other_imports(case),
    }
