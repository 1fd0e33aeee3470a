"""A trace as the lab itself writes it, read in half the time.

`read_traces` knows every spelling of OTLP/JSON, and says where something is wrong. Nearly all
lines of a case are as `write_traces` made them, and whoever compares reads hundreds. What is
not just so, in whatever respect, is left to `read_traces`: nothing is refused here, and nothing
is read otherwise than there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from lab.adapters.bounds import MOST_OF_OTLP
from lab.adapters.otlp import fields
from lab.adapters.otlp.traces import DEEPEST_TRACE, assemble, write_span
from lab.domain.trace import AttributeValue, Event, Kind, Scope, Span, Status, Trace


class _Otherwise(Exception):
    """Something is not as the lab writes it."""


_ANYTHING_ELSE: Final = (_Otherwise, AttributeError, LookupError, TypeError, ValueError)
"""What goes wrong with values that are not of the kind they are taken for."""


def read_as_written(document: Any) -> dict[str, Trace]:
    """The trace of a document by `write_traces`; nothing of one that is not just so."""
    try:
        groups = _listed(_only(document, _DOCUMENT), "resourceSpans")
        spans = [span for group in groups for span in _spans(_only(group, _GROUP))]
        (trace_id,) = {span.trace_id for span in spans}
        if len(spans) > DEEPEST_TRACE or not _TRACE_ID(trace_id):
            return {}
    except _ANYTHING_ELSE:
        return {}
    return {trace_id: assemble(trace_id, spans)}


_BLANK: Final = Span("", "", None, "", Kind.INTERNAL, "", 0, 0)
_KINDS: Final = {write_span(replace(_BLANK, kind=each))["kind"]: each for each in Kind}
_STATUSES: Final = {
    write_span(replace(_BLANK, status=each))["status"].get("code", 0): each for each in Status
}

_DOCUMENT: Final = frozenset({"resourceSpans"})
_GROUP: Final = frozenset({"resource", "scopeSpans", "schemaUrl"})
_SCOPED: Final = frozenset({"scope", "spans", "schemaUrl"})
_SCOPE: Final = frozenset({"name", "version"})
_SPAN: Final = frozenset({*write_span(_BLANK), "parentSpanId", "traceState", "flags"})
_STATUS: Final = frozenset({"code", "message"})

_TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}").fullmatch
_SPAN_ID: Final = re.compile(r"(?!0{16})[0-9a-f]{16}").fullmatch
_NUMBER: Final = re.compile(r"[0-9]{1,19}").fullmatch
"""Of less than 64 bits."""


def _only(found: Any, names: frozenset[str]) -> dict[str, Any]:
    """An object that has no field but these."""
    if type(found) is not dict or not found.keys() <= names:
        raise _Otherwise
    return found


def _listed(owner: dict[str, Any], field: str) -> list[Any]:
    """A list that is there, of no more elements than it may have."""
    found = owner[field]
    if type(found) is not list or len(found) > MOST_OF_OTLP.get(field, len(found)):
        raise _Otherwise
    return found


def _text(found: Any) -> str:
    if type(found) is not str or not found.isascii():
        raise _Otherwise
    return found


def _named(names: Mapping[int, Any], number: Any) -> Any:
    """What a number stands for; True is none."""
    if type(number) is not int:
        raise _Otherwise
    return names[number]


def _time_ns(found: Any) -> int:
    if not _NUMBER(found):
        raise _Otherwise
    return int(found)


def _spans(group: dict[str, Any]) -> Iterator[Span]:
    resource = _attributes(group["resource"])
    service = str(resource.get("service.name", ""))
    schema_url = _text(group.get("schemaUrl", ""))
    for scoped in _listed(group, "scopeSpans"):
        told = _only(_only(scoped, _SCOPED).get("scope", {}), _SCOPE)
        scope = _scope(told.get("name", ""), told.get("version", ""), scoped.get("schemaUrl", ""))
        for span in _listed(scoped, "spans"):
            yield _span(_only(span, _SPAN), service, resource, scope, schema_url)


@lru_cache
def _scope(name: Any, version: Any, schema_url: Any) -> Scope:
    """A case has a handful of them."""
    return Scope(_text(name), _text(version), schema_url=_text(schema_url))


def _span(
    span: dict[str, Any],
    service: str,
    resource: dict[str, AttributeValue],
    scope: Scope,
    schema_url: str,
) -> Span:
    parent_id, status = span.get("parentSpanId"), _only(span["status"], _STATUS)
    is_named = _SPAN_ID(span["spanId"]) and (parent_id is None or _SPAN_ID(parent_id))
    if not is_named or _listed(span, "links"):
        raise _Otherwise
    return Span(
        trace_id=span["traceId"],
        span_id=span["spanId"],
        parent_id=parent_id,
        name=_text(span["name"]),
        kind=_named(_KINDS, span["kind"]),
        service=service,
        start_ns=_time_ns(span["startTimeUnixNano"]),
        end_ns=_time_ns(span["endTimeUnixNano"]),
        status=_named(_STATUSES, status.get("code", 0)),
        status_message=_text(status.get("message", "")),
        attributes=_attributes(span),
        events=tuple(map(_event, _listed(span, "events"))),
        resource=resource,
        scope=scope,
        trace_state=_text(span.get("traceState", "")),
        flags=fields.flags(span, ""),
        resource_schema_url=schema_url,
    )


def _event(event: dict[str, Any]) -> Event:
    return Event(_text(event["name"]), _time_ns(event["timeUnixNano"]), _attributes(event))


def _attributes(owner: dict[str, Any]) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {}
    for each in _listed(owner, "attributes"):
        ((kind, told),) = each["value"].items()
        if kind == "intValue" and type(told) is str and told.isdecimal() and len(told) < 20:
            told = int(told)
        elif not (kind == "stringValue" and type(told) is str and told.isascii()):
            told = fields.value(each["value"], "")
        found[each["key"]] = told
    _text("".join(found))
    return found
