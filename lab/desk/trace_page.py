"""A trace: its waterfall, its flame graph, the details of each span, and its healthy twin."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse

from lab.desk.desk import Desk, OpenCase, OpenFile, TheDesk
from lab.desk.grafana import explore_url
from lab.desk.guard import check_site, check_token
from lab.desk.pages import page
from lab.desk.waterfall_json import waterfall_document
from lab.domain.case import Case, CaseFile
from lab.domain.evidence import Telemetry
from lab.domain.marks import most_apart_ms
from lab.domain.rows import Gap, Item, Missing, Wire
from lab.domain.strata import standing
from lab.domain.trace import Span, Status, Trace
from lab.errors import UnknownCase, UsageError
from lab.frozen import dataclass
from lab.investigation.reading.healthy_twin import Comparison, compare, twin_rows
from lab.investigation.reading.ids import resolve_span, resolve_trace
from lab.investigation.reading.logs import LogLine, read_logs
from lab.investigation.reading.requests import WINDOW_WORDS, outcome_of
from lab.investigation.reading.span_words import operation
from lab.investigation.reading.strangers import compared, is_alone
from lab.investigation.reading.waterfall import Flame, Waterfall, flame_graph

PLAIN_ROWS: Final = 200
"""Rows a page of the plain table has, which whoever has no script reads."""

FLAME_ROWS: Final = 200
"""Boxes that the flame graph's table has, those with the most self time."""

NARROWEST_BOX: Final = 0.1
"""Per cent of the flame graph; narrower boxes are nobody's to hit."""

router = APIRouter(include_in_schema=False)
api = APIRouter(prefix="/api/v1", tags=["traces"])


class Assist(StrEnum):
    """A tool of the waterfall's; its use is free, and told in the debrief."""

    OWN_ERROR = "own-error jump"
    CRITICAL_PATH = "critical path"
    TWIN = "healthy twin"
    MAP = "map"


@router.get("/cases/{case_id}/traces/{trace_id}", dependencies=[Depends(check_site)])
def trace_page(
    request: Request,
    case: OpenFile,
    desk: TheDesk,
    trace_id: str,
    start: Annotated[int, Query(ge=0, alias="from")] = 0,
    span: str = "",
    details: str = "",
) -> Response:
    """The waterfall: a plain table, ``from`` one of its rows on, until a script draws its own.

    What names trace or ``span`` by less than their ids leads to where they are named whole;
    a span that is not there is none to begin at. What was logged in spans that were never
    kept is told by itself, and first where ``span`` is one of them.
    """
    trace = _trace(desk, case, trace_id)
    whole = trace.trace_id, span
    if span:
        with contextlib.suppress(UnknownCase):
            whole = trace.trace_id, _span(desk, case, trace, span).span_id
    if (trace_id, span) != whole:
        query = urlencode({**request.query_params, **({"span": whole[1]} if span else {})})
        return RedirectResponse(f"/cases/{case.case_id}/traces/{whole[0]}?{query}".rstrip("?"), 303)
    desk.solving.note_look(case.case_id, trace.trace_id)
    drawn = desk.waterfall(case, trace)
    shown = trace.by_id.get(span) if details != "no" else None
    lines = _logs(desk, case, trace)
    context = {
        **_context(case, trace),
        "span": None,
        **(_details(desk, case, trace, shown, lines) if shown else {}),
        "twin_is_on": _twin_is_on(desk, case),
        "drawn": drawn,
        "plain": list(_plain(drawn, start)),
        "plain_from": start,
        "plain_next": start + PLAIN_ROWS if start + PLAIN_ROWS < len(drawn.rows) else None,
        "apart_ms": most_apart_ms(trace),
        "errors": sum(each.fails_itself for each in drawn.marks.values()),
        "unfinished": sum(each.is_unfinished for each in trace),
        "undated": sum(each.is_undated for each in trace),
        "explore": explore_url(desk.settings.url("grafana"), next(iter(trace))),
        "never_kept": _never_kept(trace, lines, span),
        "asked_span": span if span and span not in trace.by_id else "",
    }
    return page(request, "trace.html", context)


