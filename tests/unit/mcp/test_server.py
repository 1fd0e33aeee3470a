"""The server as agents' clients meet it: in this process, over pipes and over HTTP."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from typer.testing import CliRunner

from lab.adapters.cases.archive import FolderArchive
from lab.cli import app
from lab.domain.ledger import Ledger
from lab.mcp.answers import MOST_BYTES
from lab.mcp.casework import DOCS
from lab.mcp.rooms import CasesRoom, alias
from lab.mcp.server import PROFILES, RESOURCES_A_PAGE
from tests.support.agents import AgentsRoom, Mode, asked, called, refused, told
from tests.support.sample_case import sample_case, span_id

TRACE = "01bb" * 8
CULPRIT = {"trace_id": TRACE, "span_id": span_id(TRACE, 6)}
WRONG = {"trace_id": TRACE, "span_id": span_id(TRACE, 2)}


@pytest.fixture
def desk(tmp_path: Path) -> AgentsRoom:
    return AgentsRoom(tmp_path, sample_case(level=1))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout's state with the recorded case of db-timeout in it."""
    folder = tmp_path_factory.mktemp("state")
    environment = {"LAB_STATE_DIR": str(folder), "COLUMNS": "160"}
    done = CliRunner().invoke(app, ["practice", "db-timeout", "--no-desk"], env=environment)
    assert done.exit_code == 0, done.output
    return folder


