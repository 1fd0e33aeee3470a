"""Tools that look at traces, by the names and arguments of Grafana's MCP server for Tempo.

Of TraceQL that part is asked of kept traces which is one pair of braces, joined by ``&&``, after
https://grafana.com/docs/tempo/latest/traceql/construct-traceql-queries/; what joins several spans
asks a store.
"""

from __future__ import annotations

import operator
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from lab.domain.trace import Span, Trace
from lab.errors import UsageError
from lab.frozen import dataclass
from lab.investigation.reading.healthy_twin import pair_rows
from lab.mcp.answers import Answer, Arguments, rows_of
from lab.mcp.dossier import Dossier, spans_said
from lab.mcp.patterns import Pattern
from lab.mcp.toolbox import Param, Room, Tool, duration_ms, limit, text_param, time_param
from lab.mcp.traces import extent_ms, topology
from lab.mcp.views import (
    TRACE_ID,
    in_time,
    opened,
    row_of,
    span_details,
)

DOCS: Final[Mapping[str, str]] = {
    "basic": (
        'A query is one pair of braces: `{ resource.service.name = "auth" && status = error }`. '
        "Conditions are joined by `&&`, and one span has to fulfil each. `{}` finds all."
    ),
    "intrinsics": (
        "`name`, `status` (error, ok, unset), `kind` (server, client, internal, producer, "
        "consumer), `duration` (of the span: 250ms, 1.5s), `statusMessage`, `traceDuration` (from "
        "its first start to its last end), `rootName`, `rootServiceName`; also as `span:duration`, "
        "`trace:duration`, `trace:rootName`, `trace:rootService`."
    ),
    "attributes": (
        "`span.<key>` and `resource.<key>`, or `.<key>` for either: "
        '`{ span.db.system.name = "postgresql" }`. Values are strings in double quotes or '
        "backticks, numbers, `true` or `false`. `list_tempo_attribute_names` lists the keys."
    ),
    "operators": (
        "`=`, `!=`, `>`, `>=`, `<`, `<=`, and `=~`, `!~` with a regular expression that has to "
        "match the whole value."
    ),
    "structural": (
        "`>>`, `>`, `~` and `||` join several spans. They are passed to the running store, where "
        "there is one; the answer then holds those of its finds that this case keeps. Else look "
        "at single traces: get_tempo_trace."
    ),
    "aggregates": (
        "Pipelines such as `| count() > 2` or `| avg(duration) > 1s` are passed to the running "
        "store as well, where there is one. Without it, list_tempo_attribute_values counts spans."
    ),
    "metrics": (
        "Queries such as `| rate()` are not answered: a case keeps a sample of traces, so their "
        "numbers would be of the sample. get_signals has rate, errors and latency of all requests."
    ),
}
"""Topic → what it is about, as documentation for whoever writes a query."""