@api.get("/cases/{case_id}/traces/{trace_id}/waterfall")
def waterfall_json(case: OpenFile, desk: TheDesk, trace_id: str) -> JSONResponse:
    """Every row with self time, ghost, critical path and marks; times in ms since the start."""
    trace = _trace(desk, case, trace_id)
    return JSONResponse(waterfall_document(desk.waterfall(case, trace), _logs(desk, case, trace)))


@router.get("/cases/{case_id}/traces/{trace_id}/spans/{span_id}")
def span_page(
    request: Request, case: OpenFile, desk: TheDesk, trace_id: str, span_id: str, part: bool = False
) -> HTMLResponse:
    """All that is known of a span: a page of its own, or with ``part`` what goes into a pane."""
    trace = _trace(desk, case, trace_id)
    span = _span(desk, case, trace, span_id)
    lines = _logs(desk, case, trace)
    context = {**_context(case, trace), **_details(desk, case, trace, span, lines)}
    return page(request, "span_details.html" if part else "span.html", context)


def _details(
    desk: Desk, case: CaseFile, trace: Trace, span: Span, lines: Sequence[LogLine]
) -> dict[str, Any]:
    """What `span_details.html` wants beside `_context`."""
    drawn = desk.waterfall(case, trace)
    inside = {each.span_id for each in _subtree(drawn, span)}
    row = next(row for row in drawn.rows if row.item is span)
    return {
        "span": span,
        "mark": drawn.marks[span.span_id],
        "outlives_ms": row.outlives_parent_ms,
        "begins_ms": None if span.is_undated else (span.start_ns - drawn.start_ns) / 1e6,
        "parent": trace.parent(span),
        "events": [
            (event, None if span.is_undated else (event.time_ns - span.start_ns) / 1e6)
            for event in span.events
        ],
        "logs": [line for line in lines if line.span_id == span.span_id],
        "logs_below": [line for line in lines if line.span_id in inside],
        "logs_trace": lines,
        "links": [(link, link.trace_id in case.evidence.traces) for link in span.links],
        "linked_from": list(_linked_from(case, span)),
        "explore": explore_url(desk.settings.url("grafana"), span),
        "traceparent": f"00-{span.trace_id}-{span.span_id}-01",
    }


@router.get("/cases/{case_id}/traces/{trace_id}/flame")
def flame_page(request: Request, case: OpenFile, desk: TheDesk, trace_id: str) -> HTMLResponse:
    """The self times of a trace by who called whom, drawn and as a table."""
    trace = _trace(desk, case, trace_id)
    boxes = list(_flame_boxes(trace))
    drawn = [each for each in boxes if each.width >= NARROWEST_BOX]
    by_self = sorted(boxes, key=lambda each: -each.box.self_ms)
    context = {
        **_context(case, trace),
        "drawn": drawn,
        "levels": 1 + max((each.box.depth for each in drawn), default=0),
        "narrow": len(boxes) - len(drawn),
        "table": by_self[:FLAME_ROWS],
        "more": len(by_self[FLAME_ROWS:]),
    }
    return page(request, "flame.html", context)


@dataclass(frozen=True, slots=True)
class FlameBox:
    """A box of the flame graph; where it stands in per cent of the whole."""

    box: Flame
    left: float
    width: float
    says: str
    mark: str


def _flame_boxes(trace: Trace) -> Iterator[FlameBox]:
    boxes, mark_of = flame_graph(trace), _mark_in(trace)
    whole_ms = sum(each.total_ms for each in boxes if each.parent is None) or 1.0
    for each in boxes:
        says = operation(trace, each.spans[0])
        left, width = 100 * each.begins_ms / whole_ms, 100 * each.total_ms / whole_ms
        yield FlameBox(each, left, width, says, mark_of(each.spans))


_MARKS: Final = ("", "↥", "✖")
"""Of what went well, of what hands up a failure, of what fails by itself: the worst last."""


