"""Tools that look at traces, by the names and arguments of Jaeger's own MCP server.

What they are made of is shared with the same tools by Grafana's names (`lab.mcp.tempo`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

from lab.domain.critical_path import critical_path
from lab.domain.reference import Operation
from lab.domain.rows import extent_ns
from lab.domain.trace import Kind, Span, Status, Trace
from lab.errors import UsageError
from lab.investigation.reading.service_map import Figures, service_map
from lab.mcp.answers import Answer, Arguments, rows_of
from lab.mcp.dossier import Dossier, moment
from lab.mcp.toolbox import (
    ATTRIBUTE_VALUE,
    Param,
    Room,
    Tool,
    limit,
    pattern_param,
    text_param,
    time_param,
)
from lab.mcp.views import (
    TRACE_ID,
    in_time,
    opened,
    row_of,
    span_details,
    span_row,
)

MOST_SPANS_SHOWN: Final = 300
"""Of one trace; a larger one comes as its topology, one row for all that do the same there."""


def _services(_: Room, dossier: Dossier, asked: Arguments) -> Answer:
    names = sorted({span.service for trace in dossier.traces for span in trace})
    return rows_of("services", _matching(names, asked), asked["limit"])


def _span_names(_: Room, dossier: Dossier, asked: Arguments) -> Answer:
    counts = Counter(
        (span.name, span.kind.value)
        for trace in dossier.traces
        for span in trace
        if span.service == asked["service_name"]
        if asked.get("span_kind") in {None, span.kind.name, span.kind.value}
    )
    wanted = set(_matching(sorted({name for name, _ in counts}), asked))
    rows = [
        {"name": name, "kind": kind, "spans": n}
        for (name, kind), n in sorted(counts.items())
        if name in wanted
    ]
    return rows_of("span_names", rows, asked["limit"])


def _matching(names: Sequence[str], asked: Arguments) -> list[str]:
    wanted = asked.get("pattern")
    return [name for name in names if wanted is None or wanted.is_in(name)]


def _search(_: Room, dossier: Dossier, asked: Arguments) -> Answer:
    tests = list(_span_tests(asked))
    found = [
        trace
        for trace in dossier.traces
        if in_time(trace, asked.get("start_time_min"), asked.get("start_time_max"))
        if _lasted(trace, asked)
        if any(_fulfils(span, tests) for span in trace)
    ]
    return rows_of("traces", found, asked["search_depth"], partial(row_of, dossier))


SpanTest = Callable[[Span], bool]


def _span_tests(asked: Arguments) -> Iterator[SpanTest]:
    """What one span of the trace has to fulfil altogether."""
    if (service := asked.get("service_name")) is not None:
        yield lambda span: span.service == service
    if (name := asked.get("operation_name")) is not None:
        yield lambda span: span.name == name
    if asked.get("with_errors"):
        yield lambda span: span.status is Status.ERROR
    for key, value in (asked.get("attributes") or {}).items():
        yield _has(key, _plain(value))


def _fulfils(span: Span, tests: Sequence[SpanTest]) -> bool:
    return all(test(span) for test in tests)


def _has(key: str, value: str) -> SpanTest:
    return lambda span: _plain(span.attributes.get(key, span.resource.get(key))) == value


def _plain(value: Any) -> str:
    """An attribute's value as a text, whoever wrote ``true`` or a number as one."""
    return str(list(value) if isinstance(value, tuple) else value).lower()


def _lasted(trace: Trace, asked: Arguments) -> bool:
    least_ms, most_ms = asked.get("duration_min"), asked.get("duration_max")
    took_ms = extent_ms(trace)
    return (least_ms is None or took_ms >= least_ms) and (most_ms is None or took_ms <= most_ms)


def extent_ms(trace: Trace) -> float:
    """From its first start to its last end, as Tempo's ``traceDuration`` has it."""
    start_ns, end_ns = extent_ns(trace)
    return (end_ns - start_ns) / 1e6


def topology(trace: Trace, depth: int | None = None) -> tuple[str, list[Answer]]:
    """The spans parents first; of a large trace one row for all that do the same in one place.

    With it comes what a row is: ``span`` or ``group``.
    """
    if len(trace.by_id) <= MOST_SPANS_SHOWN:
        return "span", list(_tree(trace, depth))
    return "group", list(_groups(trace, depth))


def _tree(trace: Trace, depth: int | None) -> Iterator[Answer]:
    waiting = [(0, span) for span in reversed(trace.tops)]
    while waiting:
        level, span = waiting.pop()
        children = trace.children(span)
        yield {"depth": level, "children": len(children), **span_row(trace, span)}
        if depth is None or level + 1 < depth:
            waiting += [(level + 1, each) for each in reversed(children)]


def _groups(trace: Trace, depth: int | None) -> Iterator[Answer]:
    waiting = [(0, group) for group in reversed(_alike(trace.tops))]
    while waiting:
        level, spans = waiting.pop()
        first = spans[0]
        slowest = max(spans, key=lambda each: each.duration_ms)
        yield {
            "depth": level,
            "service": first.service,
            "operation": first.name,
            "kind": first.kind.value,
            "spans": len(spans),
            "errors": sum(each.status is Status.ERROR for each in spans),
            "total_ms": round(sum(each.duration_ms for each in spans), 3),
            "longest_ms": round(slowest.duration_ms, 3),
            "longest_span_id": slowest.span_id,
        }
        below = [child for span in spans for child in trace.children(span)]
        if depth is None or level + 1 < depth:
            waiting += [(level + 1, group) for group in reversed(_alike(below))]


