"""What the tools say of traces; of a huge one too; and that none of them tells the answer."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import pytest
from mcp import Client

from lab.adapters.otlp.traces import assemble
from lab.domain.case import Case
from lab.domain.trace import Span, Trace
from lab.mcp.answers import MOST_BYTES
from lab.mcp.casework import DOCS
from lab.mcp.rooms import CasesRoom, alias
from lab.mcp.server import tools_of
from tests.support.agents import AgentsRoom, asked, called, refused, told
from tests.support.recorded_cases import RECORDINGS, recorded
from tests.support.sample_case import sample_case, span, span_id
from tests.support.spoilers import secrets_of

TRACE = "01bb" * 8
BEFORE = "01aa" * 8
SLOWEST_CALL_S = 0.100


@pytest.fixture
def desk(tmp_path: Path) -> AgentsRoom:
    return AgentsRoom(tmp_path, sample_case())


def test_services_and_what_they_do(desk: AgentsRoom) -> None:
    """By name, with a pattern, cut by a limit with the whole number told."""
    found = told(desk.room, "get_services", pattern="^[a-g]")
    assert found["services"] == ["auth", "checkout", "gateway"]
    short = told(desk.room, "get_services", limit=1)
    assert (short["returned"], short["total"], short["truncated"]) == (1, 5, True)
    for kind in ("CLIENT", "client"):
        found = told(desk.room, "get_span_names", service_name="auth", span_kind=kind)
        assert [each["name"] for each in found["span_names"]] == ["SELECT"]
    assert "pattern: expected a regular expression" in refused(
        desk.room, "get_services", pattern="("
    )


@pytest.mark.parametrize(
    ("question", "count"),
    [
        ({}, 23),
        ({"with_errors": True}, 11),
        ({"service_name": "auth", "operation_name": "SELECT", "with_errors": True}, 10),
        ({"attributes": {"pool.size": 10}}, 22),
        ({"attributes": {"pool.size": 11}}, 0),
        ({"duration_min": "1s"}, 11),
        ({"duration_max": "20ms"}, 12),
        ({"start_time_max": "2023-11-14T22:13:28Z"}, 11),
        ({"start_time_min": "2023-11-14T22:13:52Z"}, 2),
    ],
)
def test_traces_are_found_by_one_span(
    desk: AgentsRoom, question: dict[str, Any], count: int
) -> None:
    """All that is asked must be true of the same span."""
    assert told(desk.room, "search_traces", **question)["total"] == count


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("{}", 23),
        ("{ status = error }", 11),
        ('{ resource.service.name = "auth" && name = "SELECT" && duration > 1s }', 10),
        ('{ span.service.peer.name =~ "users.*" && status != error }', 12),
        ("{ .pool.size >= 10 }", 22),
        ('{ rootServiceName = "storefront" && traceDuration < 100ms }', 12),
        ("{ span.nothing = true }", 0),
        ("{ span:status = error && span:name = `SELECT` && span:duration > 1s }", 10),
        ('{ trace:rootService = "storefront" && trace:duration < 100ms }', 12),
        ('{ statusMessage =~ ".*" && span:statusMessage != "" && kind = client }', 0),
    ],
)
def test_traceql_is_asked_of_the_kept_traces(desk: AgentsRoom, query: str, count: int) -> None:
    """One pair of braces; with the spans that fulfil it."""
    assert told(desk.room, "search_tempo_traces", query=query)["total"] == count


def test_a_trace_lasts_until_its_last_span_has_ended(tmp_path: Path) -> None:
    """Also where that outlives the root, and no single span lasts as long."""
    spans = [
        span("ab" * 16, 1, None, "shop GET", (0, 100)),
        span("ab" * 16, 2, 1, "shop send later", (90, 180)),
    ]
    room = room_with(tmp_path, assemble("ab" * 16, spans))
    found = told(room, "search_tempo_traces", query="{ traceDuration >= 180ms }")
    assert "ab" * 16 in [each["trace_id"] for each in found["traces"]]
    beyond = told(room, "search_tempo_traces", query="{ traceDuration > 180ms }")
    assert "ab" * 16 not in [each["trace_id"] for each in beyond["traces"]]
    assert told(room, "get_tempo_trace", trace_id="ab" * 16)["duration_ms"] == 180.0
    lasting = told(room, "search_traces", duration_min="180ms", duration_max="180ms")
    assert [each["trace_id"] for each in lasting["traces"]] == ["ab" * 16]


@pytest.mark.parametrize(
    "query",
    ["", "{", "status = error", "{ status = error } >> { name = `x` }", "{ status }", "{ a = 1 }",
     "{ status = error && }", "{ duration > soon }", '{ name =~ "(" }', "{ a || b }"],
)  # fmt: skip
def test_what_is_no_such_query_is_refused(desk: AgentsRoom, query: str) -> None:
    """Where no store runs that could be asked."""
    assert "expected" in refused(desk.room, "search_tempo_traces", query=query)


def test_a_running_store_is_asked_for_what_joins_spans(desk: AgentsRoom) -> None:
    """And of its finds those are told that this case keeps."""
    desk.room._live = lambda query, *_: frozenset({TRACE, "99" * 16} if ">>" in query else ())
    found = told(desk.room, "search_tempo_traces", query="{ status = error } >> { status = error }")
    assert [each["trace_id"] for each in found["traces"]] == [TRACE]


def test_one_trace_from_every_side(desk: AgentsRoom) -> None:
    """Topology, critical path, errors, details, the twin, and the difference of two."""
    rows = told(desk.room, "get_trace_topology", trace_id=TRACE[:12])["rows"]
    assert [each["depth"] for each in rows] == [0, 1, 2, 3, 4, 4]
    assert told(desk.room, "get_trace_topology", trace_id=TRACE, depth=0)["rows"] == rows
    assert len(told(desk.room, "get_trace_topology", trace_id=TRACE, depth=2)["rows"]) == 2
    assert told(desk.room, "get_critical_path", trace_id=TRACE)["length_ms"] == 1010.0
    errors = told(desk.room, "get_trace_errors", trace_id=TRACE)["errors"]
    assert (errors[0]["operation"], errors[0]["is_deepest"]) == ("SELECT", True)
    assert errors[0]["events"][0]["attributes"]["exception.type"] == "TimeoutError"
    [query] = told(
        desk.room, "get_span_details", trace_id=TRACE, span_ids=[span_id(TRACE, 6)]
    )["spans"]  # fmt: skip
    assert query["attributes"]["db.query.text"] == "SELECT user_id"
    assert query["start_time"] == "2023-11-14T22:13:40.003600Z"
    twin = told(desk.room, "compare_with_healthy_twin", trace_id=TRACE)["rows"][0]
    assert (twin["name"], twin["change_ms"]) == ("SELECT", 998.0)
    change = told(desk.room, "diff_tempo_traces", base_trace_id=BEFORE, compare_trace_id=TRACE)
    assert change["changes"][0]["operation"] == "SELECT"
    whole = told(desk.room, "get_tempo_trace", trace_id=TRACE)
    assert whole["rows"][5]["attributes"]["service.peer.name"] == "users_db"


def test_what_is_not_there_is_told_with_what_to_ask(desk: AgentsRoom) -> None:
    """A request without a trace, an id of several, of none, and a span of another trace."""
    for trace_id, said in (
        ("ee" * 16, "only a sample of traces is kept"),
        ("0", "begin so: give more digits"),
        ("xyz", "a search lists them"),
        ("", "begin so: give more digits"),
    ):
        assert said in refused(desk.room, "get_trace_errors", trace_id=trace_id)
    said = refused(desk.room, "get_span_details", trace_id=TRACE, span_ids=["1"])
    assert "get_trace_topology lists them" in said
    assert "expected a trace of before like" in refused(
        desk.room, "compare_with_healthy_twin", trace_id="dd" * 16
    )


def test_attributes_logs_and_signals(desk: AgentsRoom) -> None:
    """What one asks before one knows what there is."""
    assert "span.pool.size" in told(desk.room, "list_tempo_attribute_names", scope="span")["names"]
    values = told(desk.room, "list_tempo_attribute_values", name="resource.service.name")["values"]
    assert values[0] == {"value": "auth", "spans": 66}
    failed = told(
        desk.room,
        "list_tempo_attribute_values",
        name="resource.service.name",
        filter_query="{ status = error && kind = client }",
    )
    assert {each["value"] for each in failed["values"]} < {each["value"] for each in values}
    assert "one pair of braces" in refused(
        desk.room, "list_tempo_attribute_values", name="name", filter_query="{} >> {}"
    )
    buckets = told(desk.room, "get_signals", step_s=4)["buckets"]
    assert sum(each["errors"] for each in buckets) == 11
    assert told(desk.room, "search_logs", query="nothing")["lines"] == []
    assert "one pair of braces" in told(desk.room, "get_tempo_traceql_docs")["text"]
    assert told(desk.room, "get_service_dependencies")["dependencies"]
    assert len(told(desk.room, "list_mechanisms")["mechanisms"]) >= 18
    assert told(desk.room, "read_documentation", topic="scopes")["text"]


def room_with(place: Path, *traces: Trace) -> CasesRoom:
    """A case with these beside its own."""
    case = sample_case()
    kept = {**case.evidence.traces, **{each.trace_id: each for each in traces}}
    evidence = dataclasses.replace(case.evidence, traces=kept)
    return AgentsRoom(place, dataclasses.replace(case, evidence=evidence)).room


def huge(count: int) -> Trace:
    """One request that makes the same call again and again, with much to say of each."""
    more: dict[str, Any] = {"attributes": {"db.query.text": "SELECT " + "x" * 200}}
    spans = [span("ab" * 16, 1, None, "shop GET /all", (0, count))]
    spans += [
        span("ab" * 16, n, 1, f"shop call {n % 7}", (n, n + 1), **more) for n in range(2, count)
    ]
    return assemble("ab" * 16, spans)


@pytest.mark.parametrize("tool", ["get_tempo_trace", "get_trace_topology"])
def test_a_trace_of_10_000_spans_comes_as_its_topology(tmp_path: Path, tool: str) -> None:
    """One row for all that do the same in one place; nothing is cut, and it is quick."""
    room = room_with(tmp_path, huge(10_000))
    found = told(room, tool, trace_id="ab" * 16)
    assert (found["each_row_is"], found["total"], found["truncated"]) == ("group", 8, False)
    assert sum(each["spans"] for each in found["rows"]) == found["span_count"] == 9_999


def test_what_does_not_fit_is_cut_and_says_so(tmp_path: Path) -> None:
    """Two hundred spans of a kilobyte are more than 64 KiB."""
    spans = [span("ab" * 16, 1, None, "shop GET", (0, 300))]
    spans += [
        span("ab" * 16, n, 1, f"shop {n}", (n, n + 1), attributes={"note": "é" * 1000})
        for n in range(2, 200)
    ]
    room = room_with(tmp_path, assemble("ab" * 16, spans))
    found = called(room, "get_tempo_trace", trace_id="ab" * 16)
    sent = found.model_dump_json(by_alias=True, exclude_none=True).encode()
    assert MOST_BYTES * 0.8 < len(sent) <= MOST_BYTES
    assert found.structured_content["truncated"] is True
    assert found.structured_content["total"] == 199
    assert len(found.structured_content["rows"]) == found.structured_content["returned"] < 199


ODD_TRACES = {
    "a cycle": [span("ab" * 16, 1, 2, "a x", (0, 10)), span("ab" * 16, 2, 1, "b y", (1, 9))],
    "its own parent": [span("ab" * 16, 1, 1, "a x", (0, 10))],
    "half a letter": [
        span("ab" * 16, 1, None, "a \ud800", (0, 9), attributes={"\udfff": "\ud800"})
    ],
    "no number": [span("ab" * 16, 1, None, "a x", (0, 10), attributes={"x": float("nan")})],
    "a long value": [span("ab" * 16, 1, None, "a x", (0, 10), attributes={"x": "é" * 200_000})],
    "a long name": [span("ab" * 16, 1, None, f"a {'x' * 100_000}", (0, 10))],
    "many attributes": [
        span("ab" * 16, 1, None, "a x", (0, 10), attributes={f"k{n}": n for n in range(10_000)})
    ],
    "many services": [
        span("ab" * 16, n, 1 if n > 1 else None, f"a-service-with-a-name-{n} x", (0, 10))
        for n in range(1, 4_000)
    ],
    "no times": [
        dataclasses.replace(span("ab" * 16, 1, None, "a x", (0, 10)), start_ns=0),
        dataclasses.replace(span("ab" * 16, 2, 1, "a y", (0, 10)), end_ns=0),
    ],
    "the last of times": [
        dataclasses.replace(span("ab" * 16, 1, None, "a x", (0, 1)), start_ns=1, end_ns=2**64 - 1)
    ],
}  # fmt: skip


@pytest.mark.parametrize("spans", ODD_TRACES.values(), ids=ODD_TRACES)
def test_an_odd_trace_is_answered_within_the_cap(tmp_path: Path, spans: list[Span]) -> None:
    """By every tool that looks at it, with at least one row, however much that had to be cut."""
    trace = assemble("ab" * 16, spans)
    ids = [each.span_id for each in trace][:20]
    given: dict[str, dict[str, Any]] = {
        "get_span_names": {"service_name": trace.spans[0].service},
        "get_span_details": {"span_ids": ids},
        "search_tempo_traces": {"query": "{}"},
        "list_tempo_attribute_values": {"name": "name"},
        "diff_tempo_traces": {"base_trace_id": TRACE, "compare_trace_id": "ab" * 16},
    }

    async def story(client: Client) -> None:
        for tool in tools_of("all").values():
            if tool.writes or tool.name == "compare_with_healthy_twin":
                continue
            is_of_it = any(each.name == "trace_id" and each.required for each in tool.params)
            asks = given.get(tool.name, {}) | ({"trace_id": "ab" * 16} if is_of_it else {})
            found = await client.call_tool(tool.name, asks)
            assert not found.is_error, (tool.name, found.content)
            sent = found.model_dump_json(by_alias=True, exclude_none=True).encode()
            assert len(sent) <= MOST_BYTES, tool.name
            answer = found.structured_content
            assert answer is not None
            assert bool(answer.get("total")) == bool(answer.get("returned")), tool.name

    asked(room_with(tmp_path, trace), story)


# --- every tool of every recorded case ---


def questions(case: Case) -> list[tuple[str, dict[str, Any]]]:
    """Every tool, asked as much as it tells."""
    trace_id = case.support_code or next(iter(case.evidence.traces))
    trace = case.evidence.traces[trace_id]
    other = next(key for key in case.evidence.traces if key != trace_id)
    spans = [each.span_id for each in trace][:20]
    service = trace.spans[0].service
    last = trace.spans[-1]
    given: dict[str, dict[str, Any]] = {
        "get_span_names": {"service_name": service},
        "search_traces": {"search_depth": 100},
        "get_span_details": {"trace_id": trace_id, "span_ids": spans},
        "search_tempo_traces": {"query": "{ status = error }", "limit": 200},
        "diff_tempo_traces": {"base_trace_id": other, "compare_trace_id": trace_id},
        "list_tempo_attribute_values": {"name": "resource.service.name"},
        "search_logs": {"limit": 200},
        "take_hint": {},
        "accuse": {
            "spans": [{"trace_id": trace_id, "span_id": last.span_id}],
            "mechanisms": ["sampling-loss"],
            "scope": "all",
        },
    }
    for tool in tools_of("all").values():
        if any(each.name == "trace_id" and each.required for each in tool.params):
            given.setdefault(tool.name, {"trace_id": trace_id})
    return [(tool.name, given.get(tool.name, {})) for tool in tools_of("all").values()]


async def everything(client: Client, case: Case) -> dict[str, str]:
    """Tool → all that it said; and what the resources say."""
    said = {}
    for name, arguments in questions(case):
        found = await client.call_tool(name, arguments)
        said[name] = found.model_dump_json(by_alias=True, exclude_none=True)
        assert len(said[name].encode()) <= MOST_BYTES, name
        allowed = {"compare_with_healthy_twin", "accuse"}
        assert not found.is_error or name in allowed, (name, found.content)
    for each in (await client.list_resources()).resources:
        said[each.uri] = (await client.read_resource(each.uri)).model_dump_json()
    said["tools"] = (await client.list_tools()).model_dump_json()
    return said


SAME_FOR_EVERY_CASE = {
    *(
        each.name
        for each in tools_of("all").values()
        if not each.about_a_case and each.name != "list_cases"
    ),
    *(f"deadspan://docs/{topic}" for topic in DOCS),
    "tools",
}
"""What is made of no case, so whatever it says is no answer to one."""


def slips(case: Case, said: dict[str, str]) -> list[str]:
    """What of the answer stands in what was said."""
    scenario = case.scenario
    mechanism = scenario.truth.mechanism.value
    found = []
    for tool, text in said.items():
        plain = text.replace("\\", "")
        secrets = [scenario.id, *(() if tool in SAME_FOR_EVERY_CASE else secrets_of(case))]
        found += [
            f"{tool} says {secret!r}"
            for secret in secrets
            if secret in text or secret in plain or json.dumps(secret)[1:-1] in text
        ]
        # The closed list names every mechanism, each as often as any other.
        if "-" in mechanism and mechanism in text and tool not in SAME_FOR_EVERY_CASE:
            found.append(f"{tool} says {mechanism}")
    return found


@pytest.mark.parametrize("name", RECORDINGS)
def test_no_tool_tells_the_answer_of_any_case(tmp_path: Path, name: str) -> None:
    """Truth, decoys, hints, the scenario's id, words of the harm: nothing of it, in any answer."""
    case = dataclasses.replace(recorded(name), case_id=f"{name}-1")
    desk = AgentsRoom(tmp_path, case)
    said = asked(desk.room, lambda client: everything(client, case))
    assert slips(case, said) == []
    assert alias(case.case_id) in said["list_cases"]


