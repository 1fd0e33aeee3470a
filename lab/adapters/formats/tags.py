"""Ids, values, statuses and scopes as Jaeger and Zipkin both spell them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from lab.adapters.otlp import fields
from lab.adapters.otlp.fields import MalformedOtlpError
from lab.domain.trace import NO_SCOPE, AttributeValue, Scope, Status

_STATUS: Final = {"OK": Status.OK, "ERROR": Status.ERROR}
_TRUE: Final = frozenset({"true", "1", "yes"})


def status_of(tags: Mapping[str, AttributeValue]) -> tuple[Status, str]:
    """How a span ended, as tags say it: OpenTelemetry's, or ``error`` of OpenTracing."""
    told = _STATUS.get(str(tags.get("otel.status_code", "")).upper())
    message = str(tags.get("otel.status_description", ""))
    if told is not None:
        return told, message
    failed = str(tags.get("error", "")).lower() in _TRUE
    return (Status.ERROR if failed else Status.UNSET), message


def scope_of(tags: Mapping[str, AttributeValue]) -> Scope:
    """What made a span, as tags say it in the specification's present and former words."""
    name = tags.get("otel.scope.name") or tags.get("otel.library.name") or ""
    version = tags.get("otel.scope.version") or tags.get("otel.library.version") or ""
    return Scope(str(name), str(version)) if name or version else NO_SCOPE


def padded_id(owner: Mapping[str, Any], field: str, length: int, at: str) -> str:
    """An id of hex digits, with the zeros in front that its writer left out.

    Of 64 bits where a trace has 128, as B3 allows; one of base64 is read as OTLP's.
    """
    value = fields.text(owner, field, at)
    if (
        value
        and len(value) < 2 * length
        and all(each in "0123456789abcdefABCDEF" for each in value)
    ):
        owner = {field: value.zfill(2 * length)}
    return fields.identity(owner, field, length, at)


def plain_value(found: Any, at: str, kind: object = None) -> AttributeValue:
    """A value as plain JSON has it; ``kind`` is what it says that it is."""
    match found:
        case None:
            return ""
        case bool() | float():
            return found
        case int():
            return fields.integer(found, at)
        case str() if kind in {"int64", "float64", "bool"}:
            return _as_said(found, str(kind), at)
        case str():
            return fields.text({"value": found}, "value", at)
        case list() | dict():
            return fields.as_json(found)
        case _:
            raise MalformedOtlpError(at, "text, a number or a boolean", found)


def _as_said(found: str, kind: str, at: str) -> AttributeValue:
    """Numbers come as text where JavaScript would not hold them."""
    if kind == "int64":
        return fields.integer(found, at)
    return fields.double(found, at) if kind == "float64" else found.lower() in _TRUE