def _alike(spans: Sequence[Span]) -> list[list[Span]]:
    groups: dict[Operation, list[Span]] = {}
    for span in spans:
        groups.setdefault(Operation.of(span), []).append(span)
    return list(groups.values())


def _topology(room: Room, dossier: Dossier, asked: Arguments) -> Answer:
    trace = opened(room, dossier, asked["trace_id"])
    each, rows = topology(trace, asked.get("depth") or None)
    return rows_of("rows", rows, len(rows), **row_of(dossier, trace), each_row_is=each)


def _critical_path(room: Room, dossier: Dossier, asked: Arguments) -> Answer:
    trace = opened(room, dossier, asked["trace_id"])
    path = critical_path(trace)
    rows = [
        {
            "span_id": each.span_id,
            "service": trace.by_id[each.span_id].service,
            "operation": trace.by_id[each.span_id].name,
            "start_time": moment(each.start_ns / 1e9),
            "length_ms": round(each.length_ms, 3),
        }
        for each in reversed(path)
    ]
    total_ms = round(sum(each.length_ms for each in path), 3)
    return rows_of("stretches", rows, len(rows), trace_id=trace.trace_id, length_ms=total_ms)


def _span_details(room: Room, dossier: Dossier, asked: Arguments) -> Answer:
    trace = opened(room, dossier, asked["trace_id"])
    unknown = [each for each in asked["span_ids"] if each not in trace.by_id]
    if unknown:
        raise UsageError(
            f"expected spans of trace {trace.trace_id}, got {', '.join(unknown)[:200]}; "
            "get_trace_topology lists them"
        )
    rows = [span_details(trace, trace.by_id[each]) for each in asked["span_ids"]]
    return rows_of("spans", rows, len(rows), trace_id=trace.trace_id)


def _errors(room: Room, dossier: Dossier, asked: Arguments) -> Answer:
    trace = opened(room, dossier, asked["trace_id"])
    failed = [span for span in trace if span.status is Status.ERROR]
    deepest = {span.span_id for span in trace.deepest_errors()}
    rows = [
        {**span_details(trace, span), "is_deepest": span.span_id in deepest}
        for span in sorted(failed, key=lambda each: each.span_id not in deepest)
    ]
    return rows_of("errors", rows, len(rows), trace_id=trace.trace_id)


def _dependencies(_: Room, dossier: Dossier, asked: Arguments) -> Answer:
    rows = [
        {
            "caller": each.caller,
            "callee": each.callee,
            "is_link": each.is_link,
            "before": _figures(each.reference),
            "incident": _figures(each.crime),
        }
        for each in service_map(dossier.evidence).edges
    ]
    return rows_of("dependencies", rows, asked["limit"])


def _figures(found: Figures | None) -> Answer | None:
    if found is None:
        return None
    return {
        "calls_per_request": round(found.per_trace, 4),
        "error_share": round(found.error_share, 4),
        "p50_ms": round(found.p50_ms, 3),
        "p95_ms": round(found.p95_ms, 3),
    }


JAEGER: Final = (
    Tool("get_services", "List the services of which spans are kept.", _services,
         (pattern_param(), limit(100)),
         "services"),
    Tool("get_span_names", "List what a service does, by span name.", _span_names,
         (text_param("service_name", "A service.", required=True),
          pattern_param(),
          Param("span_kind", "string", "Only of this kind.",
                words=(*(each.name for each in Kind), *Kind)),
          limit(100)), "span_names"),
    Tool("search_traces",
         "Find traces by one span that fulfils all that is asked, in order of time.", _search,
         (time_param("start_time_min", "The trace began then or later."),
          time_param("start_time_max", "The trace began then or earlier."),
          text_param("service_name", "Service of the span."),
          text_param("operation_name", "Name of the span."),
          Param("attributes", "object", "Key and value of attributes of the span.", most=64,
                items=ATTRIBUTE_VALUE),
          Param("with_errors", "boolean", "Only spans with status error."),
          Param("duration_min", "duration", "Least duration of the trace."),
          Param("duration_max", "duration", "Greatest duration of the trace."),
          Param("search_depth", "integer", "At most so many traces.", default=10, least=1,
                most=100)),
         "traces"),
    Tool("get_trace_topology",
         "Show the tree of a trace without attributes; a large trace in groups.", _topology,
         (TRACE_ID, Param("depth", "integer", "So many levels; 0 for all.", least=0, most=500)),
         "rows"),
    Tool("get_critical_path", "Show what the end of a trace waited for.", _critical_path,
         (TRACE_ID,), "stretches"),
    Tool("get_span_details", "Show all that some spans of a trace say.", _span_details,
         (TRACE_ID,
          Param("span_ids", "array", "1 to 20 span ids.", required=True, least=1, most=20,
                items=Param("span id", "string"))),
         "spans"),
    Tool("get_trace_errors", "Show the failed spans of a trace, the deepest first.",
         _errors, (TRACE_ID,), "errors"),
    Tool("get_service_dependencies",
         "Show who calls whom, how often and how well, before beside the incident.", _dependencies,
         (limit(100),), "dependencies"),
)  # fmt: skip