def test_the_check_above_does_reject(tmp_path: Path) -> None:
    """Of a case whose solution was read as a hint."""
    case = sample_case(level=1)
    desk = AgentsRoom(tmp_path, case)
    last = len(case.scenario.hints)
    said = {"take_hint": json.dumps(told(desk.room, "take_hint", number=last))}
    assert slips(case, said)
    assert slips(case, {"x": case.scenario.id}) == [f"x says {case.scenario.id!r}"]


@pytest.mark.parametrize("name", ["db-timeout", "one-by-one", "locked-drawer"])
def test_each_call_is_quick_once_the_case_is_read(tmp_path: Path, name: str) -> None:
    """In processor time of this process, the best of three, since a machine may be busy."""
    case = recorded(name)
    room = AgentsRoom(tmp_path, case).room
    room.read_ahead()
    tools = {each.name: each for each in tools_of("all").values()}
    took_s = {}
    for tool, arguments in questions(case):
        if tool in {"accuse", "take_hint"}:
            continue
        measured = []
        for _ in range(3):
            began_s = time.process_time()
            tools[tool].answer(room, arguments)
            measured.append(time.process_time() - began_s)
        took_s[tool] = min(measured)
    assert {tool: s for tool, s in took_s.items() if s > SLOWEST_CALL_S} == {}
