"""Jaeger's own JSON, as its page downloads it and ``/api/traces`` answers it.

Shapes after `model/json/model.go` of Jaeger; what its tags mean after the OpenTelemetry
specification's "OpenTelemetry to Jaeger Transformation", read backwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from lab.adapters.formats.tags import padded_id, plain_value, scope_of, status_of
from lab.adapters.otlp import fields
from lab.adapters.otlp.fields import MalformedOtlpError
from lab.domain.trace import AttributeValue, Event, Kind, Link, Span

_KINDS: Final = {kind.value: kind for kind in Kind}

_OUR_TAGS: Final = frozenset(
    {"span.kind", "otel.status_code", "otel.status_description"}
    | {"otel.scope.name", "otel.scope.version", "otel.library.name", "otel.library.version"}
)


def is_jaeger(document: Mapping[str, Any]) -> bool:
    """Whether it is one trace: spans that say their process by a key."""
    return "processes" in document and isinstance(document.get("spans"), list)


def jaeger_spans(document: Mapping[str, Any], at: str) -> Iterator[Span | MalformedOtlpError]:
    """The spans of one trace; in place of a bad one, what is wrong with it."""
    try:
        processes = fields.message(document.get("processes"), f"{at}.processes")
    except MalformedOtlpError as error:
        flaw: MalformedOtlpError | None = error
        processes = {}
    else:
        flaw = None
    for n, each in enumerate(document["spans"]):
        where = f"{at}.spans[{n}]".lstrip(".")
        try:
            if flaw is not None:
                raise flaw
            yield _span(fields.message(each, where), document, processes, where)
        except MalformedOtlpError as error:
            yield error


def _span(
    span: Mapping[str, Any], trace: Mapping[str, Any], processes: Mapping[str, Any], at: str
) -> Span:
    service, resource = _process(span, processes, at)
    tags = _tags(span, "tags", at)
    trace_id = padded_id(span if span.get("traceID") else trace, "traceID", 16, at)
    parent_id, links = _references(span, trace_id, at)
    start_us = fields.time_ns(span, "startTime", at)
    took_us = fields.time_ns(span, "duration", at)
    status, message = status_of(tags)
    return Span(
        trace_id=trace_id,
        span_id=padded_id(span, "spanID", 8, at),
        parent_id=parent_id,
        name=fields.text(span, "operationName", at),
        kind=_KINDS.get(str(tags.get("span.kind", "")), Kind.INTERNAL),
        service=service,
        start_ns=start_us * 1000,
        end_ns=(start_us + took_us) * 1000 if start_us else 0,
        status=status,
        status_message=message,
        attributes={key: value for key, value in tags.items() if key not in _OUR_TAGS},
        events=tuple(
            _event(log, f"{at}.logs[{n}]")
            for n, log in enumerate(fields.messages(span, "logs", at))
        ),
        links=links,
        resource=resource,
        scope=scope_of(tags),
    )


def _process(
    span: Mapping[str, Any], processes: Mapping[str, Any], at: str
) -> tuple[str, dict[str, AttributeValue]]:
    own = span.get("process")
    key = span.get("processID")
    found = own if isinstance(own, dict) else processes.get(key) if isinstance(key, str) else None
    if found is None:
        raise MalformedOtlpError(f"{at}.processID", "a process of this trace", key)
    process = fields.message(found, f"{at}.process")
    service = fields.text(process, "serviceName", f"{at}.process")
    return service, {"service.name": service} | _tags(process, "tags", f"{at}.process")


def _references(
    span: Mapping[str, Any], trace_id: str, at: str
) -> tuple[str | None, tuple[Link, ...]]:
    """The parent and all other spans it refers to.

    The parent is the first that the span is a child of, else the first that it follows, in
    the same trace; as Jaeger's own page draws it.
    """
    found = []
    for n, each in enumerate(fields.messages(span, "references", at)):
        where = f"{at}.references[{n}]"
        kind = fields.text(each, "refType", where) or "CHILD_OF"
        found.append(
            (kind, padded_id(each, "traceID", 16, where), padded_id(each, "spanID", 8, where))
        )
    inside = [each for each in found if each[1] == trace_id]
    parent = next((each for each in inside if each[0] == "CHILD_OF"), None) or next(
        iter(inside), None
    )
    links = tuple(
        Link(trace, span_id, {"opentracing.ref_type": kind.lower()})
        for kind, trace, span_id in found
        if (kind, trace, span_id) != parent
    )
    if parent is None and span.get("parentSpanID"):
        return padded_id(span, "parentSpanID", 8, at), links
    return (None if parent is None else parent[2]), links


def _event(log: Mapping[str, Any], at: str) -> Event:
    told = _tags(log, "fields", at)
    name = told.pop("event", None) or "log"
    return Event(str(name), fields.time_ns(log, "timestamp", at) * 1000, told)


def _tags(owner: Mapping[str, Any], field: str, at: str) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    for n, tag in enumerate(fields.messages(owner, field, at)):
        where = f"{at}.{field}[{n}]"
        found[fields.text(tag, "key", where)] = plain_value(
            tag.get("value"), where, tag.get("type")
        )
    return found
