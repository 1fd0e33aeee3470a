"""What a span says of itself, in words and numbers as people read them."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlsplit

from lab.domain.trace import AttributeValue, Kind, Link, Span, Trace
from lab.domain.wording import duration

_JSON: Final = json.JSONEncoder(ensure_ascii=False)


def took(span: Span) -> str:
    """How long a span took; *unfinished* without an end, *no start* without a beginning."""
    if span.is_undated:
        return "no start"
    return "unfinished" if span.is_unfinished else duration(span.duration_ms)


def context_of(item: Span | Link) -> dict[str, AttributeValue]:
    """What its context carries beside ids, by name; nothing of what was never set."""
    told = {"trace state": item.trace_state, "flags": f"{item.flags:#010x}" if item.flags else ""}
    return {key: text for key, text in told.items() if text}


def value_text(value: AttributeValue) -> str:
    """An attribute's value as people read it: text as it is, all else as JSON has it."""
    return value if isinstance(value, str) else _JSON.encode(value)


def data_size(count: int) -> str:
    """Three digits and a unit: ``328 B``, ``3.13 kB``, ``153 kB``, ``1.20 MB``."""
    if count < 1000:
        return f"{count} B"
    value, unit = (count / 1e3, "kB") if count < 999_500 else (count / 1e6, "MB")
    return f"{value:.{max(0, 2 - (len(str(int(value))) - 1))}f} {unit}"


LONGEST_OPERATION: Final = 160
"""Characters of a statement or a path that a row shows."""


def operation(trace: Trace, span: Span) -> str:
    """What a span does: of a call by method or verb alone, with the route or the statement.

    The route is that of whoever answered, else the template or the path that the call names.
    """
    if span.kind is not Kind.CLIENT:
        return span.name
    statement = span.attributes.get("db.query.text", span.attributes.get("db.statement"))
    if isinstance(statement, str) and statement.strip():
        told = " ".join(statement.split())
        said = told if told.casefold().startswith(span.name.casefold()) else f"{span.name} {told}"
    else:
        place = "" if "/" in span.name else _place(trace, span)
        said = f"{span.name} {place}".rstrip()
    return said if len(said) <= LONGEST_OPERATION else f"{said[: LONGEST_OPERATION - 1]}…"


def operation_without_statement(trace: Trace, span: Span) -> str:
    """As `operation`, but of a query its name alone: where a row has little room."""
    is_query = "db.query.text" in span.attributes or "db.statement" in span.attributes
    return span.name if is_query else operation(trace, span)


def whom(trace: Trace, span: Span) -> str:
    """Who calls or answers whom here; of a service's own work, who called it."""
    if span.kind is Kind.CLIENT:
        answers = (each.service for each in trace.children(span) if each.kind is Kind.SERVER)
        return f"{span.service} calls {next(answers, span.peer) or 'somebody'}"
    if span.kind is Kind.SERVER:
        caller = trace.parent(span)
        return f"{span.service} answers {caller.service if caller else 'somebody who is not here'}"
    if span.kind is Kind.PRODUCER:
        return f"{span.service} leaves a message"
    if span.kind is Kind.CONSUMER:
        return f"{span.service} takes a message up"
    callers = (each.service for each in trace.ancestors(span) if each.service != span.service)
    return " called by ".join((span.service, *list(callers)[:1]))


def _place(trace: Trace, call: Span) -> str:
    answers = [each for each in trace.children(call) if each.kind is Kind.SERVER]
    told = [each.attributes.get("http.route") for each in answers]
    told += [call.attributes.get(key) for key in ("http.route", "url.template", "url.path")]
    told.append(_path(call.attributes.get("url.full", call.attributes.get("http.url"))))
    return next((each for each in told if isinstance(each, str) and each), "")


def _path(address: AttributeValue | None) -> str:
    try:
        return urlsplit(address).path if isinstance(address, str) else ""
    except ValueError:
        return ""
