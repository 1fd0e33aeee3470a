"""Traces and spans as every tool that looks at them tells of them."""

from __future__ import annotations

from typing import Final

from lab.domain import ids
from lab.domain.rows import summary_of
from lab.domain.trace import Span, Status, Trace
from lab.errors import UsageError
from lab.mcp.answers import Answer
from lab.mcp.dossier import Dossier, moment
from lab.mcp.toolbox import Room, text_param

TRACE_ID: Final = text_param("trace_id", "32 hex digits, or the beginning.", required=True)


def row_of(dossier: Dossier, trace: Trace) -> Answer:
    """A trace as a list shows it."""
    told = summary_of(trace)
    request = dossier.requests.get(trace.trace_id)
    return {
        "trace_id": told.trace_id,
        "period": dossier.period(trace),
        "start_time": moment(told.start_ns / 1e9),
        "duration_ms": round(told.duration_ms, 3),
        "root_service": told.service,
        "root_operation": told.name,
        "span_count": told.spans,
        "error_count": told.errors,
        "services": list(told.services),
        "route": request.route if request else None,
        "tenant": request.tenant if request else None,
        "http_status": request.status if request else None,
    }


def span_row(trace: Trace, span: Span) -> Answer:
    """A span in one line; times in ms, ``self_ms`` is what none of its children took."""
    found: Answer = {
        "span_id": span.span_id,
        "parent_span_id": span.parent_id,
        "service": span.service,
        "operation": span.name,
        "kind": span.kind.value,
        "start_time": moment(span.start_ns / 1e9),
        "duration_ms": round(span.duration_ms, 3),
        "self_ms": round(trace.self_time_ms(span), 3),
    }
    if span.peer:
        found["peer"] = span.peer
    if span.status is not Status.UNSET:
        found["status"] = span.status.value
    return found


def span_details(trace: Trace, span: Span) -> Answer:
    """All that a span says."""
    return {
        **span_row(trace, span),
        "status_message": span.status_message,
        "attributes": dict(span.attributes),
        "resource": dict(span.resource),
        "events": [
            {
                "name": each.name,
                "time": moment(each.time_ns / 1e9),
                "attributes": dict(each.attributes),
            }
            for each in span.events
        ],
        "links": [{"trace_id": each.trace_id, "span_id": each.span_id} for each in span.links],
    }


def trace_meant(dossier: Dossier, trace_id: str) -> Trace:
    """The trace whose id begins so; UsageError says what to ask where there is none, or several."""
    wanted = trace_id.strip().lower()
    by_id = {each.trace_id: each for each in dossier.traces}
    found = ids.meant(wanted, by_id)
    if wanted and len(found) == 1:
        return by_id[found[0]]
    if wanted in dossier.requests:
        raise UsageError(
            f"expected a trace that is kept, got {trace_id!r}: this request was made, but only a "
            "sample of traces is kept; a search lists those"
        )
    how = f"{len(found)} begin so: give more digits" if len(found) > 1 else "a search lists them"
    raise UsageError(f"expected the id of a trace, got {trace_id!r:.80}; {how}")


def opened(room: Room, dossier: Dossier, trace_id: str) -> Trace:
    """The trace that is meant; that it was opened is noted."""
    trace = trace_meant(dossier, trace_id)
    room.look(dossier.case_id, trace.trace_id)
    return trace


def in_time(trace: Trace, least_s: float | None, most_s: float | None) -> bool:
    """Whether it began between two moments in Unix seconds, where they are given."""
    start_s = trace.spans[0].start_ns / 1e9
    return (least_s is None or start_s >= least_s) and (most_s is None or start_s <= most_s)
