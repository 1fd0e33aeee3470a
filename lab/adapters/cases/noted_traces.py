"""The traces of a sealed case as the lab noted them: span by span, each a short row.

OTLP/JSON names every field and the kind of every value, and has to be checked field by field.
What was read once is noted in a third of the room, and is read again in a fifth of the time. A
trace that a row cannot hold is noted as OTLP/JSON: whether it can is found by reading it back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from pydantic_core import from_json

from lab.adapters.cases.own_note import code_of_notes, read_note, write_note
from lab.adapters.otlp.fields import parse
from lab.adapters.otlp.traces import read_traces, trace_to_otlp
from lab.domain.trace import Event, Kind, Scope, Span, Status, Trace

NOTED: Final = ".traces.jsonl"
_KINDS: Final = {each.value: each for each in Kind}
_STATUSES: Final = {each.value: each for each in Status}


def note_traces(folder: Path, traces: Mapping[str, Trace], traces_sha256: str) -> None:
    """Note the traces of the file with that SHA-256; OSError where the disk refuses."""
    lines = (f"{trace_id} {_told(trace)}\n" for trace_id, trace in traces.items())
    write_note(folder / NOTED, "".join(lines), _made_of(traces_sha256))


def noted_traces(folder: Path, traces_sha256: str) -> dict[str, memoryview] | None:
    """Trace id → what `noted_trace` reads; None where there is no note that can be believed."""
    told = read_note(folder / NOTED, _made_of(traces_sha256))
    with suppress(ValueError):
        return None if told is None else dict(_lines(told))
    return None


def _lines(told: bytes) -> Iterator[tuple[str, memoryview]]:
    # Nothing is copied: most commands want a few lines of some megabytes.
    whole, start = memoryview(told), 0
    while (end := told.find(b"\n", start)) >= 0:
        blank = told.index(b" ", start)
        yield told[start:blank].decode(), whole[blank + 1 : end]
        start = end + 1


def noted_trace(told: bytes | memoryview) -> Trace:
    """The trace that was noted so; an error of Python's own where the lab noted no such thing."""
    if (told := bytes(told)).startswith(b"{"):
        return read_traces(parse(told.decode())).popitem()[1]
    trace_id, makers, rows = from_json(told)
    made = [(*named, Scope(*scope), schema_url) for *named, scope, schema_url in makers]
    return Trace(trace_id, tuple(_spans(trace_id, made, rows)))


def _made_of(traces_sha256: str) -> dict[str, str]:
    return {"traces": traces_sha256, "code": code_of_notes()}


def _told(trace: Trace) -> str:
    told = json.dumps(_short(trace), separators=(",", ":"))
    with suppress(ValueError):  # A text may hold what only Python's own parser takes.
        if noted_trace(told.encode()) == trace:
            return told
    return json.dumps(trace_to_otlp(trace))


def _short(trace: Trace) -> list[Any]:
    """Id, what made the spans, and the spans, each with the number of its maker."""
    makers: dict[str, tuple[int, list[Any]]] = {}
    rows = []
    for span in trace.spans:
        made_by = span.scope
        scope = [made_by.name, made_by.version, made_by.attributes, made_by.schema_url]
        maker = [span.service, span.resource, scope, span.resource_schema_url]
        # By its text, for 1, 1.0 and True are equal.
        number, _ = makers.setdefault(repr(maker), (len(makers), maker))
        events = [[each.name, each.time_ns, each.attributes] for each in span.events]
        rows.append([
            number, span.span_id, span.parent_id, span.name, span.kind,
            span.start_ns, span.end_ns, span.status, span.status_message, span.attributes,
            events, span.trace_state, span.flags,
        ])  # fmt: skip
    return [trace.trace_id, [maker for _, maker in makers.values()], rows]


def _spans(trace_id: str, makers: list[tuple[Any, ...]], rows: list[Any]) -> Iterator[Span]:
    # By their places, as `Span` has them: whoever compares reads thousands.
    for (
        maker, span_id, parent_id, name, kind, start_ns, end_ns, status, message, attributes,
        events, trace_state, flags,
    ) in rows:  # fmt: skip
        service, resource, scope, schema_url = makers[maker]
        yield Span(
            trace_id, span_id, parent_id, name, _KINDS[kind], service, start_ns, end_ns,
            _STATUSES[status], message, attributes, tuple(Event(*each) for each in events), (),
            resource, scope, trace_state, flags, schema_url,
        )  # fmt: skip
