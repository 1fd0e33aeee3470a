"""OTLP/JSON ⇄ traces: how Tempo answers, how the Collector writes, how a case keeps spans.

Read are both spellings of ids (hex, as the OTLP specification's section "JSON Protobuf
Encoding" demands and the Collector's file exporter writes; base64, as Tempo's
``/api/v2/traces`` answers), enumerations by number or by name, and 64-bit numbers as
strings or numbers. Unknown fields are ignored, as that section says; what is there
and cannot be meant is `MalformedOtlpError`, with the path of the field. Written is what the
specification says: lowerCamelCase, hex ids, enumerations as numbers, 64-bit numbers
as strings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, Final

from lab.adapters.otlp import fields
from lab.adapters.otlp.fields import MalformedOtlpError
from lab.domain.trace import (
    NO_SCOPE,
    AttributeValue,
    Event,
    Kind,
    Link,
    Scope,
    Span,
    Status,
    Trace,
    in_time,
)

_KINDS: Final = (
    Kind.INTERNAL,  # 0, unspecified: the specification allows to take it as internal
    Kind.INTERNAL,
    Kind.SERVER,
    Kind.CLIENT,
    Kind.PRODUCER,
    Kind.CONSUMER,
)
_STATUSES: Final = (Status.UNSET, Status.OK, Status.ERROR)
_KIND_NAMES: Final = {"SPAN_KIND_UNSPECIFIED": 0} | {
    f"SPAN_KIND_{kind.name}": number for number, kind in enumerate(_KINDS) if number
}
_STATUS_NAMES: Final = {
    f"STATUS_CODE_{status.name}": number for number, status in enumerate(_STATUSES)
}
_NOT_FINITE: Final = {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}
MOST_SPANS: Final = 10_000
"""In one document; a trace of more is refused, for no request of a shop makes so many."""

DEEPEST_TRACE: Final = 500
"""Spans below each other; whoever asks for ancestors walks them for each span."""

_TRACE_ID_BYTES: Final = 16
_SPAN_ID_BYTES: Final = 8

_Resource = tuple[Mapping[str, AttributeValue], str]
"""Its attributes, and the URL of the conventions that they follow."""

_NO_RESOURCE: Final[_Resource] = ({}, "")


def read_traces(document: object) -> dict[str, Trace]:
    """Trace id → trace, of a ``TracesData`` document or of Tempo's ``{"trace": …}`` round one."""
    if document is None:
        raise MalformedOtlpError("document", "an object", document)
    data = fields.message(document, "document")
    if "trace" in data:
        data = fields.message(data["trace"], "trace")
    spans: dict[str, list[Span]] = {}
    for number, span in enumerate(_spans(data)):
        if isinstance(span, MalformedOtlpError):
            raise span
        if number >= MOST_SPANS:
            raise MalformedOtlpError("document", f"at most {MOST_SPANS} spans", "more")
        spans.setdefault(span.trace_id, []).append(span)
    traces = {trace_id: assemble(trace_id, found) for trace_id, found in spans.items()}
    for trace in traces.values():
        # No more are below each other than there are; to walk them takes a while.
        if len(trace.spans) > DEEPEST_TRACE and trace.depth > DEEPEST_TRACE:
            raise MalformedOtlpError(
                f"trace {trace.trace_id}",
                f"at most {DEEPEST_TRACE} spans below each other",
                trace.depth,
            )
    return traces


def assemble(trace_id: str, spans: Iterable[Span]) -> Trace:
    """A trace of what was received: the first of each span id, in order of their start."""
    first = {span.span_id: span for span in reversed(tuple(spans))}
    ordered = sorted(first.values(), key=lambda span: (*in_time(span), span.span_id))
    return Trace(trace_id, tuple(ordered))


def trace_to_otlp(trace: Trace) -> dict[str, Any]:
    """A ``TracesData`` document of one trace."""
    return write_traces([trace])


def write_traces(traces: Iterable[Trace]) -> dict[str, Any]:
    """A ``TracesData`` document of the traces, one ``resourceSpans`` per resource in a row."""
    spans = (span for trace in traces for span in trace)
    return {
        "resourceSpans": [
            {
                **write_resource(made[0].service, made[0].resource, made[0].resource_schema_url),
                "scopeSpans": [
                    {**write_scope(ones[0].scope), "spans": [write_span(span) for span in ones]}
                    for ones in _runs(made, lambda span: span.scope)
                ],
            }
            for made in _runs(
                spans, lambda span: (span.service, dict(span.resource), span.resource_schema_url)
            )
        ]
    }


