"""The lab's own tools: which cases there are, what they say, and how they are solved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from lab.domain.mechanism import NO_SPAN_RULE, Mechanism, Scope
from lab.domain.trace import Status
from lab.errors import UsageError
from lab.investigation.reading.edge_signals import signals
from lab.investigation.reading.healthy_twin import compare, twin_rows
from lab.investigation.reading.logs import LogLine
from lab.investigation.reading.requests import WINDOW_WORDS
from lab.mcp.answers import Answer, Arguments, rows_of
from lab.mcp.dossier import Dossier, moment
from lab.mcp.toolbox import ATTRIBUTE_VALUE, MOST_MS, Param, Room, Tool, limit
from lab.mcp.views import TRACE_ID, trace_meant

PERIODS: Final = tuple(WINDOW_WORDS.values())

_IDS: Final = (
    Param("trace_id", "string", required=True),
    Param("span_id", "string", required=True),
)
_SHOWS: Final = Param(
    "shows",
    "object",
    "What the span shows: any of these.",
    required=True,
    fields=(
        *(Param(each, "string") for each in ("service", "operation", "exception")),
        Param("status", "string", words=tuple(each.value for each in Status)),
        Param("duration_ms", "number", least=0, most=MOST_MS),
        Param("self_ms", "number", least=0, most=MOST_MS),
        Param("attributes", "object", "Key and value.", most=64, items=ATTRIBUTE_VALUE),
    ),
)

DOCS: Final[Mapping[str, str]] = {
    "task": (
        "Something went wrong in a shop of services. Find the span that did it, and how: not the "
        "one that suffers most, nor the one that only passes a failure on. In some cases nobody "
        "did anything wrong. read_briefing says what was noticed; the period `before` is healthy, "
        "`incident` is when it happened."
    ),
    "data": (
        "Every request at the edge is counted by get_signals, and a sample of traces is kept. "
        "Times are RFC 3339 in UTC, durations are in ms. `self_ms` is what none of a span's "
        "children took. Lists have `total`, `returned` and `truncated`; an answer has at most "
        "64 KiB, and a trace of more than 300 spans comes as its topology."
    ),
    "accusing": (
        "accuse takes one span, or two that did it together, each with a mechanism of "
        "list_mechanisms; or nobody=true. Any trace of the incident that shows the harm will do. "
        f"{NO_SPAN_RULE} Each wrong accusation delays the next one."
    ),
    "scopes": " ".join(f"`{each.value}`: {each.definition}" for each in Scope),
}
"""Topic → text, offered as a tool and as resources, since many clients ask for no resources."""


def _list_cases(room: Room, _: Dossier, asked: Arguments) -> Answer:
    return rows_of("cases", room.summaries(), asked["limit"])


def _read_briefing(_: Room, dossier: Dossier, _asked: Arguments) -> Answer:
    windows = dossier.evidence.windows
    return {
        "case_id": dossier.case_id,
        "title": dossier.title,
        "briefing": dossier.briefing,
        "scope_counts": dossier.asks_scope,
        "periods": {
            word: {"start": moment(windows[w].start_s), "end": moment(windows[w].end_s)}
            for w, word in WINDOW_WORDS.items()
            if w in windows
        },
        "routes": sorted({each.route for each in dossier.evidence.requests}),
        "requests": len(dossier.requests),
        "traces": len(dossier.traces),
    }


def _search_logs(_: Room, dossier: Dossier, asked: Arguments) -> Answer:
    wanted = {"service": asked.get("service_name"), "window": asked.get("period")}
    if (trace_id := asked.get("trace_id")) is not None:
        wanted["trace_id"] = trace_meant(dossier, trace_id).trace_id
    found = [
        line
        for line in dossier.lines
        if all(each in {None, getattr(line, name)} for name, each in wanted.items())
        if asked.get("severity") in {None, line.severity}
        if line.says(asked.get("query", ""))
    ]
    return rows_of("lines", found, asked["limit"], _line_row)


def _line_row(line: LogLine) -> Answer:
    return {
        "time": moment(line.time_unix_s),
        "period": line.window,
        "service": line.service,
        "severity": line.severity,
        "body": line.body,
        "trace_id": line.trace_id,
        "span_id": line.span_id,
    }


def _signals(_: Room, dossier: Dossier, asked: Arguments) -> Answer:
    found = signals(dossier.evidence, route=asked.get("route"), step_s=asked["step_s"])
    rows = [
        {
            "time": moment(found.origin_unix_s + each.start_s),
            "period": each.window,
            "requests": each.requests,
            "errors": each.errors,
            "rejected": each.rejected,
            "p50_ms": each.p50_ms,
            "p95_ms": each.p95_ms,
        }
        for each in found.buckets
        if each.requests
    ]
    return rows_of("buckets", rows, len(rows), step_s=found.step_s)


def _twin(room: Room, dossier: Dossier, asked: Arguments) -> Answer:
    trace = trace_meant(dossier, asked["trace_id"])
    room.look(dossier.case_id, trace.trace_id)
    found = compare(dossier.evidence, trace)
    if found is None:
        raise UsageError(
            f"expected a trace of before like {trace.trace_id}, found none of its route; "
            "search_traces with start_time_max finds the traces of before"
        )
    rows = twin_rows(found, in_tree_order=asked["order"] == "tree")
    ids = {"trace_id": trace.trace_id, "healthy_trace_id": found.healthy.trace_id}
    return rows_of("rows", rows, asked["limit"], **ids)


def _mechanisms(_: Room, _dossier: Dossier, _asked: Arguments) -> Answer:
    rows = [{"mechanism": m.value, "definition": m.definition, "apart": m.apart} for m in Mechanism]
    return rows_of("mechanisms", rows, len(rows), how_to_choose="The first that fits is meant.")


def _accuse(room: Room, dossier: Dossier, asked: Arguments) -> Answer:
    if bool(asked.get("spans")) == bool(asked.get("nobody")):
        raise UsageError("expected spans, or nobody=true; got both or neither")
    if not asked.get("nobody") and not asked.get("mechanisms"):
        raise UsageError("expected a mechanism for what the spans did; list_mechanisms has them")
    return room.accuse(dossier.case_id, asked)


def _hint(room: Room, dossier: Dossier, asked: Arguments) -> Answer:
    return room.hint(dossier.case_id, asked.get("number"))


def _documentation(_: Room, _dossier: Dossier, asked: Arguments) -> Answer:
    return {"topic": asked["topic"], "text": DOCS[asked["topic"]]}


def _spans(name: str, says: str, most: int, *more: Param) -> Param:
    return Param(
        name, "array", says, most=most, items=Param("span", "object", fields=(*_IDS, *more))
    )


LAB: Final = (
    Tool("list_cases", "List the cases that can be asked about.", _list_cases, (limit(),),
         "cases", about_a_case=False),
    Tool("read_briefing", "Read what was noticed, when, and what is kept.", _read_briefing),
    Tool("search_logs", "Find log lines, in order of time.", _search_logs,
         (Param("query", "string", "Stands in the line, in whatever case."),
          Param("service_name", "string", "Who wrote it."),
          Param("severity", "string", "Only of this.",
                words=("FATAL", "ERROR", "WARN", "INFO", "DEBUG")),
          Param("period", "string", "Only of this.", words=PERIODS),
          Param("trace_id", "string", "Only those of one trace."), limit()), "lines"),
    Tool("get_signals", "Show rate, errors and latency at the edge over time.", _signals,
         (Param("route", "string", "Only of this route."),
          Param("step_s", "number", "Seconds in one row.", default=1.0, least=0.1, most=3600)),
         "buckets"),
    Tool("compare_with_healthy_twin",
         "Lay a trace beside the trace of before that is most like it.", _twin,
         (TRACE_ID, Param("order", "string", "The greatest change first, or as the tree.",
                          default="change", words=("change", "tree")), limit(50)), "rows"),
    Tool("list_mechanisms", "Define the words that an accusation may use.", _mechanisms,
         (), "mechanisms", about_a_case=False),
    Tool("accuse", "Name the spans that did it and how, or say that nobody did.", _accuse,
         (_spans("spans", "One span, or two that did it together.", 2),
          Param("mechanisms", "array", "One for all spans, or one for each in their order.",
                most=2,
                items=Param("mechanism", "string", words=tuple(each.value for each in Mechanism))),
          Param("nobody", "boolean", "Nobody did anything wrong."),
          Param("scope", "string", "Whom it hit.", words=tuple(each.value for each in Scope)),
          _spans("path", "In a benchmark: spans of the way from the edge to the culprit.", 64),
          _spans("evidence", "In a benchmark: spans, and what each of them shows.", 32, _SHOWS)),
         writes=True),
    Tool("take_hint", "List the hints and their cost, or read one, which costs points.",
         _hint,
         (Param("number", "integer", "From 1; the last one is the solution.", least=1, most=50),),
         writes=True),
    Tool("read_documentation", "Say how this works.", _documentation,
         (Param("topic", "string", "What about.", default="task", words=tuple(DOCS)),),
         about_a_case=False),
)  # fmt: skip
