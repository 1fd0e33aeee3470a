"""Spans of the OpenTelemetry SDK as the domain has them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry import trace as otel
from opentelemetry.sdk.trace import Event as OtelEvent
from opentelemetry.sdk.trace import ReadableSpan

from lab.domain.trace import AttributeValue, Event, Kind, Link, Span, Status

Resource = Mapping[str, AttributeValue]

_KINDS: Final = {kind: Kind[kind.name] for kind in otel.SpanKind}
_STATUSES: Final = {code: Status[code.name] for code in otel.StatusCode}


def converted(span: ReadableSpan, resources: dict[int, Resource]) -> Span:
    """A span of the SDK as the domain has it.

    ``resources`` are those of spans before, by the identity of what the SDK has: a process has
    one, and its own equality costs more than all else here.
    """
    context = span.get_span_context()
    assert context is not None
    resource = resources.get(id(span.resource))
    if resource is None:
        resource = resources[id(span.resource)] = _attributes(span.resource.attributes)
    return Span(
        trace_id=otel.format_trace_id(context.trace_id),
        span_id=otel.format_span_id(context.span_id),
        parent_id=otel.format_span_id(span.parent.span_id) if span.parent else None,
        name=span.name,
        kind=_KINDS[span.kind],
        service=str(resource.get("service.name", "")),
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
        status=_STATUSES[span.status.status_code],
        status_message=span.status.description or "",
        attributes=_attributes(span.attributes),
        events=tuple(map(_event, span.events)),
        links=tuple(map(_link, span.links)),
        resource=resource,
    )


def _event(event: OtelEvent) -> Event:
    return Event(event.name, event.timestamp, _attributes(event.attributes))


def _link(link: otel.Link) -> Link:
    ids = link.context
    return Link(
        otel.format_trace_id(ids.trace_id),
        otel.format_span_id(ids.span_id),
        _attributes(link.attributes),
    )


def _attributes(found: Mapping[str, Any] | None) -> dict[str, AttributeValue]:
    return {key: _plain(value) for key, value in (found or {}).items()}


def _plain(value: Any) -> AttributeValue:
    if isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return tuple(map(_plain, value))
    return str(value)
