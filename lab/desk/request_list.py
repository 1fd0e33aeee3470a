"""The lists of requests, and of a stranger's traces: both as what stands in the address says."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from lab.desk.desk import OpenCase
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
from lab.investigation.reading.trace_list import OUTCOMES as TRACE_OUTCOMES
from lab.investigation.reading.trace_list import SORTS as TRACE_SORTS
from lab.investigation.reading.trace_list import TraceQuery, find_traces, services_of

ROWS_A_PAGE: Final = 50
TRACES_A_PAGE: Final = 100
LONGEST_NAME: Final = 200
MOST_OFFERED: Final = 100
"""Services, and names of roots, to choose from; a stranger may have thousands."""

router = APIRouter(include_in_schema=False)


def _empty_is_none(value: object) -> object:
    return None if value == "" else value


Word = Annotated[Annotated[str, Field(max_length=200)] | None, BeforeValidator(_empty_is_none)]


def _on_the_clock(moment: datetime | None) -> datetime | None:
    """The same by this machine's clock, as the field for it takes it; some it cannot say."""
    try:
        return moment and moment.astimezone().replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise ValueError("expected a moment such as 2026-03-01T14:02") from error


Moment = Annotated[datetime | None, BeforeValidator(_empty_is_none), AfterValidator(_on_the_clock)]
Milliseconds = Annotated[Annotated[float, Field(ge=0)] | None, BeforeValidator(_empty_is_none)]


class Address(BaseModel):
    """What an address says of order and page; an empty field, as forms send it, asks nothing."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    sort: str = "time"
    order: Literal["up", "down"] = "up"
    page: Annotated[int, Field(ge=1)] = 1

    def address(self, **changes: object) -> str:
        """The query of an address with these changes; what is as by default is left out."""
        changed = self.model_copy(update=changes)
        default = type(self)().model_dump()
        told = [
            (key, value) for key, value in changed.model_dump().items() if value != default[key]
        ]
        told.sort(key=lambda pair: pair[0] in Address.model_fields)
        return "?" + urlencode(told)

    def sorted_by(self, key: str) -> str:
        """The address of the list sorted by ``key``, the other way round where it is already."""
        down = self.sort == key and self.order == "up"
        return self.address(sort=key, order="down" if down else "up", page=1)


class ListState(Address):
    """Which requests are meant."""

    outcome: Word = None
    route: Word = None
    window: Word = None
    tenant: Word = None
    service: Word = None
    q: Word = None
    min_ms: Milliseconds = None
    max_ms: Milliseconds = None
    kept: Literal["yes", "any"] = "yes"

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


class TraceListState(Address):
    """Which of a stranger's traces are meant; a moment without a zone is of this machine's."""

    outcome: Word = None
    root: Word = None
    service: Word = None
    q: Word = None
    min_ms: Milliseconds = None
    max_ms: Milliseconds = None
    since: Moment = None
    until: Moment = None
    incomplete: Literal["", "yes"] = ""

    def query(self) -> TraceQuery:
        """The same as the investigation asks it."""
        return TraceQuery(
            outcome=self.outcome,
            root=self.root,
            service=self.service,
            text=self.q,
            least_ms=self.min_ms,
            most_ms=self.max_ms,
            since_s=None if self.since is None else self.since.timestamp(),
            until_s=None if self.until is None else self.until.timestamp(),
            incomplete=self.incomplete == "yes",
        )


def _trace_list_state(state: Annotated[TraceListState, Query()]) -> TraceListState:
    return state


TraceList = Annotated[TraceListState, Depends(_trace_list_state)]
"""A route's parameter, beside others of its query."""


def page_of_traces(case: Telemetry, state: TraceListState) -> dict[str, Any]:
    """What the page's template shows: one page of the traces, and what can be asked for."""
    down = state.order == "down"
    found = find_traces(case, state.query(), sort=state.sort, descending=down)
    start = (state.page - 1) * TRACES_A_PAGE
    roots = Counter(each.name[:LONGEST_NAME] for each in case.index)
    return {
        "case": case,
        "state": state,
        "traces": found[start : start + TRACES_A_PAGE],
        "total": len(found),
        "pages": max(1, -(-len(found) // TRACES_A_PAGE)),
        "services": services_of(case)[:MOST_OFFERED],
        "roots": [name for name, _ in roots.most_common(MOST_OFFERED)],
        "outcomes": TRACE_OUTCOMES,
        "sorts": tuple(TRACE_SORTS),
    }


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
def requests(
    request: Request, case: OpenCase, state: Annotated[ListState, Query()]
) -> HTMLResponse:
    """List requests; those whose trace is kept lead to it."""
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
