"""What every tool does with what cannot be meant: a refusal that says where, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from mcp import Client

from lab.mcp.answers import MOST_BYTES
from lab.mcp.rooms import alias
from lab.mcp.toolbox import MOST_PROBLEMS
from tests.support.agents import AgentsRoom, asked, refused, told
from tests.support.sample_case import sample_case, span_id

TRACE = "01bb" * 8
BUG = "a mistake of the lab's own"

VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 1e300, 10**400, 10**5000),
    *("", "soon", "x" * 5000, "\ud800", "(", "a{99999999999}", "(" * 4000),
    *([], [None], [1], ["x"], [[]], [{}], ["x"] * 1000, {}, {"x": 1}, {"x" * 5000: None}),
)
"""Of every JSON type, the odd ones among them."""

EXAMPLES: dict[str, Any] = {
    "trace_id": TRACE, "base_trace_id": TRACE, "compare_trace_id": TRACE,
    "span_id": span_id(TRACE, 6), "query": "{}", "name": "span.pool.size",
    "duration_min": "1ms", "duration_max": "1h",
    **dict.fromkeys(("start", "end", "start_time_min", "start_time_max"), "2023-11-14T22:13:28Z"),
    **dict.fromkeys(("start_time", "end_time"), "2023-11-14T22:13:28Z"),
    "span_ids": [span_id(TRACE, 6)], "case_id": alias("db-timeout-1"), "number": 1,
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """Where in the arguments: keys and numbers from the outside in, and the schema there."""

    path: tuple[str | int, ...]
    schema: dict[str, Any]

    @property
    def name(self) -> str:
        """As a refusal calls it."""
        first, *rest = self.path
        return str(first) + "".join(f"[{e}]" if isinstance(e, int) else f".{e}" for e in rest)

    def filled(self, arguments: dict[str, Any], value: Any) -> dict[str, Any]:
        """The arguments with this there."""
        found = deepcopy(arguments)
        within: Any = found
        for key in self.path[:-1]:
            within = within[key]
        within[self.path[-1]] = value
        return found


def example(name: str, schema: dict[str, Any]) -> Any:
    """What may stand there, everything filled in."""
    if name in EXAMPLES:
        return EXAMPLES[name]
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "array":
        return [example("", schema["items"])]
    if schema["type"] == "object":
        found = {key: example(key, each) for key, each in schema.get("properties", {}).items()}
        values = schema.get("additionalProperties")
        return found | ({"some.key": example("", values)} if values else {})
    return {"integer": 1, "number": 1.0, "boolean": False}.get(str(schema["type"]), "x")


def places(schema: dict[str, Any], path: tuple[str | int, ...] = ()) -> Iterator[Place]:
    """Every argument, item and field."""
    if path:
        yield Place(path, schema)
    for key, each in schema.get("properties", {}).items():
        yield from places(each, (*path, key))
    if schema["type"] == "array":
        yield from places(schema["items"], (*path, 0))
    if schema["type"] == "object" and schema.get("additionalProperties"):
        yield from places(schema["additionalProperties"], (*path, "some.key"))


def fits(schema: dict[str, Any], value: Any) -> bool:
    """Whether the published schema lets the value through."""
    try:
        return bool(Draft202012Validator(schema).is_valid(value))
    except ValueError:  # It writes the number into its message.
        return False


async def every_wrong_value(client: Client) -> tuple[int, list[str]]:
    """How many were refused, and what is wrong with any answer."""
    count, found = 0, []
    for tool in (await client.list_tools()).tools:
        whole = example("", tool.input_schema)
        for place in places(tool.input_schema):
            for value in VALUES:
                result = await client.call_tool(tool.name, place.filled(whole, value))
                said = str(result.content[0].model_dump()["text"])
                about = f"{tool.name} {place.name} {type(value).__name__}: {said[:300]}"
                if BUG in said or len(said.encode()) > MOST_BYTES:
                    found.append(about)
                is_left_out = value is None and len(place.path) == 1
                if is_left_out or fits(place.schema, value):
                    continue
                count += 1
                is_clean = f"{place.name}" in said and "expected" in said and "got" in said
                if not (result.is_error and is_clean):
                    found.append(about)
    return count, found


@pytest.mark.parametrize("profile", ["jaeger", "tempo"])
def test_a_wrong_value_anywhere_is_refused_with_its_place(tmp_path: Path, profile: str) -> None:
    """What the published schema rejects, of every argument, item and field of every tool."""
    desk = AgentsRoom(tmp_path, sample_case(level=1))
    count, found = asked(desk.room, every_wrong_value, profile=profile)
    assert found == []
    assert count > 300


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    """Of items and their fields too, in the words of the place; of very much the beginning."""
    desk = AgentsRoom(tmp_path, sample_case())
    said = refused(
        desk.room,
        "accuse",
        spans=[{"trace_id": 1, "span_id": "x"}, {"trace_id": TRACE, "x": 1}],
        mechanisms=["timeout", "magic"],
        evidence=[{"trace_id": TRACE, "span_id": "x", "shows": {"status": "red", "self_ms": -1}}],
        path=[7],
    )
    for expected in (
        "spans[0].trace_id: expected a text, got 1",
        "spans[1]: expected an object with trace_id, span_id, got one of trace_id, x",
        "mechanisms[1]: expected one mechanism of ",
        "evidence[0].shows.status: expected one status of unset, ok, error, got 'red'",
        "evidence[0].shows.self_ms: expected 0 to 1e+12, got -1",
        "path[0]: expected an object with trace_id, span_id, got 7",
    ):
        assert expected in said
    many = {f"{'x' * 500}{n}": n for n in range(10_000)}
    said = refused(desk.room, "get_services", **many)
    assert f"and {10_000 - MOST_PROBLEMS} more" in said
    assert len(said) < 4096


def test_a_whole_number_may_be_written_with_a_point(tmp_path: Path) -> None:
    """As JSON Schema has it."""
    desk = AgentsRoom(tmp_path, sample_case())
    assert told(desk.room, "get_services", limit=2.0)["returned"] == 2
    assert "limit: expected a whole number, got 2.5" in refused(
        desk.room, "get_services", limit=2.5
    )


def test_an_attribute_may_be_a_list(tmp_path: Path) -> None:
    """It is found as it is shown."""
    case = sample_case()
    trace = case.evidence.traces[TRACE]
    changed = replace(trace.spans[0], attributes={"http.request.header.x": ("a", "b")})
    traces = {**case.evidence.traces, TRACE: replace(trace, spans=(changed, *trace.spans[1:]))}
    desk = AgentsRoom(tmp_path, replace(case, evidence=replace(case.evidence, traces=traces)))
    for value, count in ((["a", "b"], 1), (["a"], 0), ("a", 0)):
        found = told(desk.room, "search_traces", attributes={"http.request.header.x": value})
        assert found["total"] == count
    assert "attributes.x[0]: expected a text, a number, true or false, got []" in refused(
        desk.room, "search_traces", attributes={"x": [[]]}
    )