def _runs(spans: Iterable[Span], maker: Callable[[Span], object]) -> Iterator[Sequence[Span]]:
    """Spans of one maker in a row; told apart by its text, for 1, 1.0 and True are equal."""
    return (tuple(run) for _, run in groupby(spans, key=lambda span: repr(maker(span))))


def write_resource(
    service: str, resource: Mapping[str, AttributeValue], schema_url: str
) -> dict[str, Any]:
    """The fields of ``ResourceSpans`` that say where its spans come from."""
    named = {**({"service.name": service} if service else {}), **resource}
    told = {"attributes": _write_attributes(named)}
    return {"resource": told, **_set({"schemaUrl": schema_url})}


def write_scope(scope: Scope) -> dict[str, Any]:
    """The fields of ``ScopeSpans`` that say what made its spans; none where nobody knows."""
    told: dict[str, Any] = {"name": scope.name, "version": scope.version}
    if scope.attributes:
        told["attributes"] = _write_attributes(scope.attributes)
    return _set({"scope": _set(told), "schemaUrl": scope.schema_url})


def _set(fields_of: Mapping[str, Any]) -> dict[str, Any]:
    """Those that are not as by default, which protobuf's JSON leaves out."""
    return {key: value for key, value in fields_of.items() if value}


_OLD_SCOPES: Final = "instrumentationLibrarySpans"
"""What ``scopeSpans`` was called before OTLP 0.15, with ``instrumentationLibrary`` in it."""

GROUP_FIELDS: Final = ("resourceSpans", "batches")
"""Where a document holds its groups; ``batches`` was Tempo's before its second API."""


def _spans(data: Mapping[str, Any]) -> Iterator[Span | MalformedOtlpError]:
    for field in GROUP_FIELDS:
        for r, group in enumerate(fields.messages(data, field, "")):
            yield from group_spans(group, f"{field}[{r}]")


def group_spans(group: Mapping[str, Any], at: str) -> Iterator[Span | MalformedOtlpError]:
    """The spans of one ``ResourceSpans``, in any spelling; in place of a bad one, what is wrong."""
    if any("_" in key for key in group):
        group = fields.camel(group)
    flaw: MalformedOtlpError | None = None
    resource = _NO_RESOURCE
    try:
        resource = _resource(group, at)
    except MalformedOtlpError as error:
        flaw = error
    for field in ("scopeSpans", _OLD_SCOPES):
        for owner, where, scope in _scopes(group, field, at):
            if isinstance(owner, MalformedOtlpError):
                yield owner
                continue
            yield from _of_scope(owner, where, scope, resource, flaw)


def _resource(group: Mapping[str, Any], at: str) -> _Resource:
    found = fields.message(group.get("resource"), f"{at}.resource")
    attributes = fields.attributes(found, f"{at}.resource")
    return attributes, fields.text(group, "schemaUrl", at)


def _scopes(
    group: Mapping[str, Any], field: str, at: str
) -> Iterator[tuple[Mapping[str, Any] | MalformedOtlpError, str, Scope]]:
    try:
        listed = fields.items(group, field, at)
    except MalformedOtlpError as error:
        yield error, at, NO_SCOPE
        return
    for s, each in enumerate(listed):
        where = f"{at}.{field}[{s}]"
        try:
            owner = fields.message(each, where)
            yield owner, where, _scope(owner, where)
        except MalformedOtlpError as error:
            yield error, where, NO_SCOPE


def _scope(owner: Mapping[str, Any], at: str) -> Scope:
    found = owner.get("scope") or owner.get("instrumentationLibrary")
    schema_url = fields.text(owner, "schemaUrl", at)
    if not (found or schema_url):
        return NO_SCOPE
    where = f"{at}.scope"
    scope = fields.message(found, where)
    return Scope(
        fields.text(scope, "name", where),
        fields.text(scope, "version", where),
        fields.attributes(scope, where),
        schema_url,
    )


def _of_scope(
    owner: Mapping[str, Any],
    at: str,
    scope: Scope,
    resource: _Resource,
    flaw: MalformedOtlpError | None,
) -> Iterator[Span | MalformedOtlpError]:
    try:
        spans = fields.items(owner, "spans", at)
    except MalformedOtlpError as error:
        yield error
        return
    for n, each in enumerate(spans):
        where = f"{at}.spans[{n}]"
        try:
            if flaw is not None:
                raise flaw
            span = fields.message(each, where)
            if "span_id" in span or "trace_id" in span:
                span = fields.camel(span)
            yield _span(span, resource, scope, where)
        except MalformedOtlpError as error:
            yield error


