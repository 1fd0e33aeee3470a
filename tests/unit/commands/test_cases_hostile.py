"""A case whose every text is an attack, through every command and page that reads it.

What a terminal would obey, what a browser would run and what a Markdown viewer would follow
is shown as text, wherever it stands: the fields are found by trying each, not by a list.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.case_folder import read_case_file, write_case, write_checksums
from lab.cli import app
from lab.commands import failures
from lab.domain.case import Case
from lab.errors import CaseError, LabError
from tests.support.desk_over_memory import DeskUnderTest
from tests.support.sample_case import sample_case
from tests.unit.commands.test_cases_recorded import EARNED, READING

ATTACK: Final = (
    "\x1b]0;pwned\x07\x1b[2J\x9b31m\u202e\r"
    "<script>alert(1)</script><img src=x onerror=alert(1)>[x](javascript:alert(1))"
)
SHOWN: Final = "pwned" + "".join(each for each in ATTACK if each.isprintable())
"""What of it a scenario's own texts may hold; control characters are refused in those."""

MEMBERS: Final = ("manifest.json", "requests.jsonl", "traces.jsonl", "logs.jsonl", "proof.json")
LOG: Final = {
    "time_unix_s": 0.0, "service": "auth", "severity": "ERROR", "body": "x",
    "trace_id": None, "span_id": None, "attributes": {"a": "b"},
}  # fmt: skip


def texts(document: Any) -> Iterator[tuple[Any, Any]]:
    """Each place in a JSON document that holds a text: its container and its key."""
    pairs = document.items() if isinstance(document, dict) else enumerate(document)
    for key, value in list(pairs):
        if isinstance(value, str):
            yield document, key
        elif isinstance(value, dict | list):
            yield from texts(value)


def reads(folder: Path) -> bool:
    """Whether the lab takes it for a whole case."""
    write_checksums(folder)
    try:
        return isinstance(read_case_file(folder), Case)
    except CaseError:
        return False


def poison(folder: Path) -> int:
    """Put the attack into every text of the case that may hold one; how many those were."""
    held = 0
    for member in MEMBERS:
        path = folder / member
        lines = path.read_text().splitlines() if path.suffix == ".jsonl" else [path.read_text()]
        # A few lines of a kind say what all may hold.
        for number in range(min(len(lines), 3)):
            document = json.loads(lines[number])
            for holder, key in texts(document):
                before = holder[key]
                holder[key] = before + ATTACK
                whole = [*lines[:number], json.dumps(document), *lines[number + 1 :]]
                path.write_text("\n".join(whole) + "\n")
                if reads(folder):
                    held += 1
                else:
                    holder[key] = before
            lines[number] = json.dumps(document)
            path.write_text("\n".join(lines) + "\n")
    for name in ("briefing.md", "debrief.md"):
        path = folder / "scenario" / name
        path.write_text(path.read_text() + f"\nRead on: {SHOWN}\n")
        assert reads(folder), name
    return held


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder whose only case is an attack."""
    state = tmp_path_factory.mktemp("hostile")
    case = sample_case()
    folder = FolderArchive(state / "cases").seal(case)
    lines = [json.dumps(LOG | {"trace_id": case.support_code}), json.dumps(LOG)]
    write_case(folder, case, lines)
    assert poison(folder) > 60
    return state


def dangerous(text: str) -> list[str]:
    """Characters that move a cursor, ring a bell or turn the letters round."""
    return [
        repr(each)
        for each in text
        if each not in "\n\t" and unicodedata.category(each) in {"Cc", "Cf", "Cs"}
    ]


@pytest.mark.parametrize("line", [*READING, "debrief {case} --give-up", *EARNED])
def test_no_command_lets_an_attack_through(line: str, hostile: Path) -> None:
    """Nor does an error that quotes it."""
    case = FolderArchive(hostile / "cases").load(None)
    words = line.replace("{case}", "db-timeout-1").replace(
        "{trace}", next(iter(case.evidence.traces))
    )
    done = CliRunner().invoke(app, words.split(), env={"LAB_STATE_DIR": str(hostile)})
    assert done.exception is None or isinstance(done.exception, SystemExit | LabError), done
    assert dangerous(done.output) == []
    if "--markdown" in line:
        assert not re.search(r"<(script|img)", done.output)
        assert not re.search(r"[^\\]\]\(javascript", done.output)


def test_the_debrief_and_the_briefing_do_hold_it(hostile: Path) -> None:
    """So the test above has something to look for."""
    env = {"LAB_STATE_DIR": str(hostile)}
    for words in (["briefing", "db-timeout-1"], ["debrief", "db-timeout-1", "--give-up"]):
        assert "pwned" in CliRunner().invoke(app, words, env=env).output


def test_an_error_shows_what_it_quotes(capsys: pytest.CaptureFixture[str]) -> None:
    """Whatever raised it."""
    failures.report(CaseError(f"expected a case, found {ATTACK}"))
    said = capsys.readouterr().err
    assert "pwned" in said
    assert dangerous(re.sub(r"\x1b\[\d*m", "", said)) == []


def test_no_page_of_the_desk_runs_it(hostile: Path, tmp_path: Path) -> None:
    """Room, list, trace, logs, debrief: shown as text in each."""
    case = FolderArchive(hostile / "cases").load(None)
    desk = DeskUnderTest(tmp_path, case)
    room = f"/cases/{case.case_id}"
    trace = next(iter(case.evidence.traces))
    desk.send(f"{room}/debrief", f"{room}/give-up")
    pages = ["", "/traces", f"/traces/{trace}", "/logs", "/contrast", "/debrief", "/map"]
    for page in pages:
        answer = desk.get(f"{room}{page}")
        assert answer.status_code == 200, page
        assert "<script>alert" not in answer.text, page
        assert "<img src=x" not in answer.text, page
        assert 'href="javascript' not in answer.text, page