_CONDITION: Final = re.compile(
    r"\s*(?P<field>[A-Za-z.][\w.:/-]*)\s*(?P<sign>=~|!~|!=|>=|<=|=|>|<)\s*"
    r'(?P<value>"(?:[^"\\]|\\.)*"|`[^`]*`|[\w.µ-]+)\s*'
)
_SIGNS: Final[Mapping[str, Callable[[Any, Any], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "=~": lambda found, wanted: wanted.is_all_of(str(found)),
    "!~": lambda found, wanted: not wanted.is_all_of(str(found)),
}
_BY_PATTERN: Final = frozenset({"=~", "!~"})
_INTRINSIC: Final[Mapping[str, Callable[[Span, Trace], Any]]] = {
    "name": lambda span, _: span.name,
    "status": lambda span, _: span.status.value,
    "kind": lambda span, _: span.kind.value,
    "duration": lambda span, _: span.duration_ms,
    "traceDuration": lambda _, trace: extent_ms(trace),
    "rootName": lambda _, trace: trace.roots[0].name if trace.roots else None,
    "rootServiceName": lambda _, trace: trace.roots[0].service if trace.roots else None,
    "statusMessage": lambda span, _: span.status_message,
}
_SCOPED: Final[Mapping[str, str]] = {
    **{f"span:{each}": each for each in ("name", "status", "statusMessage", "kind", "duration")},
    "trace:duration": "traceDuration",
    "trace:rootName": "rootName",
    "trace:rootService": "rootServiceName",
}
"""An intrinsic as newer queries call it → as older ones do; both are TraceQL."""
_TIMES: Final = frozenset({"duration", "traceDuration"})


class BeyondTheCase(UsageError):
    """The query is TraceQL that only a store can be asked, or none at all."""


@dataclass(frozen=True, slots=True)
class Condition:
    """``field sign value``, of one span."""

    field: str
    sign: str
    value: Any

    def holds(self, span: Span, trace: Trace) -> bool:
        """Whether the span fulfils it; what a span does not have fulfils nothing."""
        found = value_of(self.field, span, trace)
        if found is None:
            return False
        try:
            return _SIGNS[self.sign](found, self.value)
        except TypeError:  # A number beside a text.
            return self.sign == "!="


def value_of(field: str, span: Span, trace: Trace) -> Any:
    """What a span has under a field of TraceQL; None where it has nothing."""
    field = _SCOPED.get(field, field)
    if field in _INTRINSIC:
        return _INTRINSIC[field](span, trace)
    scope, _, key = field.partition(".")
    if key == "service.name" and scope in {"", "resource"}:
        return span.service
    places = {"span": (span.attributes,), "resource": (span.resource,)}
    for place in places.get(scope, (span.attributes, span.resource)):
        if key in place:
            return place[key]
    return None


def conditions(query: str) -> tuple[Condition, ...]:
    """The conditions of a query; BeyondTheCase where it is more than one pair of braces."""
    text = query.strip()
    inner = text[1:-1].strip() if text.startswith("{") and text.endswith("}") else None
    found: list[Condition] = []
    while inner:
        match = _CONDITION.match(inner)
        rest = inner[match.end() :] if match else ""
        if match is None or (rest and not rest.startswith("&&")) or rest == "&&":
            inner = None
            break
        found.append(_condition(match))
        inner = rest[2:]
    if inner is None:
        raise BeyondTheCase(
            'expected one pair of braces such as { resource.service.name = "auth" && status = '
            f"error && duration > 100ms }}, got {query!r:.200}; get_tempo_traceql_docs says more"
        )
    return tuple(found)


def _condition(match: re.Match[str]) -> Condition:
    field, sign, word = _SCOPED.get(match["field"], match["field"]), match["sign"], match["value"]
    if field not in _INTRINSIC and not re.match(r"(span|resource|)\.\S", field):
        raise BeyondTheCase(
            f"expected a field such as name, status, duration, span.<key> or resource.<key>, got "
            f"{field!r}; get_tempo_traceql_docs says more"
        )
    if sign in _BY_PATTERN and word[0] not in '"`':
        raise BeyondTheCase(f"expected an expression in quotes after {sign}, got {word!r:.80}")
    return Condition(field, sign, _value(field, sign, word))


def _value(field: str, sign: str, word: str) -> Any:
    try:
        if field in _TIMES:
            return duration_ms(word)
        if word[0] in '"`':  # Between the second kind nothing is escaped.
            text = re.sub(r"\\(.)", r"\1", word[1:-1]) if word[0] == '"' else word[1:-1]
            return Pattern(text) if sign in _BY_PATTERN else text
        if word in {"true", "false"}:
            return word == "true"
        return word if field in {"status", "kind"} else float(word)
    except (ValueError, OverflowError) as error:
        raise BeyondTheCase(f"expected a value of {field}, got {word!r:.80}") from error


def fits(trace: Trace, wanted: tuple[Condition, ...]) -> tuple[Span, ...]:
    """The spans of a trace that fulfil every condition."""
    return tuple(span for span in trace if all(each.holds(span, trace) for each in wanted))


# --- the tools ---


def _tempo_search(room: Room, dossier: Dossier, asked: Arguments) -> Answer:
    start_s, end_s = asked.get("start"), asked.get("end")
    try:
        wanted = conditions(asked["query"])
        found = [(t, fits(t, wanted)) for t in dossier.traces if in_time(t, start_s, end_s)]
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

    def row(match: tuple[Trace, Sequence[Span]]) -> Answer:
        trace, spans = match
        ids = [each.span_id for each in spans[:3]]
        return {**row_of(dossier, trace), "matched": len(spans), "span_ids": ids}

    matching = [(trace, spans) for trace, spans in found if spans]
    return rows_of("traces", matching, asked["limit"], row)


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
    wanted = conditions(asked.get("filter_query", "{}"))
    counts = Counter(
        str(found)
        for trace in dossier.traces
        for span in fits(trace, wanted)
        if (found := value_of(asked["name"], span, trace)) is not None
    )
    rows = [{"value": value[:500], "spans": n} for value, n in counts.most_common()]
    return rows_of("values", rows, asked["limit"], name=asked["name"])


def _traceql_docs(_: Room, _dossier: Dossier, asked: Arguments) -> Answer:
    return {"topic": asked["topic"], "text": DOCS[asked["topic"]]}


TEMPO: Final = (
    Tool("search_tempo_traces", "Find traces by TraceQL.", _tempo_search,
         (text_param("query", "TraceQL, such as { status = error }.", required=True),
          time_param("start", "The trace began then or later."),
          time_param("end", "The trace began then or earlier."), limit()), "traces"),
    Tool("get_tempo_trace", "Show a whole trace; a large one as its topology.",
         _tempo_trace, (TRACE_ID,), "rows"),
    Tool("diff_tempo_traces", "Lay one trace beside another, the greatest change first.",
         _tempo_diff,
         (text_param("base_trace_id", "The trace to compare with.", required=True),
          text_param("compare_trace_id", "The trace that may differ.", required=True), limit(50)),
         "changes"),
    Tool("list_tempo_attribute_names", "List the attributes that spans carry.",
         _attribute_names,
         (Param("scope", "string", "Only of these.", words=("span", "resource")), limit(200, 1000)),
         "names"),
    Tool("list_tempo_attribute_values",
         "List the values of an attribute, the most frequent first.", _attribute_values,
         (text_param("name", "Such as span.http.route or resource.service.name.", required=True),
          text_param("filter_query", "Only of spans that fulfil it: one pair of braces."),
          limit(50)), "values"),
    Tool("get_tempo_traceql_docs", "Say how to write TraceQL.", _traceql_docs,
         (Param("topic", "string", "What about.", default="basic", words=tuple(DOCS)),),
         about_a_case=False),
)  # fmt: skip