def _span(span: Mapping[str, Any], origin: _Resource, scope: Scope, at: str) -> Span:
    at_status = f"{at}.status"
    resource, schema_url = origin
    status = fields.message(span.get("status"), at_status)
    return Span(
        trace_id=fields.identity(span, "traceId", _TRACE_ID_BYTES, at),
        span_id=fields.identity(span, "spanId", _SPAN_ID_BYTES, at),
        parent_id=fields.optional_identity(span, "parentSpanId", _SPAN_ID_BYTES, at),
        name=fields.text(span, "name", at),
        kind=_KINDS[fields.enumerated(span, "kind", _KIND_NAMES, at)],
        service=str(resource.get("service.name", "")),
        start_ns=fields.time_ns(span, "startTimeUnixNano", at),
        end_ns=fields.time_ns(span, "endTimeUnixNano", at),
        status=_STATUSES[fields.enumerated(status, "code", _STATUS_NAMES, at_status)],
        status_message=fields.text(status, "message", at_status),
        attributes=fields.attributes(span, at),
        events=_events(span, at) if "events" in span else (),
        links=_links(span, at) if "links" in span else (),
        resource=resource,
        scope=scope,
        trace_state=fields.text(span, "traceState", at),
        flags=fields.flags(span, at),
        resource_schema_url=schema_url,
    )


def _events(span: Mapping[str, Any], at: str) -> tuple[Event, ...]:
    found = enumerate(fields.messages(span, "events", at))
    return tuple(_event(event, f"{at}.events[{n}]") for n, event in found)


def _links(span: Mapping[str, Any], at: str) -> tuple[Link, ...]:
    found = enumerate(fields.messages(span, "links", at))
    links = (_link(link, f"{at}.links[{n}]") for n, link in found)
    return tuple(link for link in links if link is not None)


def _event(event: Mapping[str, Any], at: str) -> Event:
    return Event(
        name=fields.text(event, "name", at),
        time_ns=fields.time_ns(event, "timeUnixNano", at),
        attributes=fields.attributes(event, at),
    )


def _link(link: Mapping[str, Any], at: str) -> Link | None:
    """The link; None for one that leads nowhere, as SDKs write it for an invalid context."""
    trace_id = fields.optional_identity(link, "traceId", _TRACE_ID_BYTES, at)
    span_id = fields.optional_identity(link, "spanId", _SPAN_ID_BYTES, at)
    attributes = fields.attributes(link, at)
    if not (trace_id and span_id):
        return None
    trace_state = fields.text(link, "traceState", at)
    return Link(trace_id, span_id, attributes, trace_state, fields.flags(link, at))


def write_span(span: Span) -> dict[str, Any]:
    """A ``Span``."""
    status = {"code": _STATUSES.index(span.status), "message": span.status_message}
    return {
        "traceId": span.trace_id,
        "spanId": span.span_id,
        **_set({"traceState": span.trace_state, "flags": span.flags}),
        **({"parentSpanId": span.parent_id} if span.parent_id else {}),
        "name": span.name,
        "kind": _KIND_NAMES[f"SPAN_KIND_{span.kind.name}"],
        "startTimeUnixNano": str(span.start_ns),
        "endTimeUnixNano": str(span.end_ns),
        "attributes": _write_attributes(span.attributes),
        "events": [
            {
                "name": event.name,
                "timeUnixNano": str(event.time_ns),
                "attributes": _write_attributes(event.attributes),
            }
            for event in span.events
        ],
        "links": [
            {
                "traceId": link.trace_id,
                "spanId": link.span_id,
                "attributes": _write_attributes(link.attributes),
                **_set({"traceState": link.trace_state, "flags": link.flags}),
            }
            for link in span.links
        ],
        "status": _set(status),
    }


def _write_attributes(attributes: Mapping[str, AttributeValue]) -> list[dict[str, Any]]:
    return [{"key": key, "value": _write_value(value)} for key, value in attributes.items()]


def _write_value(value: AttributeValue) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value if math.isfinite(value) else _NOT_FINITE[str(value)]}
        case str():
            return {"stringValue": value}
        case _:
            return {"arrayValue": {"values": [_write_value(item) for item in value]}}
