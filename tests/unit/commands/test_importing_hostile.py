"""Strangers' telemetry as an attack: files' names, all texts of all formats, a backend's answers.

What a terminal would obey is shown as text by every command that reads such a case, and what a
browser would run by every page.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.otlp.traces import write_traces
from lab.cli import app
from lab.commands import failures
from lab.domain.evidence import Telemetry
from lab.errors import LabError
from tests.support.desk_over_memory import DeskUnderTest, addresses_about
from tests.support.sample_case import fatal_trace, healthy_trace
from tests.support.trace_formats import EXAMPLES
from tests.unit.commands.test_cases_hostile import ATTACK, READS, Obedient, dangerous
from tests.unit.commands.test_importing import Backend, serve

__all__ = ["serve"]

CASE: Final = "imported-1"
NAME: Final = os.fsdecode(b"\xff") + "\x1b]0;pwned\x07\x1b[2J\u202e[bold]:smile:<img src=x>\n"
"""Of a file: not even text, with what a terminal obeys, a style of Rich's, and markup."""

SPARED: Final = frozenset({"type", "refType", "kind", "code"})
_ID_OR_NUMBER: Final = re.compile(r"(0x)?[0-9a-fA-F.+-]*")

LINES: Final = (
    *READS,
    *(
        "import {files}",
        "import {files} --json",
        "import {files} --strict",
        "import {files}/nothing",
    ),
    *("import --otlp {files}", "detect {case} --reference imported-2", "lint --logs {files}"),
    *("detect {case} --reference imported-2 --json", "export {case} --otlp --to {state}/out.jsonl"),
    "import {state}/out.jsonl",
)
"""Every command that reads a case, and those that bring such a one."""


def attacked(document: Any, key: str = "") -> Any:
    """The document with the attack in every text that is neither an id nor a number, names too."""
    if isinstance(document, dict):
        # Where a format chooses the names, another name would only be passed over.
        free = key in {"tags", "attributes"}
        return {name + ATTACK * free: attacked(each, name) for name, each in document.items()}
    if isinstance(document, list):
        return [attacked(each, key) for each in document]
    if isinstance(document, str) and key not in SPARED and not _ID_OR_NUMBER.fullmatch(document):
        return document + ATTACK
    return document


def attacked_text(text: str) -> str:
    """The same of a file with a document a line, or one in all."""
    try:
        return json.dumps(attacked(json.loads(text)))
    except ValueError:
        return "\n".join(json.dumps(attacked(json.loads(each))) for each in text.splitlines())


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with two cases of hostile telemetry, and beside it what they were made of."""
    state = tmp_path_factory.mktemp("hostile")
    files = state / "files"
    files.mkdir()
    for number, path in enumerate(sorted(EXAMPLES.iterdir())):
        (files / f"{number}{NAME}{path.suffix}").write_text(attacked_text(path.read_text()))
    some = [make(f"{n:032x}") for n in range(1, 5) for make in (healthy_trace, fatal_trace)]
    (files / f"{NAME}shop").write_text(json.dumps(attacked(write_traces(some))))
    (files / f"{NAME}table").write_text(f"a,b\n1,{NAME[1:]}\n")
    for _ in range(2):
        done = CliRunner().invoke(app, ["import", str(files)], env={"LAB_STATE_DIR": str(state)})
        assert done.exit_code == 0, done.exception
    return state


@pytest.fixture
def case(state: Path) -> Telemetry:
    found = FolderArchive(state / "cases").open(CASE)
    assert isinstance(found, Telemetry)
    return found


@pytest.mark.parametrize("line", LINES)
def test_no_command_lets_an_attack_through(
    line: str, state: Path, case: Telemetry, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nor does an error that quotes it; and none of it is a bug."""
    trace = next(iter(case.evidence.traces.values()))
    words = [
        each.format(
            case=CASE, trace=trace.trace_id, span=trace.spans[0].span_id, state=state,
            files=state / "files",
        )
        for each in line.split()
    ]  # fmt: skip
    done = CliRunner().invoke(app, words, env={"LAB_STATE_DIR": str(state)})
    assert done.exception is None or isinstance(done.exception, SystemExit | LabError), done
    said = done.output
    if isinstance(done.exception, LabError):
        failures.report(done.exception)
        said += re.sub(r"\x1b\[\d*m", "", capsys.readouterr().err)
    assert dangerous(said) == []


