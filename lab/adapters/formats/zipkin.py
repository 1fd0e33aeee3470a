"""Zipkin's JSON, version 2 (`zipkin2-api.yaml` of openzipkin/zipkin-api).

What tags and endpoints mean after the OpenTelemetry specification's "OpenTelemetry to
Zipkin Transformation", read backwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lab.adapters.formats.tags import padded_id, plain_value, scope_of, status_of
from lab.adapters.otlp import fields
from lab.domain.trace import AttributeValue, Event, Kind, Span, Status

_KINDS: Final = {
    each.name: each for each in (Kind.CLIENT, Kind.SERVER, Kind.PRODUCER, Kind.CONSUMER)
}
_OUR_TAGS: Final = frozenset(
    {"otel.status_code", "otel.status_description"}
    | {"otel.scope.name", "otel.scope.version", "otel.library.name", "otel.library.version"}
)
_REMOTE: Final = {
    "serviceName": "peer.service", "ipv4": "network.peer.address", "ipv6": "network.peer.address",
    "port": "network.peer.port",
}  # fmt: skip


def is_zipkin(document: Mapping[str, Any]) -> bool:
    """Whether it is one span of version 2."""
    return "traceId" in document and "id" in document


def zipkin_span(span: Mapping[str, Any], at: str) -> Span:
    """The span; MalformedOtlpError names the field that cannot be meant.

    Client and server may say the same id (`shared`): who gathers the trace tells them apart.
    """
    local = fields.message(span.get("localEndpoint"), f"{at}.localEndpoint")
    tags = _tags(span, at)
    service = fields.text(local, "serviceName", f"{at}.localEndpoint")
    start_us = fields.time_ns(span, "timestamp", at)
    is_finished = span.get("duration") is not None and start_us
    took_us = fields.time_ns(span, "duration", at)
    status, message = _status(tags)
    parent_id = padded_id(span, "parentId", 8, at) if span.get("parentId") else None
    return Span(
        trace_id=padded_id(span, "traceId", 16, at),
        span_id=padded_id(span, "id", 8, at),
        parent_id=parent_id,
        name=fields.text(span, "name", at),
        kind=_KINDS.get(fields.text(span, "kind", at), Kind.INTERNAL),
        service=service,
        start_ns=start_us * 1000,
        end_ns=(start_us + took_us) * 1000 if is_finished else 0,
        status=status,
        status_message=message,
        attributes=_remote(span, at)
        | {key: value for key, value in tags.items() if key not in _OUR_TAGS},
        events=tuple(
            Event(fields.text(each, "value", f"{at}.annotations[{n}]"),
                  fields.time_ns(each, "timestamp", f"{at}.annotations[{n}]") * 1000)
            for n, each in enumerate(fields.messages(span, "annotations", at))
        ),
        resource={"service.name": service} | _host(local, f"{at}.localEndpoint"),
        scope=scope_of(tags),
    )  # fmt: skip


def _status(tags: Mapping[str, AttributeValue]) -> tuple[Status, str]:
    """Zipkin's ``error`` says by being there that a span failed, and by its text how."""
    status, message = status_of(tags)
    if status is Status.UNSET and tags.get("error", "false") != "false":
        return Status.ERROR, "" if tags["error"] in (True, "true") else str(tags["error"])
    return status, message


def _tags(span: Mapping[str, Any], at: str) -> dict[str, AttributeValue]:
    where = f"{at}.tags"
    found = fields.message(span.get("tags"), where)
    fields.bounded(found, "attributes", where)
    return {str(key): plain_value(value, f"{where}.{key}") for key, value in found.items()}


def _remote(span: Mapping[str, Any], at: str) -> dict[str, AttributeValue]:
    where = f"{at}.remoteEndpoint"
    remote = fields.message(span.get("remoteEndpoint"), where)
    return {
        name: plain_value(remote[field], f"{where}.{field}")
        for field, name in _REMOTE.items()
        if remote.get(field)
    }


def _host(local: Mapping[str, Any], at: str) -> dict[str, AttributeValue]:
    address = local.get("ipv4") or local.get("ipv6")
    return {"host.ip": plain_value(address, at)} if address else {}
