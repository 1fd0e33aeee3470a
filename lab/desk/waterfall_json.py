"""A waterfall as the page's module reads it: small, in the order in which it is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from lab.domain.critical_path import Stretch
from lab.domain.rows import Gap, Missing, Row, Wire
from lab.domain.trace import Span, Status
from lab.investigation.reading.logs import LogLine
from lab.investigation.reading.span_words import took, value_text
from lab.investigation.reading.waterfall import SpanMarks, Waterfall
from lab.terminal.text import hue

MOST_WORDS: Final = 600
"""Characters of a span that `find` looks at beyond its name; a span may carry megabytes."""

_LONGEST_NAME: Final = 200


def waterfall_document(drawn: Waterfall, lines: Iterable[LogLine]) -> dict[str, Any]:
    """Everything but the details of each span; times in ms since the trace's first span.

    What is false, zero or empty in a row is left out, which halves a trace of 10,000 spans.
    """
    moments: dict[str, list[float]] = {}
    total = 0
    for line in lines:
        total += 1
        if line.span_id is not None:
            at_ms = line.time_unix_s * 1e3 - drawn.start_ns / 1e6
            moments.setdefault(line.span_id, []).append(round(at_ms, 3))
    below = drawn.below({span_id: len(found) for span_id, found in moments.items()})
    return {
        "traceId": drawn.trace.trace_id,
        "length": (drawn.end_ns - drawn.start_ns) / 1e6,
        "logs": total,
        "services": [{"name": name, "hue": hue(name)} for name in drawn.services],
        "rows": [
            _short(_row(drawn, row, moments) | {"below": n, "logsBelow": logs})
            for row, n, logs in zip(drawn.rows, drawn.descendants, below, strict=True)
        ],
    }


def _short(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value}


def _row(drawn: Waterfall, row: Row, moments: Mapping[str, list[float]]) -> dict[str, Any]:
    item = row.item
    place = {
        "depth": row.depth,
        # 0 is a row like any other, and what is 0 is left out.
        "parent": None if row.parent is None else row.parent + 1,
        "position": row.position,
        "siblings": row.siblings,
    }
    if isinstance(item, Missing):
        return {"kind": "missing", "id": item.span_id, **place}
    if isinstance(item, Gap):
        stretch = [_since(drawn, item.start_ns), item.length_ms]
        return {"kind": "gap", "took": item.length_ms, "stretches": [stretch], **place}
    if isinstance(item, Wire):
        stretches = [
            [_since(drawn, start), (end - start) / 1e6] for start, end in item.stretches_ns
        ]
        wire = {"kind": "wire", "took": item.length_ms, "stretches": stretches}
        return {**wire, "peer": item.answer.service, "id": item.call.span_id, **place}
    mark = drawn.marks[item.span_id]
    return {
        **_span(drawn, item, mark, moments.get(item.span_id, [])),
        "outlives": row.outlives_parent_ms,
        **place,
    }


def _span(drawn: Waterfall, span: Span, mark: SpanMarks, logs: list[float]) -> dict[str, Any]:
    return {
        "kind": "span",
        "id": span.span_id,
        "service": drawn.services.index(span.service) + 1,
        "name": span.name[:_LONGEST_NAME],
        "says": "" if mark.operation == span.name else mark.operation,
        "does": span.kind.value,
        "peer": span.peer,
        "at": 0 if span.is_undated else _since(drawn, span.start_ns),
        "took": _drawn_ms(drawn, span),
        "untimed": "" if span.is_timed else took(span),
        "self": mark.self_ms,
        "error": ("own" if mark.fails_itself else "child") if span.status is Status.ERROR else "",
        "usual": [mark.usual.p50_ms, mark.usual.p95_ms] if mark.usual else [],
        "times": mark.times,
        "critical": [_stretch(drawn, each) for each in mark.critical],
        "cutBy": mark.cut_by.name if mark.cut_by else "",
        "skew": mark.clocks_apart_ms,
        "isNew": mark.is_new,
        "open": mark.is_wire_or_callee,
        "silent": mark.is_silent_callee,
        "events": [_since(drawn, event.time_ns) for event in span.events],
        "links": len(span.links),
        "logs": logs,
        "words": _words(span),
    }


def _drawn_ms(drawn: Waterfall, span: Span) -> float:
    """How long its bar is: one without an end reaches to the end of the trace."""
    if span.is_unfinished and not span.is_undated:
        return max(0, drawn.end_ns - span.start_ns) / 1e6
    return span.duration_ms


def _words(span: Span) -> str:
    said = [span.status_message, *span.exceptions]
    said += [f"{key}={value_text(value)}" for key, value in span.attributes.items()]
    text, room = [], MOST_WORDS
    for each in said:
        if room <= 0:
            break
        text.append(each[:room])
        room -= len(each) + 1
    return " ".join(text)


def _stretch(drawn: Waterfall, stretch: Stretch) -> list[float]:
    return [_since(drawn, stretch.start_ns), stretch.length_ms]


def _since(drawn: Waterfall, moment_ns: int) -> float:
    return (moment_ns - drawn.start_ns) / 1e6
