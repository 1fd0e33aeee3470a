"""`lab mcp`: what it refuses before it serves, and what no other command imports because of it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lab.cli import app
from lab.errors import LabError, ToolMissing
from lab.settings import CHECKOUT

OF_THE_SDK = {"mcp", "mcp_types"}


def lab(state: Path, *words: str) -> Result:
    return CliRunner().invoke(app, ["mcp", *words], env={"LAB_STATE_DIR": str(state)})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["db-timeout-1"], "expected a case of `lab cases`"),
        (["--task", "/no/such/file"], "cannot be read"),
        (["db-timeout-1", "--task", "x"], "expected a case or --task, got both"),
    ],
)
def test_what_cannot_be_served_is_told_at_once(tmp_path: Path, words: list[str], said: str) -> None:
    """An agent's client would only see that nothing answers."""
    done = lab(tmp_path, *words)
    assert isinstance(done.exception, LabError)
    assert said in str(done.exception)
    assert done.stdout == ""


def test_without_the_sdk_it_says_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an extra, which containers go without."""
    monkeypatch.setattr("lab.commands.mcp.find_spec", lambda _: None)
    done = lab(tmp_path)
    assert isinstance(done.exception, ToolMissing)
    assert "lock/agents.txt" in str(done.exception)


def test_one_module_alone_imports_the_sdk() -> None:
    """So no other command pays for it, or fails without it."""
    found = set()
    for path in (CHECKOUT / "lab").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [each.name for each in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            if {each.partition(".")[0] for each in names} & OF_THE_SDK:
                found.add(str(path.relative_to(CHECKOUT)))
    assert found == {"lab/mcp/server.py"}


HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "t", "version": "1"},
    },
}


def test_the_first_answer_waits_for_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    """No client, no web server, no tool, no case, and no model that nobody uses."""
    code = (
        "import sys\n"
        "from lab.cli import app\n"
        "try: app(['mcp'])\n"
        "except SystemExit: pass\n"
        "import mcp_types._v2026_07_28 as wire\n"
        "built = wire.CallToolRequest.__pydantic_complete__\n"
        "sys.stderr.write(' '.join(['MODULES', str(built), *sys.modules]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"LAB_STATE_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"},
        input=json.dumps(HELLO) + "\n",
        capture_output=True,
        text=True,
        check=True,
    )
    built, *modules = done.stderr.rpartition("MODULES ")[2].split()
    assert built == "False"
    assert "mcp.server.runner" in modules
    of_the_sdk = {"mcp.client", "mcp.server.mcpserver", "mcp.server.lowlevel", "mcp.server.auth"}
    web = {"starlette", "uvicorn", "httpx", "fastapi"}
    ours = {"lab.scenario_file", "lab.investigation", "lab.mcp.toolbox", "lab.adapters.cases"}
    assert not (of_the_sdk | web | ours) & set(modules)
    assert json.loads(done.stdout)["result"]["serverInfo"]["name"] == "deadspan"
