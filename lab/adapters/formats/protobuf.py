"""OTLP as protobuf: one message, or the Collector's file exporter's, each behind its length.

Messages are read by `opentelemetry-proto`'s classes, one ``ResourceSpans`` at a time. The file
exporter writes four bytes of length, the highest first, before each message, and does so for
JSON too where it compresses (`fileexporter` of opentelemetry-collector-contrib).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import zstandard
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

from lab.adapters.formats.source import ZSTD, Content
from lab.adapters.formats.unpacking import MOST_WINDOW_BYTES
from lab.adapters.otlp import fields
from lab.adapters.otlp.fields import DEEPEST_VALUE, MalformedOtlpError
from lab.domain.trace import (
    NO_SCOPE,
    AttributeValue,
    Event,
    Kind,
    Link,
    Scope,
    Span,
    Status,
)

MOST_MESSAGE_BYTES: Final = 64 * 2**20
MOST_GROUP_BYTES: Final = 32 * 2**20
MOST_GROUPS: Final = 500_000
"""Messages of a file and groups of a message: as many as a case may have spans."""

_RESOURCE_SPANS: Final = 0x0A
"""Field 1, with a length: of ``TracesData`` and ``ExportTraceServiceRequest`` alike."""

_KINDS: Final = (
    Kind.INTERNAL, Kind.INTERNAL, Kind.SERVER, Kind.CLIENT, Kind.PRODUCER, Kind.CONSUMER,
)  # fmt: skip
_STATUSES: Final = (Status.UNSET, Status.OK, Status.ERROR)


def messages(content: Content) -> Iterator[bytes | MalformedOtlpError]:
    """Each message of a length-prefixed file, unpacked; in place of a torn one, what is wrong."""
    number = 0
    while header := content.exactly(4):
        size = int.from_bytes(header, "big")
        at = f"message[{number}]"
        if number >= MOST_GROUPS:
            yield MalformedOtlpError(at, f"at most {MOST_GROUPS} messages", "more")
            return
        if len(header) < 4 or size > MOST_MESSAGE_BYTES:
            yield MalformedOtlpError(
                at, f"its length, at most {MOST_MESSAGE_BYTES // 2**20} MiB", size
            )
            return
        body = content.exactly(size)
        if len(body) < size:
            yield MalformedOtlpError(at, f"{size} bytes", len(body))
            return
        yield _unpacked(body, at)
        number += 1


def _unpacked(body: bytes, at: str) -> bytes | MalformedOtlpError:
    if not body.startswith(ZSTD):
        return body
    try:
        unpacker = zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW_BYTES)
        found = unpacker.stream_reader(body).read(MOST_MESSAGE_BYTES + 1)
    except zstandard.ZstdError as error:
        return MalformedOtlpError(at, "zstd", str(error))
    if len(found) > MOST_MESSAGE_BYTES:
        return MalformedOtlpError(at, f"at most {MOST_MESSAGE_BYTES} bytes unpacked", "more")
    return bytes(found)


def groups(content: Content) -> Iterator[tuple[Any, int] | MalformedOtlpError]:
    """Each ``ResourceSpans`` of one message with its number; read as far as it is none."""
    number = 0
    while tag := content.exactly(1):
        at = f"resourceSpans[{number}]"
        if number >= MOST_GROUPS:
            yield MalformedOtlpError(at, f"at most {MOST_GROUPS} groups", "more")
            return
        if tag[0] != _RESOURCE_SPANS:
            yield MalformedOtlpError(at, "field 1 of a TracesData", tag[0])
            return
        size = _varint(content)
        if size is None or size > MOST_GROUP_BYTES:
            yield MalformedOtlpError(at, f"at most {MOST_GROUP_BYTES // 2**20} MiB", size)
            return
        body = content.exactly(size)
        if len(body) < size:
            yield MalformedOtlpError(at, f"{size} bytes", len(body))
            return
        try:
            yield ResourceSpans.FromString(body), number
        except DecodeError as error:
            yield MalformedOtlpError(at, "protobuf", str(error))
        number += 1


def _varint(content: Content) -> int | None:
    value = 0
    for shift in range(0, 35, 7):
        byte = content.exactly(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
    return None


def group_spans(group: Any, at: str) -> Iterator[Span | MalformedOtlpError]:
    """The spans of one ``ResourceSpans``; in place of a bad one, what is wrong with it."""
    flaw: MalformedOtlpError | None = None
    origin: tuple[dict[str, AttributeValue], str] = {}, group.schema_url
    try:
        origin = _attributes(group.resource.attributes, f"{at}.resource"), group.schema_url
    except MalformedOtlpError as error:
        flaw = error
    for s, scope_spans in enumerate(group.scope_spans):
        where = f"{at}.scopeSpans[{s}]"
        found = scope_spans.scope
        try:
            attributes = _attributes(found.attributes, f"{where}.scope")
        except MalformedOtlpError as error:
            attributes, flaw = {}, flaw or error
        scope = Scope(found.name, found.version, attributes, scope_spans.schema_url)
        scope = NO_SCOPE if scope == NO_SCOPE else scope
        for n, span in enumerate(scope_spans.spans):
            try:
                if flaw is not None:
                    raise flaw
                yield _span(span, origin, scope, f"{where}.spans[{n}]")
            except MalformedOtlpError as error:
                yield error


def _span(span: Any, origin: tuple[dict[str, AttributeValue], str], scope: Scope, at: str) -> Span:
    resource, schema_url = origin
    fields.bounded(span.events, "events", f"{at}.events")
    fields.bounded(span.links, "links", f"{at}.links")
    trace_id = _identity(span.trace_id, 16, f"{at}.traceId")
    span_id = _identity(span.span_id, 8, f"{at}.spanId")
    parent = span.parent_span_id
    if not trace_id or not span_id:
        raise MalformedOtlpError(f"{at}.{'spanId' if trace_id else 'traceId'}", "an id", "zeros")
    if not 0 <= span.kind < len(_KINDS):
        raise MalformedOtlpError(f"{at}.kind", "a kind of span", span.kind)
    if not 0 <= span.status.code < len(_STATUSES):
        raise MalformedOtlpError(f"{at}.status.code", "a status code", span.status.code)
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        parent_id=_identity(parent, 8, f"{at}.parentSpanId") if parent else None,
        name=span.name,
        kind=_KINDS[span.kind],
        service=str(resource.get("service.name", "")),
        start_ns=span.start_time_unix_nano,
        end_ns=span.end_time_unix_nano,
        status=_STATUSES[span.status.code],
        status_message=span.status.message,
        attributes=_attributes(span.attributes, at),
        events=tuple(
            Event(each.name, each.time_unix_nano, _attributes(each.attributes, f"{at}.events[{n}]"))
            for n, each in enumerate(span.events)
        ),
        links=tuple(_links(span.links, at)),
        resource=resource,
        scope=scope,
        trace_state=span.trace_state,
        flags=span.flags,
        resource_schema_url=schema_url,
    )


def _links(links: Any, at: str) -> Iterator[Link]:
    for n, each in enumerate(links):
        where = f"{at}.links[{n}]"
        trace_id = each.trace_id and _identity(each.trace_id, 16, f"{where}.traceId")
        span_id = each.span_id and _identity(each.span_id, 8, f"{where}.spanId")
        if trace_id and span_id:
            attributes = _attributes(each.attributes, where)
            yield Link(trace_id, span_id, attributes, each.trace_state, each.flags)


def _identity(raw: bytes, length: int, at: str) -> str | None:
    if len(raw) != length:
        raise MalformedOtlpError(at, f"{length} bytes", len(raw))
    return raw.hex() if any(raw) else None


def _attributes(pairs: Any, at: str) -> dict[str, AttributeValue]:
    fields.bounded(pairs, "attributes", f"{at}.attributes")
    return {
        pair.key: _value(pair.value, f"{at}.attributes[{n}]", DEEPEST_VALUE)
        for n, pair in enumerate(pairs)
    }


def _value(found: Any, at: str, levels: int) -> AttributeValue:
    match found.WhichOneof("value"):
        case "string_value":
            return str(found.string_value)
        case "bool_value":
            return bool(found.bool_value)
        case "int_value":
            return int(found.int_value)
        case "double_value":
            return float(found.double_value)
        case "bytes_value":
            return fields.base64_text(found.bytes_value)
        case "array_value":
            _deeper(found.array_value.values, at, levels)
            return tuple(_value(each, at, levels - 1) for each in found.array_value.values)
        case "kvlist_value":
            return fields.as_json(_plain(found, at, levels))
        case _:
            return ""


def _plain(found: Any, at: str, levels: int) -> Any:
    """A value with what is in it, as JSON has it."""
    match found.WhichOneof("value"):
        case "array_value":
            _deeper(found.array_value.values, at, levels)
            return [_plain(each, at, levels - 1) for each in found.array_value.values]
        case "kvlist_value":
            _deeper(found.kvlist_value.values, at, levels)
            return {
                each.key: _plain(each.value, at, levels - 1) for each in found.kvlist_value.values
            }
        case _:
            return _value(found, at, levels)


def _deeper(values: Any, at: str, levels: int) -> None:
    if not levels:
        raise MalformedOtlpError(at, f"at most {DEEPEST_VALUE} nested arrays and maps", "more")
    fields.bounded(values, "values", at)