def _mark_in(trace: Trace) -> Callable[[Iterable[Span]], str]:
    """Says of spans of the trace the worst mark that one of them has in the waterfall."""
    own_errors = {span.span_id for span in trace.deepest_errors()}

    def mark(spans: Iterable[Span]) -> str:
        failed = [each.span_id for each in spans if each.status is Status.ERROR]
        return _MARKS[bool(failed) + any(each in own_errors for each in failed)]

    return mark


@router.get("/cases/{case_id}/traces/{trace_id}/twin")
def twin_page(
    request: Request, case: OpenFile, desk: TheDesk, trace_id: str, order: str = "change"
) -> HTMLResponse:
    """The trace beside the healthy one nearest to it; off until it was asked for."""
    trace = _trace(desk, case, trace_id)
    is_on = _twin_is_on(desk, case)
    comparison = compare(case.evidence, trace) if is_on and not is_alone(case) else None
    context = {
        **_context(case, trace),
        "twin_is_on": is_on,
        "ledger": desk.solving.ledger(case.case_id),
        "order": "tree" if order == "tree" else "change",
        "operation": operation,
        "mark_of": _mark_in(trace),
        "comparison": comparison,
        **(_twin_rows(comparison, order) if comparison else {}),
    }
    return page(request, "twin.html", context)


def _twin_rows(comparison: Comparison, order: str) -> dict[str, Any]:
    rows = comparison.folded(in_tree_order=order == "tree")
    changed, steady = comparison.changed(rows)
    widest_ms = max((abs(row.change_ms) for row in rows), default=0.0)
    return {"changed": changed, "steady": steady, "widest_ms": widest_ms}


def _twin_is_on(desk: Desk, case: CaseFile) -> bool:
    """Whether it was asked for; where nothing is to be solved it gives nothing away."""
    ledger = desk.solving.ledger(case.case_id)
    is_open = isinstance(case, Case) and not ledger.may_see_answers
    return not is_open or Assist.TWIN in ledger.assists


@router.post("/cases/{case_id}/assists", dependencies=[Depends(check_token)])
def ask_for(
    case: OpenCase,
    desk: TheDesk,
    assist: Annotated[Assist, Form()],
    trace: Annotated[str, Form(max_length=200)] = "",
) -> RedirectResponse:
    """Switch a tool on for this case, and note it; lead on to the twin of ``trace``, if any."""
    desk.solving.note_assist(case.case_id, assist)
    place = f"/traces/{_trace(desk, case, trace).trace_id}/twin" if trace else "#assists"
    return RedirectResponse(f"/cases/{case.case_id}{place}", 303)


@api.get("/cases/{case_id}/traces/{trace_id}/twin", dependencies=[Depends(check_site)])
def twin_json(case: OpenFile, desk: TheDesk, trace_id: str) -> dict[str, Any]:
    """Every span beside the healthy one that does the same, the greatest change first."""
    comparison = compare(compared(case).evidence, _trace(desk, case, trace_id))
    if comparison is None:
        raise UnknownCase("expected a healthy trace of the same route, found none in this case")
    desk.solving.note_assist(case.case_id, Assist.TWIN)
    rows = twin_rows(comparison, in_tree_order=False)
    return {"healthy_trace_id": comparison.healthy.trace_id, "rows": rows}


@api.post("/cases/{case_id}/assists/{assist}", status_code=204)
def note_assist(case: OpenFile, desk: TheDesk, assist: Assist) -> Response:
    """Note that a tool of the page's own was used; other sites are refused like everywhere."""
    desk.solving.note_assist(case.case_id, assist)
    return Response(status_code=204)


def _context(case: CaseFile, trace: Trace) -> dict[str, Any]:
    request = case.evidence.request_of.get(trace.trace_id)
    return {
        "case": case,
        "trace": trace,
        "asked": request,
        "when": WINDOW_WORDS.get(request.window, request.window.value) if request else None,
        "outcome": outcome_of(request) if request else None,
        "standing": standing(case.evidence.weight(trace.trace_id)),
        "joined": trace.joined,
        "is_alone": is_alone(case),
        "owners": case.evidence.joined_to(trace.trace_id),
    }


