"""The list of requests: filtered, sorted and paged by what stands in the address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from lab.desk.desk import OpenCase, OpenFile
from lab.desk.pages import page
from lab.domain.case import Case, Telemetry
from lab.investigation.reading.background import background_rows, background_traces
from lab.investigation.reading.requests import (
    OUTCOMES,
    SORTS,
    WINDOW_WORDS,
    RequestQuery,
    find_requests,
    into_window_s,
    outcome_of,
)

ROWS_A_PAGE: Final = 50

router = APIRouter(include_in_schema=False)


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


Word = Annotated[Annotated[str, Field(max_length=200)] | None, BeforeValidator(_empty_is_none)]
Milliseconds = Annotated[Annotated[float, Field(ge=0)] | None, BeforeValidator(_empty_is_none)]


class ListState(BaseModel):
    """What the address says; an empty field, as forms send it, asks nothing."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    outcome: Word = None
    route: Word = None
    window: Word = None
    tenant: Word = None
    service: Word = None
    q: Word = None
    min_ms: Milliseconds = None
    max_ms: Milliseconds = None
    kept: Literal["yes", "any"] = "yes"
    sort: str = "time"
    order: Literal["up", "down"] = "up"
    page: Annotated[int, Field(ge=1)] = 1

    def query(self) -> RequestQuery:
        """The same as the investigation asks it."""
        return RequestQuery(
            outcome=self.outcome,
            route=self.route,
            window=self.window,
            tenant=self.tenant,
            service=self.service,
            text=self.q,
            least_ms=self.min_ms,
            most_ms=self.max_ms,
            with_trace=self.kept == "yes",
        )

    def address(self, **changes: object) -> str:
        """The query of an address with these changes; what is as by default is left out."""
        changed = self.model_copy(update=changes)
        default = ListState().model_dump()
        told = {k: v for k, v in changed.model_dump().items() if v != default[k]}
        return "?" + urlencode(told)

    def sorted_by(self, key: str) -> str:
        """The address of the list sorted by ``key``, the other way round where it is already."""
        down = self.sort == key and self.order == "up"
        return self.address(sort=key, order="down" if down else "up", page=1)


@dataclass(frozen=True, slots=True)
class RequestPage:
    """One page of the requests that fit."""

    rows: tuple[dict[str, Any], ...]
    total: int
    pages: int


def page_of(case: Case, state: ListState) -> RequestPage:
    """The page that ``state`` asks for; UsageError for a word the case does not know."""
    found = find_requests(
        case.evidence, state.query(), sort=state.sort, descending=state.order == "down"
    )
    start = (state.page - 1) * ROWS_A_PAGE
    rows = tuple(row_of(case, each) for each in found[start : start + ROWS_A_PAGE])
    return RequestPage(rows, len(found), max(1, -(-len(found) // ROWS_A_PAGE)))


def row_of(case: Case, request: Any) -> dict[str, Any]:
    """A request as the list shows it; ``spans`` is None where the case keeps no trace of it."""
    trace = case.evidence.traces.get(request.trace_id)
    return {
        "trace_id": request.trace_id,
        "window": WINDOW_WORDS[request.window],
        "into_window_s": into_window_s(case.evidence, request),
        "route": request.route,
        "status": request.status,
        "outcome": outcome_of(request),
        "latency_ms": round(request.latency_ms, 3),
        "tenant": request.tenant,
        "answer_bytes": request.answer_bytes,
        "spans": None if trace is None else len(trace.by_id),
        "whole": None if trace is None else trace.is_whole,
        "stands_for": None if trace is None else round(case.evidence.weight(trace.trace_id), 2),
    }


@router.get("/cases/{case_id}/traces")
def requests(request: Request, case: OpenFile, state: Annotated[ListState, Query()]) -> Response:
    """List requests; those whose trace is kept lead to it. Of a stranger's traces, these."""
    if isinstance(case, Telemetry):
        return RedirectResponse(f"/cases/{case.case_id}", 303)
    evidence = case.evidence
    context = {
        "case": case,
        "state": state,
        "found": page_of(case, state),
        "routes": sorted({each.route for each in evidence.requests}),
        "tenants": sorted({each.tenant for each in evidence.requests}),
        "services": sorted({span.service for trace in evidence.traces.values() for span in trace}),
        "outcomes": OUTCOMES,
        "windows": tuple(WINDOW_WORDS.values()),
        "sorts": tuple(SORTS),
        "background": len(background_traces(evidence)),
    }
    return page(request, "requests.html", context)


@router.get("/cases/{case_id}/background")
def background(request: Request, case: OpenCase) -> HTMLResponse:
    """List the traces that no request began: messages, orphans, what runs by itself."""
    found = background_traces(case.evidence)
    rows = background_rows(case.evidence, found)
    return page(request, "background.html", {"case": case, "rows": rows})