async def whole_case(client: Client) -> list[str]:
    """Look round, look into a trace, accuse wrongly and then rightly; the verdicts."""
    [case] = (await client.call_tool("list_cases", {})).structured_content["cases"]
    about: dict[str, Any] = {"case_id": case["case_id"]}
    periods = (await client.call_tool("read_briefing", about)).structured_content["periods"]
    asked_for = {**about, "with_errors": True, "start_time_min": periods["incident"]["start"]}
    failed = (await client.call_tool("search_traces", asked_for)).structured_content["traces"]
    verdicts = []
    about["trace_id"] = failed[0]["trace_id"]
    errors = (await client.call_tool("get_trace_errors", about)).structured_content["errors"]
    shallow = next(each for each in reversed(errors) if not each["is_deepest"])
    deepest = next(each for each in errors if each["is_deepest"])
    for span in (shallow, deepest):
        suspect = {"trace_id": about["trace_id"], "span_id": span["span_id"]}
        claim = {"spans": [suspect], "mechanisms": ["timeout"], "case_id": case["case_id"]}
        verdicts.append((await client.call_tool("accuse", claim)).structured_content["verdict"])
    return verdicts


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_agent_solves_a_case_in_memory(desk: AgentsRoom, mode: Mode) -> None:
    """By the new revision of the protocol and by the handshake of the old ones."""
    assert asked(desk.room, whole_case, mode=mode) == ["messenger", "solved"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_an_agent_solves_a_recorded_case_over_pipes(state: Path, mode: Mode) -> None:
    """As its client starts `lab mcp`; standard output holds the protocol alone."""
    done = CliRunner().invoke(
        app, ["practice", "db-timeout", "--fresh", "--no-desk"], env={"LAB_STATE_DIR": str(state)}
    )
    assert done.exit_code == 0
    newest = FolderArchive(state / "cases").cases()[0].case_id
    server = StdioServerParameters(
        command=sys.executable,
        args=["-m", "lab", "mcp", newest],
        env={**os.environ, "LAB_STATE_DIR": str(state)},
    )

    async def run() -> list[str]:
        async with Client(stdio_client(server), mode=mode) as client:
            return await whole_case(client)

    assert asyncio.run(run()) == ["messenger", "solved"]
    ledger = Ledger.of(FolderArchive(state / "cases").records(newest))
    assert ledger.solved is not None
    debrief = CliRunner().invoke(
        app, ["debrief", newest, "--markdown"], env={"LAB_STATE_DIR": str(state)}
    )
    assert "called get_trace_errors trace_id=" in debrief.stdout
    assert "called search_traces with_errors=true" in debrief.stdout


def test_standard_output_is_the_protocols_alone(state: Path) -> None:
    """Every line of it is a message, also where a call is wrong and at the end."""
    messages: list[dict[str, Any]] = [
        {"id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"}}},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
        {"id": 3, "method": "tools/call", "params": {"name": "nothing", "arguments": {}}},
        {"id": 4, "method": "tools/call", "params": {"name": "read_briefing", "arguments": {}}},
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "lab", "mcp"],
        env={**os.environ, "LAB_STATE_DIR": str(state)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    lines = []
    for message in messages:
        process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
        process.stdin.flush()
        if "id" in message:
            lines.append(json.loads(process.stdout.readline()))
    process.stdin.close()
    assert process.stdout.read() == ""
    assert process.wait(20) == 0
    assert [each["id"] for each in lines] == [1, 2, 3, 4]
    assert lines[3]["result"]["structuredContent"]["title"] == "The clock stops at checkout"


@pytest.fixture
def served(state: Path) -> Iterator[str]:
    """Where `lab mcp --http 0` says that it is served."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lab", "mcp", "--http", "0", "--profile", "tempo"],
        env={**os.environ, "LAB_STATE_DIR": str(state)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    found = re.search(r"http://127\.0\.0\.1:\d+/mcp", process.stderr.readline())
    assert found is not None
    yield found[0]
    process.terminate()
    assert process.wait(20) == 128 + 15


def test_over_http_this_machine_alone_is_let_in(served: str) -> None:
    """A rebound name and a page of another origin are refused; an own client is not."""
    for _ in range(100):
        try:
            httpx.get(served, timeout=5, trust_env=False)
            break
        except httpx.TransportError:
            continue
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    accepted = {"accept": "application/json, text/event-stream"}
    for header, status in (({"host": "evil.example"}, 421), ({"origin": "http://evil"}, 403)):
        answer = httpx.post(served, json=body, headers={**accepted, **header}, trust_env=False)
        assert answer.status_code == status

    async def names() -> list[str]:
        async with Client(served) as client:
            return [each.name for each in (await client.list_tools()).tools]

    found = asyncio.run(names())
    assert "search_tempo_traces" in found
    assert "get_trace_topology" not in found


def test_a_port_that_is_taken_is_said(served: str, state: Path) -> None:
    """With what to do about it."""
    port = served.rpartition(":")[2].removesuffix("/mcp")
    done = subprocess.run(
        [sys.executable, "-m", "lab", "mcp", "--http", port],
        env={**os.environ, "LAB_STATE_DIR": str(state)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "say another --http PORT" in done.stderr.replace("\n", " ")


# --- tools ---


@pytest.mark.parametrize("profile", sorted(PROFILES))
def test_every_tool_says_what_it_takes_and_does(desk: AgentsRoom, profile: str) -> None:
    """A description, closed arguments in snake_case, an output schema, if it only reads."""
    tools = asked(desk.room, lambda client: client.list_tools(), profile=profile).tools
    assert len({each.name for each in tools}) == len(tools) >= 15
    for each in tools:
        assert each.description.endswith(".")
        assert each.input_schema["additionalProperties"] is False
        names = [each.name, *each.input_schema["properties"]]
        assert all(re.fullmatch(r"[a-z_]+", name) for name in names)
        assert all(p["description"] for p in each.input_schema["properties"].values())
        assert each.output_schema["type"] == "object"
        writes = each.name in {"accuse", "take_hint"}
        assert each.annotations.read_only_hint is not writes
        assert each.annotations.destructive_hint is False


def test_every_wrong_argument_is_told_at_once(desk: AgentsRoom) -> None:
    """The SDK by itself would ignore those that it does not know."""
    said = refused(
        desk.room, "search_traces", service="auth", start_time_min="yesterday", search_depth=0,
        with_errors="yes", duration_min="long",
    )  # fmt: skip
    for expected in (
        "service: expected one of service_name",
        "start_time_min: expected an RFC 3339 time",
        "search_depth: expected 1 to 100, got 0",
        "with_errors: expected true or false, got 'yes'",
        "duration_min: expected a duration such as 250ms",
    ):
        assert expected in said
    assert "trace_id: expected a text, got nothing" in refused(desk.room, "get_trace_errors")
    assert "expected one of list_cases" in refused(desk.room, "no_such_tool")
    assert desk.archive.records("db-timeout-1") == ()


def test_a_bug_tells_the_agent_nothing(
    desk: AgentsRoom, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an exception says may be of the machine, or of the truth."""

    def broken(_: object) -> None:
        raise RuntimeError("auth-users_db")

    desk.room.dossier = broken  # type: ignore[method-assign, assignment]
    assert refused(desk.room, "read_briefing") == (
        "read_briefing failed by a mistake of the lab's own; its log has more"
    )
    assert "auth-users_db" in capsys.readouterr().err


# --- resources ---


def test_briefing_and_documentation_are_resources_too(desk: AgentsRoom) -> None:
    """Listed, described by a template, and read; what is none is refused."""

    async def story(client: Client) -> list[Any]:
        listed = (await client.list_resources()).resources
        [template] = (await client.list_resource_templates()).resource_templates
        for uri in ("case://db-timeout-1/briefing", "deadspan://docs/truth", "file:///etc/passwd"):
            with pytest.raises(MCPError):
                await client.read_resource(uri)
        return [template, listed, *[await client.read_resource(each.uri) for each in listed]]

    template, listed, briefing, *docs = asked(desk.room, story)
    assert template.uri_template == "case://{id}/briefing"
    assert len(listed) == 1 + len(DOCS)
    assert "The clock stops at checkout" in briefing.contents[0].text
    assert {each.contents[0].text for each in docs} == set(DOCS.values())


@pytest.mark.parametrize("count", [1, RESOURCES_A_PAGE, 3 * RESOURCES_A_PAGE])
def test_of_many_cases_the_resources_come_page_by_page(
    desk: AgentsRoom, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Each once, none of them in an answer beyond measure; a cursor that is not ours is refused."""
    ids = [f"{'a-long-name-of-a-case-' * 3}of-somebody-{number}" for number in range(1, count + 1)]
    monkeypatch.setattr(CasesRoom, "case_ids", lambda _: ids)

    async def story(client: Client) -> list[str]:
        names, cursor = list[str](), None
        while page := await client.list_resources(cursor=cursor):
            assert len(page.model_dump_json()) <= MOST_BYTES
            names += [each.name for each in page.resources]
            cursor = page.next_cursor
            if cursor is None:
                break
        for wrong in ("1", "-200", "x", "", "\ud800"):
            with pytest.raises(MCPError):
                await client.list_resources(cursor=wrong)
        return names

    assert asked(desk.room, story) == [*(f"{each} briefing" for each in ids), *DOCS]


# --- judge and ledger ---


def test_a_wrong_accusation_delays_the_next_one(desk: AgentsRoom) -> None:
    """By the judge's own rule; the ledger is that of command line and desk."""
    wrong = {"spans": [WRONG], "mechanisms": ["timeout"]}
    assert told(desk.room, "accuse", **wrong)["next_is_heard_in_s"] == 0.0
    assert told(desk.room, "accuse", **wrong)["next_is_heard_in_s"] == 5.0
    assert "heard in 5 s" in refused(desk.room, "accuse", spans=[CULPRIT], mechanisms=["timeout"])
    found = told(desk.room, "list_cases")["cases"][0]
    assert (found["solved"], found["accusations"], found["points"]) == (False, 2, None)


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({}, "expected spans, or nobody=true"),
        ({"spans": [CULPRIT], "nobody": True}, "got both or neither"),
        ({"spans": [CULPRIT]}, "expected a mechanism"),
        ({"spans": [CULPRIT], "mechanisms": ["magic"]}, "expected one mechanism"),
        (
            {"spans": [{"trace_id": TRACE}], "mechanisms": ["timeout"]},
            "spans[0]: expected an object",
        ),
        (
            {"spans": [{**CULPRIT, "x": 1}], "mechanisms": ["timeout"]},
            "spans[0]: expected an object",
        ),
        (
            {"spans": [{**CULPRIT, "span_id": "00"}], "mechanisms": ["timeout"]},
            "expected a span of",
        ),
        (
            {"spans": [{**CULPRIT, "trace_id": "ff"}], "mechanisms": ["timeout"]},
            "expected the id of",
        ),
        ({"spans": [CULPRIT] * 3, "mechanisms": ["timeout"]}, "expected 0 to 2 items, got 3"),
        (
            {"spans": [CULPRIT], "mechanisms": ["timeout"], "scope": "me"},
            "scope: expected one of all",
        ),
    ],
)
def test_what_cannot_be_meant_is_no_accusation(
    desk: AgentsRoom, claim: dict[str, Any], said: str
) -> None:
    """Nothing is judged, and nothing delayed."""
    assert said in refused(desk.room, "accuse", **claim)
    assert Ledger.of(desk.archive.records("db-timeout-1")).accusations == ()


