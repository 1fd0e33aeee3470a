"""Tools that look at traces, by the names and arguments of Grafana's MCP server for Tempo."""

from __future__ import annotations

from collections import Counter
from typing import Final

from lab.investigation.reading.healthy_twin import pair_rows
from lab.mcp import traceql
from lab.mcp.dossier import Dossier, spans_said
from lab.mcp.toolbox import Answer, Arguments, Param, Room, Tool, limit, rows_of
from lab.mcp.traceql import BeyondTheCase
from lab.mcp.traces import (
    TRACE_ID,
    in_time,
    opened,
    row_of,
    span_details,
    text_param,
    time_param,
    topology,
)


def _tempo_search(room: Room, dossier: Dossier, asked: Arguments) -> Answer:
    start_s, end_s = asked.get("start"), asked.get("end")
    try:
        wanted = traceql.conditions(asked["query"])
        found = [(t, traceql.fits(t, wanted)) for t in dossier.traces if in_time(t, start_s, end_s)]
    except BeyondTheCase:
        windows = dossier.evidence.windows.values()
        live = room.search_live(
            asked["query"],
            min(each.start_s for each in windows) if start_s is None else start_s,
            max(each.end_s for each in windows) if end_s is None else end_s,
        )
        if live is None:
            raise
        found = [(t, tuple(t)) for t in dossier.traces if t.trace_id in live]
    rows = [
        {
            **row_of(dossier, trace),
            "matched": len(spans),
            "span_ids": [s.span_id for s in spans[:3]],
        }
        for trace, spans in found
        if spans
    ]
    return rows_of("traces", rows, asked["limit"])


def _tempo_trace(room: Room, dossier: Dossier, asked: Arguments) -> Answer:
    trace = opened(room, dossier, asked["trace_id"])
    each, rows = topology(trace)
    if each == "span":
        each = "span with all it says"
        rows = [
            {"depth": row["depth"], **span_details(trace, trace.by_id[row["span_id"]])}
            for row in rows
        ]
    return rows_of("rows", rows, len(rows), **row_of(dossier, trace), each_row_is=each)


def _tempo_diff(room: Room, dossier: Dossier, asked: Arguments) -> Answer:
    base = opened(room, dossier, asked["base_trace_id"])
    other = opened(room, dossier, asked["compare_trace_id"])
    rows = [
        {
            "depth": row.depth,
            "service": row.either.service,
            "operation": row.either.name,
            "base_span_id": row.healthy.span_id if row.healthy else None,
            "compare_span_id": row.here.span_id if row.here else None,
            "base_self_ms": row.healthy_self_ms,
            "compare_self_ms": row.self_ms,
            "change_ms": round(row.change_ms, 3),
        }
        for row in sorted(pair_rows(other, base), key=lambda each: -abs(each.change_ms))
    ]
    return rows_of("changes", rows, asked["limit"], base=base.trace_id, compare=other.trace_id)


def _attribute_names(_: Room, dossier: Dossier, asked: Arguments) -> Answer:
    scope = asked.get("scope")
    names = [each for each in spans_said(dossier) if scope in {None, each.partition(".")[0]}]
    return rows_of("names", names, asked["limit"])


def _attribute_values(_: Room, dossier: Dossier, asked: Arguments) -> Answer:
    counts = Counter(
        str(found)
        for trace in dossier.traces
        for span in trace
        if (found := traceql.value_of(asked["name"], span, trace)) is not None
    )
    rows = [{"value": value[:500], "spans": n} for value, n in counts.most_common()]
    return rows_of("values", rows, asked["limit"], name=asked["name"])


def _traceql_docs(_: Room, _dossier: Dossier, asked: Arguments) -> Answer:
    return {"topic": asked["topic"], "text": traceql.DOCS[asked["topic"]]}


TEMPO: Final = (
    Tool("search_tempo_traces", "tempo", "Find traces by TraceQL.", _tempo_search,
         (text_param("query", "TraceQL, such as { status = error }.", required=True),
          time_param("start", "The trace began then or later."),
          time_param("end", "The trace began then or earlier."), limit()), "traces"),
    Tool("get_tempo_trace", "tempo", "Show a whole trace; a large one as its topology.",
         _tempo_trace, (TRACE_ID,), "rows"),
    Tool("diff_tempo_traces", "tempo", "Lay one trace beside another, the greatest change first.",
         _tempo_diff,
         (text_param("base_trace_id", "The trace to compare with.", required=True),
          text_param("compare_trace_id", "The trace that may differ.", required=True), limit(50)),
         "changes"),
    Tool("list_tempo_attribute_names", "tempo", "List the attributes that spans carry.",
         _attribute_names,
         (Param("scope", "string", "Only of these.", words=("span", "resource")), limit(200, 1000)),
         "names"),
    Tool("list_tempo_attribute_values", "tempo",
         "List the values of an attribute, the most frequent first.", _attribute_values,
         (text_param("name", "Such as span.http.route or resource.service.name.", required=True),
          limit(50)), "values"),
    Tool("get_tempo_traceql_docs", "tempo", "Say how to write TraceQL.", _traceql_docs,
         (Param("topic", "string", "What about.", default="basic", words=tuple(traceql.DOCS)),),
         about_a_case=False),
)  # fmt: skip
