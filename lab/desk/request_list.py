"""The lists of requests, and of a stranger's traces: both as what stands in the address says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from lab.desk.charts import Scatter, scatter
from lab.desk.desk import OpenCase, OpenFile
from lab.desk.pages import page
from lab.domain import load
from lab.domain.case import Case
from lab.domain.evidence import Interval, Telemetry
from lab.frozen import dataclass
from lab.investigation.reading.background import background_rows, background_traces
from lab.investigation.reading.edge_signals import stretches
from lab.investigation.reading.impact import nearly_all_before_ms
from lab.investigation.reading.requests import (
    EDGE_KEYS,
    OUTCOMES,
    SORTS,
    WINDOW_WORDS,
    RequestGroup,
    RequestQuery,
    attribute_names,
    axis_start_s,
    find_requests,
    group_requests,
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
GROUPS_SHOWN: Final = 50

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
Seconds = Annotated[
    Annotated[float, Field(ge=0, allow_inf_nan=False)] | None, BeforeValidator(_empty_is_none)
]


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
    """Which requests are meant; ``from_s`` and ``to_s`` count from the first window's start."""

    outcome: Word = None
    route: Word = None
    window: Word = None
    tenant: Word = None
    service: Word = None
    q: Word = None
    min_ms: Milliseconds = None
    max_ms: Milliseconds = None
    from_s: Seconds = None
    to_s: Seconds = None
    group: Word = None
    kept: Literal["yes", "any"] = "any"

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
            from_s=self.from_s,
            to_s=self.to_s,
        )

    def of_group(self, value: str) -> str:
        """The address of the requests that share this value of what they are grouped by."""
        key = self.group or ""
        if key in {"route", "tenant", "outcome", "window"}:
            return self.address(**{key: value}, group=None, page=1)
        return self.address(q=value if key in EDGE_KEYS else f"{key}={value}", group=None, page=1)


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
    roots = Counter(map(attrgetter("name"), case.index))
    return {
        "case": case,
        "state": state,
        "traces": found[start : start + TRACES_A_PAGE],
        "total": len(found),
        "pages": max(1, -(-len(found) // TRACES_A_PAGE)),
        "services": services_of(case)[:MOST_OFFERED],
        "roots": list(
            dict.fromkeys(name[:LONGEST_NAME] for name, _ in roots.most_common(MOST_OFFERED))
        ),
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
    return _page_of(case, state, _found(case, state))


def _found(case: Case, state: ListState) -> list[load.Request]:
    return find_requests(
        case.evidence, state.query(), sort=state.sort, descending=state.order == "down"
    )


def _page_of(case: Case, state: ListState, found: Sequence[load.Request]) -> RequestPage:
    start = (state.page - 1) * ROWS_A_PAGE
    usual_ms = nearly_all_before_ms(case.evidence)
    rows = tuple(row_of(case, each, usual_ms) for each in found[start : start + ROWS_A_PAGE])
    return RequestPage(rows, len(found), max(1, -(-len(found) // ROWS_A_PAGE)))


def row_of(case: Case, request: load.Request, usual_ms: Mapping[str, float]) -> dict[str, Any]:
    """A request as the list shows it; ``spans`` is None where the case keeps no trace of it.

    ``at_s`` counts from the start of the first window. ``slow`` says that it took longer than
    nearly all of its route did before the incident, which is None where there was none.
    """
    trace = case.evidence.traces.get(request.trace_id)
    usual = usual_ms.get(request.route)
    return {
        "trace_id": request.trace_id,
        "window": WINDOW_WORDS[request.window],
        "into_window_s": into_window_s(case.evidence, request),
        "at_s": round(request.start_s - axis_start_s(case.evidence), 3),
        "route": request.route,
        "status": request.status,
        "outcome": outcome_of(request),
        "latency_ms": round(request.latency_ms, 3),
        "slow": None if usual is None else request.latency_ms > usual,
        "tenant": request.tenant,
        "answer_bytes": request.answer_bytes,
        "spans": None if trace is None else len(trace.by_id),
        "whole": None if trace is None else trace.is_whole,
        "stands_for": None if trace is None else round(case.evidence.weight(trace.trace_id), 2),
    }


@router.get("/cases/{case_id}/traces")
def requests(request: Request, case: OpenFile, state: Annotated[ListState, Query()]) -> Response:
    """Latency over time, groups, and a list; requests whose trace is kept lead to it."""
    if isinstance(case, Telemetry):
        return RedirectResponse(f"/cases/{case.case_id}", 303)
    evidence = case.evidence
    found = _found(case, state)
    shown = _page_of(case, state, found)
    groups = _groups(case, state, found)
    context = {
        "case": case,
        "state": state,
        "found": shown,
        "kept": sum(each.trace_id in evidence.traces for each in found),
        "longest_ms": max((each["latency_ms"] for each in shown.rows), default=0.0),
        "scatter": _drawn(case, state, found),
        "groups": groups[:GROUPS_SHOWN],
        "more_groups": max(0, len(groups) - GROUPS_SHOWN),
        "edge_keys": tuple(EDGE_KEYS),
        "keys_to_group": (*EDGE_KEYS, *attribute_names(evidence)),
        "routes": sorted({each.route for each in evidence.requests}),
        "tenants": sorted({each.tenant for each in evidence.requests}),
        "services": sorted({span.service for trace in evidence.traces.values() for span in trace}),
        "outcomes": OUTCOMES,
        "windows": tuple(WINDOW_WORDS.values()),
        "sorts": tuple(SORTS),
        "background": len(background_traces(evidence)),
    }
    return page(request, "requests.html", context)


def _drawn(case: Case, state: ListState, found: Sequence[load.Request]) -> Scatter:
    """All that is found, over all the time there is, or over the part that is asked."""
    windows = stretches(case.evidence)
    end_s = max((each.end_s for each in windows), default=0.0)
    across_s = Interval(state.from_s or 0.0, end_s if state.to_s is None else state.to_s)
    return scatter(found, windows, axis_start_s(case.evidence), across_s)


def _groups(
    case: Case, state: ListState, found: Sequence[load.Request]
) -> tuple[RequestGroup, ...]:
    if state.group is None:
        return ()
    return group_requests(case.evidence, found, state.group)


@router.get("/cases/{case_id}/background")
def background(request: Request, case: OpenCase) -> HTMLResponse:
    """List the traces that no request began: messages, orphans, what runs by itself."""
    found = background_traces(case.evidence)
    rows = background_rows(case.evidence, found)
    return page(request, "background.html", {"case": case, "rows": rows})