def test_the_lists_and_a_trace_do_hold_it(state: Path, case: Telemetry) -> None:
    """So the test above has something to look for."""
    trace_id = next(iter(case.evidence.traces))
    for words in (["cases"], ["traces", CASE], ["trace", trace_id, "--case", CASE]):
        said = CliRunner().invoke(app, words, env={"LAB_STATE_DIR": str(state)}).output
        assert "pwned" in said, words
    assert (
        "[bold]:smile:"
        in CliRunner().invoke(app, ["cases"], env={"LAB_STATE_DIR": str(state)}).output
    )


def test_no_address_of_the_desk_lets_an_attack_through(
    state: Path, case: Telemetry, tmp_path: Path
) -> None:
    desk = DeskUnderTest(tmp_path, archive=FolderArchive(state / "cases"))
    shown = 0
    addresses = addresses_about(case)
    calm = f"/cases/{CASE}/detective?reference=imported-2"
    for address in ("/", "/accuse", calm, *addresses):
        answer = desk.get(address)
        assert answer.status_code in {200, 403, 404, 409, 422}, f"{address}: {answer.text[:300]}"
        shown += "pwned" in answer.text
        if answer.headers["content-type"].startswith("text/html"):
            assert Obedient(answer.text).obeyed == [], address
        else:
            answer.json()
    assert shown >= 4


# --- backends ----------------------------------------------------------------------------


def services_that_attack(path: str, parameters: dict[str, str], headers: Any) -> tuple[int, Any]:
    if path == "/api/v3/services":
        return 200, {"services": [ATTACK, "../..", "a&b=c#d", ""]}
    return 200, {"result": attacked(write_traces([healthy_trace("ab" * 16)]))}


def no_text(path: str, parameters: dict[str, str], headers: Any) -> tuple[int, Any]:
    return 200, {"services": ["\ud800"], "traces": [{"traceID": "\ud800"}]}


def refusing(path: str, parameters: dict[str, str], headers: Any) -> tuple[int, Any]:
    return 500, (ATTACK * 9).encode()


def ids_that_attack(path: str, parameters: dict[str, str], headers: Any) -> tuple[int, Any]:
    return 200, {"traces": [{"traceID": ATTACK}], "services": {"a": ATTACK}}


@pytest.mark.parametrize("option", ["--jaeger", "--tempo"])
@pytest.mark.parametrize("answer", [services_that_attack, no_text, refusing, ids_that_attack])
def test_no_answer_of_a_backend_lets_an_attack_through(
    option: str,
    answer: Any,
    serve: Callable[[Any], Backend],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A service's name may be none that an address can hold; the trace is taken, or it is said."""
    words = ["import", option, serve(answer).url]
    done = CliRunner().invoke(app, words, env={"LAB_STATE_DIR": str(tmp_path)})
    assert done.exception is None or isinstance(done.exception, SystemExit | LabError), done
    said = done.output
    if isinstance(done.exception, LabError):
        assert failures.report(done.exception) in {2, 64}
        said += re.sub(r"\x1b\[\d*m", "", capsys.readouterr().err)
        assert "expected" in said
    assert dangerous(said) == []


@pytest.mark.parametrize("option", ["--query", "--service"])
def test_a_word_that_is_no_text_is_the_users_mistake(option: str, tmp_path: Path) -> None:
    words = ["import", "--tempo", "http://127.0.0.1:9", option, os.fsdecode(b"\xff")]
    done = CliRunner().invoke(app, words, env={"LAB_STATE_DIR": str(tmp_path)})
    assert "in UTF-8" in str(done.exception)
