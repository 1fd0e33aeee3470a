"""Exported tasks: their layout, what is in the agent's machine, and their graders as processes."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters, stdio_client
from typer.testing import CliRunner

from lab.adapters.own_folders import MARK
from lab.bench.harbor import write_task
from lab.bench.packing import ENTRY, modules_for
from lab.bench.tasks import tasks_of
from lab.cli import app
from lab.errors import NotOurs
from lab.settings import CHECKOUT
from tests.support.recorded_cases import recorded
from tests.support.spoilers import secrets_of

FILES = {
    MARK,
    *("task.toml", "instruction.md", "environment/Dockerfile", "environment/requirements.txt"),
    *("environment/lab.zip", "environment/task.json.gz", "tests/test.sh", "tests/grade.py"),
    *("tests/answer.json", "tests/task.json.gz", "solution/solve.sh", "solution/accusation.json"),
}


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tasks of one case, as `lab bench export` writes them."""
    folder = tmp_path_factory.mktemp("tasks")
    words = ["bench", "export", str(folder), "--format", "harbor", "--case", "db-timeout", "--json"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert len(json.loads(done.stdout)["tasks"]) == 4
    return folder / "public"


def places(export: Path) -> dict[str, Path]:
    found = {}
    for place in export.iterdir():
        answer = json.loads((place / "tests" / "answer.json").read_text())
        found[answer["kind"]] = place
    return found


def test_every_task_has_harbors_layout(export: Path) -> None:
    """No more files and no fewer; scripts can be run, and the name tells nothing."""
    for place in export.iterdir():
        found = {str(each.relative_to(place)) for each in place.rglob("*") if each.is_file()}
        assert found == FILES
        config = tomllib.loads((place / "task.toml").read_text())
        assert config["schema_version"] == "1.4"
        assert config["task"]["name"] == f"deadspan/{place.name}"
        assert config["environment"]["network_mode"] == "no-network"
        [server] = config["environment"]["mcp_servers"]
        assert (server["transport"], server["command"]) == ("stdio", "python3")
        assert (place / "instruction.md").read_text().startswith("# The clock stops at ")
        assert os.access(place / "tests" / "test.sh", os.X_OK)
        assert os.access(place / "solution" / "solve.sh", os.X_OK)
        docker = (place / "environment" / "Dockerfile").read_text()
        copied = [line for line in docker.splitlines() if line.startswith("COPY")]
        assert not any("tests" in line or "solution" in line for line in copied)
        pinned = (place / "environment" / "requirements.txt").read_text()
        assert pinned == (CHECKOUT / "lock" / "agents.txt").read_text()


def test_an_agents_machine_holds_nothing_of_the_answer(export: Path) -> None:
    """Neither in the task file, nor in the message, nor in that part of the lab."""
    case = recorded("db-timeout")
    assert places(export).keys() == {"recorded", "recorded healthy", "variant", "variant healthy"}
    for place in export.iterdir():
        text = (place / "instruction.md").read_text() + (place / "task.toml").read_text()
        text += gzip.decompress((place / "environment" / "task.json.gz").read_bytes()).decode()
        assert [each for each in (*secrets_of(case), case.scenario.id) if each in text] == []
    with zipfile.ZipFile(place / "environment" / "lab.zip") as pack:
        names = pack.namelist()
    assert "lab/mcp/server.py" in names
    foreign = ("scenario", "solving", "proof", "detective", "bench", "cases", "shop", "warden")
    assert [each for each in names if any(word in each for word in foreign)] == []


def test_what_is_imported_for_types_alone_does_not_come_along() -> None:
    """And what an inner function imports does."""
    found = modules_for(ENTRY)
    assert {"lab", "lab.mcp.server", "lab.mcp.exam", "lab.domain.trace"} <= found
    assert "lab.domain.symptom" not in found
    assert modules_for("lab.no_such_module") == frozenset()


def test_a_task_that_is_exported_again_takes_its_own_place(tmp_path: Path) -> None:
    """The same bytes, and nothing left of an older one."""
    [first, *_] = tasks_of(recorded("db-timeout"), 1)
    place = write_task(tmp_path, first, "public")
    before = {each: each.read_bytes() for each in place.rglob("*") if each.is_file()}
    (place / "tests" / "old").write_text("")
    assert write_task(tmp_path, first, "public") == place
    assert {each: each.read_bytes() for each in place.rglob("*") if each.is_file()} == before


def test_a_folder_of_somebody_elses_keeps_its_place(tmp_path: Path) -> None:
    """Though it holds a task: somebody may have written that."""
    [first, *_] = tasks_of(recorded("db-timeout"), 1)
    theirs = tmp_path / first.task_id / "task.toml"
    theirs.parent.mkdir()
    theirs.write_text("mine")
    with pytest.raises(NotOurs):
        write_task(tmp_path, first, "public")
    assert theirs.read_text() == "mine"


def graded(place: Path, tmp_path: Path, accusation: Path) -> Any:
    done = subprocess.run(
        ["sh", place / "tests" / "test.sh", accusation, tmp_path / "rewards"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    )
    scores = json.loads((tmp_path / "rewards" / "scores.json").read_text())
    assert json.loads(done.stdout.splitlines()[-1]) == scores
    return json.loads((tmp_path / "rewards" / "reward.json").read_text())


@pytest.mark.parametrize("kind", ["recorded", "recorded healthy", "variant", "variant healthy"])
def test_the_oracle_is_rewarded_and_silence_is_not(export: Path, tmp_path: Path, kind: str) -> None:
    """Solution and tests as processes of their own, as a task's machine runs them."""
    place = places(export)[kind]
    target = tmp_path / "workspace" / "accusation.json"
    assert graded(place, tmp_path, target)["reward"] == 0.0
    subprocess.run(["sh", place / "solution" / "solve.sh", target], check=True)
    rewards = graded(place, tmp_path, target)
    assert set(rewards.values()) <= ({1.0} if "healthy" not in kind else {1.0, 0.0})
    assert rewards["reward"] == 1.0
    target.write_text("{torn")
    assert graded(place, tmp_path, target)["reward"] == 0.0


def test_the_task_is_solved_with_nothing_but_what_its_machine_has(
    export: Path, tmp_path: Path
) -> None:
    """Its server, started as task.toml says, out of the zip; what it writes is graded."""
    place = places(export)["variant"]
    config = tomllib.loads((place / "task.toml").read_text())
    [server] = config["environment"]["mcp_servers"]
    target = tmp_path / "accusation.json"
    here = {
        "/opt/deadspan/task.json.gz": str(place / "environment" / "task.json.gz"),
        "/workspace/accusation.json": str(target),
    }
    started = StdioServerParameters(
        command=sys.executable,
        args=["-P", *(here.get(each, each) for each in server["args"])],
        env={"PYTHONPATH": str(place / "environment" / "lab.zip")},
        cwd=tmp_path,
    )
    answer = json.loads((place / "tests" / "answer.json").read_text())
    [[trace, span]] = answer["oracle"]["spans"]

    async def solve() -> None:
        async with Client(stdio_client(started)) as client:
            found = await client.call_tool(
                "get_span_details", {"trace_id": trace, "span_ids": [span]}
            )
            [details] = found.structured_content["spans"]
            here = {"trace_id": trace, "span_id": span}
            shows = {key: details[key] for key in ("service", "duration_ms", "self_ms")}
            claim = {
                "spans": [here],
                "mechanisms": answer["oracle"]["mechanisms"],
                "evidence": [{**here, "shows": shows}],
            }
            assert not (await client.call_tool("accuse", claim)).is_error

    asyncio.run(solve())
    assert graded(place, tmp_path, target)["reward"] == 1.0
    scores = json.loads((tmp_path / "rewards" / "scores.json").read_text())
    assert (scores["evidence_cited"], scores["evidence_shown"], scores["calls"]) == (1, 1, 2)