def _trace(desk: Desk, case: CaseFile, trace_id: str) -> Trace:
    try:
        kept = resolve_trace(case.evidence, trace_id, desk.archive.replays(case.case_id))
        found = case.evidence.trace(kept.trace_id)
    except UsageError as error:
        why, found = f": {error}", None
    else:
        why = ""
    if found is None or not found.by_id:
        raise UnknownCase(
            f"expected a trace that {case.case_id} keeps, got {trace_id}: a case keeps a sample "
            f"of its run's traces, and its requests say which{why}"
        )
    return found


def _span(desk: Desk, case: CaseFile, trace: Trace, span_id: str) -> Span:
    try:
        return resolve_span(trace, span_id, desk.archive.replays(case.case_id))
    except UsageError as error:
        raise UnknownCase(
            f"expected a span of trace {trace.trace_id}, and it has none of id {span_id}: {error}"
        ) from error


def _logs(desk: Desk, case: CaseFile, trace: Trace) -> list[LogLine]:
    lines = (each for each in desk.archive.logs(case.case_id) if trace.trace_id in each)
    return [line for line in read_logs(case.evidence, lines) if line.trace_id == trace.trace_id]


def _never_kept(trace: Trace, lines: Sequence[LogLine], first: str) -> dict[str, list[LogLine]]:
    """Id of each span of which only log lines tell → these lines; that of ``first`` first."""
    found: dict[str, list[LogLine]] = {first: []} if first else {}
    for line in lines:
        if line.span_id and line.span_id not in trace.by_id:
            found.setdefault(line.span_id, []).append(line)
    return {span_id: told for span_id, told in found.items() if told}


def _subtree(drawn: Waterfall, span: Span) -> Iterator[Span]:
    at = next(n for n, row in enumerate(drawn.rows) if row.item is span)
    for row in drawn.rows[at : at + 1 + drawn.descendants[at]]:
        if isinstance(row.item, Span):
            yield row.item


def _linked_from(case: CaseFile, span: Span) -> Iterable[Span]:
    """The spans of this case, of whatever trace, that link to ``span``."""
    traces: Iterable[Trace] = case.evidence.traces.values()
    if isinstance(case, Telemetry):
        # The index knows which traces link to which; reading them all would take seconds.
        told = (each for each in case.index if span.trace_id in each.linked)
        traces = (
            case.evidence.traces[each] for each in (span.trace_id, *(one.trace_id for one in told))
        )
    for trace in traces:
        for each in trace:
            if any(
                (link.trace_id, link.span_id) == (span.trace_id, span.span_id)
                for link in each.links
            ):
                yield each


def _plain(drawn: Waterfall, start: int) -> Iterator[dict[str, Any]]:
    """Rows of the plain table, whose bars are drawn in thousandths of the whole."""
    whole_ns = max(1, drawn.end_ns - drawn.start_ns)
    for row in drawn.rows[start : start + PLAIN_ROWS]:
        item = row.item
        bars = [
            (
                1000 * (begins - drawn.start_ns) / whole_ns,
                max(2.0, 1000 * (ends - begins) / whole_ns),
            )
            for begins, ends in _stretches_ns(item, drawn.end_ns)
        ]
        kind = {Gap: "gap", Missing: "missing", Wire: "wire"}.get(type(item), "span")
        mark = drawn.marks.get(item.span_id) if isinstance(item, Span) else None
        yield {"row": row, "item": item, "kind": kind, "mark": mark, "bars": bars}


def _stretches_ns(item: Item, end_ns: int) -> Sequence[tuple[int, int]]:
    """Where its bars are; a span without an end reaches to that of the trace."""
    if isinstance(item, Missing) or (isinstance(item, Span) and item.is_undated):
        return ()
    if isinstance(item, Span) and item.is_unfinished:
        return ((item.start_ns, end_ns),)
    return item.stretches_ns if isinstance(item, Wire) else ((item.start_ns, item.end_ns),)