def test_every_call_is_noted_of_the_one_case_that_is_served(desk: AgentsRoom) -> None:
    """Also such as are about no case; of several cases only those that name one."""
    told(desk.room, "list_mechanisms")
    told(desk.room, "get_services", limit=3)
    called_so_far = [each.get("called") for each in desk.archive.records("db-timeout-1")]
    assert called_so_far == ["list_mechanisms", "get_services limit=3"]
    desk.archive.seal(sample_case("db-timeout-2"))
    told(desk.room, "list_mechanisms")
    told(desk.room, "get_services", case_id=alias("db-timeout-2"))
    assert len(desk.archive.records("db-timeout-1")) == 2
    assert len(desk.archive.records("db-timeout-2")) == 1
    assert "expected a case of list_cases" in refused(desk.room, "get_services", case_id="case-9")


def test_a_hint_that_is_taken_is_in_the_ledger(desk: AgentsRoom) -> None:
    """The list of them tells no words; one that is read tells its own alone."""
    offered = told(desk.room, "take_hint")["hints"]
    assert all(each["text"] is None for each in offered)
    [hint] = told(desk.room, "take_hint", number=1)["hints"]
    assert hint["text"]
    assert Ledger.of(desk.archive.records("db-timeout-1")).hints_read == {1}
    assert "expected 1 to" in refused(desk.room, "take_hint", number=40)


def test_no_answer_is_longer_than_64_kib(desk: AgentsRoom) -> None:
    """As it is sent, text and structure together."""
    found = called(desk.room, "search_traces", search_depth=100)
    assert len(found.model_dump_json(by_alias=True, exclude_none=True)) <= MOST_BYTES
