"""The real command in a process of its own, in whatever surroundings a user may start it."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from lab import __main__ as lab_main
from lab import cli
from lab.adapters.cases.archive import FolderArchive
from lab.commands.table import PANELS
from lab.settings import CHECKOUT
from tests.support.lab_under_test import POISON
from tests.support.sample_case import sample_case

DOCUMENTED = {0, 1, 2, 64, 129, 130, 143}
"""Every exit code of the list in `lab.cli` but the one that stands for a bug."""

NEEDS_NO_STACK = [
    "--help",
    "--version",
    "nosuch",
    "cases",
    "mechanisms",
    "briefing",
    "traces",
    "traces --json",
    "trace {trace} --attributes",
    "twin {trace}",
    "trace {trace} {trace}",
    "signals",
    "logs",
    "contrast",
    "map",
    "hint 1",
    "accuse --nobody",
    "accuse {trace} {span} --mechanism timeout --json",
    "journal",
    "debrief --reveal",
    "proof --reveal",
    "schema",
    "lint db-timeout",
    "doctor",
    "tools",
    "status",
    "heal",
    "load --users 0",
    "run nosuch",
    "export --force --to {folder}/x.case.zip",
    "import {folder}/nothing",
    "replay db-timeout-1 --to http://127.0.0.1:9",
    "import -",
    "exhibit",
    "detect",
    "detect --anyway --json",
    "practice nosuch --no-desk",
    "open {folder}/nothing",
    "record nosuch",
    "verify nosuch",
    "contrast nosuch",
    "instrumentation nosuch",
    "promote",
    "reference",
    "bench export {folder}/tasks --case nosuch",
    "new No",
    "down",
    "stop-harm",
    "allow-harm",
]
"""What every command does without a stack: its work, or a refusal."""

NOT_HERE = {
    "up": "starts the stack",
    "desk": "serves until Ctrl-C",
    "mcp": "serves until its client goes",
    "grafana": "waits for a stack, and starts Grafana",
    "clean": "asks once there is something that others left",
}
"""Command → why it is not among them."""

SOME = ["--help", "nosuch", "traces", "trace {trace} --attributes", "heal", "schema"]
"""Of each way to print one: a page, a refusal, tables, and plain text."""

CLOSED = {
    **dict.fromkeys(NEEDS_NO_STACK, (">&-", "2>&-")),
    **dict.fromkeys(SOME, (">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-")),
}
FULL = {"stdout": ">/dev/full", "stderr": "2>/dev/full", "both": ">/dev/full 2>/dev/full"}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with one case."""
    folder = tmp_path_factory.mktemp("state")
    FolderArchive(folder / "cases").seal(sample_case())
    return folder


def environment(state: Path, **more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "LAB_STATE_DIR": str(state), "LAB_PORT_OFFSET": "8000", **more}


def words_of(command: str, state: Path) -> list[str]:
    case = sample_case()
    trace = next(iter(case.evidence.traces.values()))
    span = next(iter(trace)).span_id
    filled = command.format(trace=trace.trace_id, span=span, folder=state)
    return [sys.executable, "-m", "lab", *filled.split()]


def run(command: str, state: Path, streams: str = "", **more: str) -> tuple[int, str]:
    """Exit code and standard error."""
    # Each wrong accusation puts the next one off, in the end for as long as a command may take.
    for ledger in state.glob("cases/*/accusations.jsonl"):
        ledger.unlink()
    done = subprocess.run(
        ["/bin/sh", "-c", f"{shlex.join(words_of(command, state))} {streams}"],
        env=environment(state, **more),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        cwd=CHECKOUT,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stderr.decode(errors="replace")


def assert_no_bug(command: str, code: int, told: str) -> None:
    assert code in DOCUMENTED, (command, code, told)
    for word in ("Traceback", "Exception ignored", "a bug of the lab"):
        assert word not in told, (command, told)


@cache
def usual(command: str, state: Path) -> int:
    """The exit code that the command has where nothing is odd."""
    return run(command, state)[0]


@pytest.mark.parametrize("command", CLOSED)
def test_a_closed_stream_is_no_bug(command: str, state: Path) -> None:
    """The work is done all the same, and ends in the same way."""
    for streams in CLOSED[command]:
        code, told = run(command, state, streams)
        assert_no_bug(f"{command} {streams}", code, told)
        assert code == usual(command, state)


@pytest.mark.parametrize("command", SOME)
@pytest.mark.parametrize("streams", FULL.values(), ids=FULL)
def test_a_full_disk_behind_a_stream_is_no_bug(command: str, streams: str, state: Path) -> None:
    """Where there is no place for the answer it says so, with the code of the disk."""
    code, told = run(command, state, streams)
    assert_no_bug(command, code, told)
    assert code in {2, usual(command, state)}


def test_what_is_printed_to_a_closed_stream_reaches_no_file(state: Path, tmp_path: Path) -> None:
    """The number of a closed stream goes to the next file that is opened, such as this one."""
    target = tmp_path / "out.case.zip"
    code, _ = run(f"export --to {target}", state, ">&- 2>&-")
    assert code == 0
    assert target.read_bytes().startswith(b"PK")
    assert b"out.case.zip" not in target.read_bytes()


def test_every_command_is_tried_or_has_a_reason() -> None:
    """A new one is found here."""
    known = {entry.name for entries in PANELS.values() for entry in entries}
    tried = {command.split()[0] for command in NEEDS_NO_STACK}
    assert known <= tried | NOT_HERE.keys()
    assert not tried & NOT_HERE.keys()


LETTERS = [
    {"PYTHONIOENCODING": "ascii"},
    {"PYTHONIOENCODING": "cp437"},
    {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
]


@pytest.mark.parametrize("locale", LETTERS, ids=str)
@pytest.mark.parametrize("command", [*SOME, "map", "debrief --reveal", "hint"])
def test_a_terminal_that_lacks_a_letter_is_no_bug(
    command: str, locale: dict[str, str], state: Path
) -> None:
    """It shows a question mark there."""
    code, told = run(command, state, **locale)
    assert_no_bug(command, code, told)
    assert code == usual(command, state)


SIZES = ["0", "abc", "", "-5", "1", "7", "1000", "1001", "1000000000", "9" * 5000, "²"]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("command", ["--help", "traces", "trace {trace} --attributes"])
def test_a_terminal_of_any_size_is_no_bug(command: str, size: str, state: Path) -> None:
    """Nor does a size that no terminal has take a minute, or all memory."""
    code, told = run(command, state, COLUMNS=size, LINES=size)
    assert_no_bug(command, code, told)
    assert code == usual(command, state)


@pytest.mark.parametrize("command", NEEDS_NO_STACK)
def test_what_libraries_warn_of_ends_nothing(command: str, state: Path) -> None:
    """``PYTHONWARNINGS=error`` is for who develops a library, not for who uses it."""
    code, told = run(command, state, PYTHONWARNINGS="error")
    assert_no_bug(command, code, told)
    assert code == usual(command, state)


def test_the_way_to_another_database_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here, and so in all that is started from here."""
    for name, text in POISON.items():
        monkeypatch.setenv(name, text)
    lab_main._forget_other_databases()
    assert [name for name in os.environ if name.startswith("PG")] == []


@pytest.mark.parametrize(
    ("command", "settings"),
    [
        ("cases", {"LAB_PORT_OFFSET": "99999"}),
        ("status", {"LAB_WARDEN_URL": "http://127.0.0.1:99999"}),
        ("load --web-port 99999", {}),
        *(
            (f"{command} {address}{more}", {})
            for address in (
                "http://127.0.0.1:99999", "http://127.0.0.1:abc", "http://127.0.0.1:-1",
                "http://[::1", "http://xn--", "http://127.0.0.1/\x01",
                "ftp://127.0.0.1", "127.0.0.1",
            )
            for command, more in (
                ("replay db-timeout-1 --to", ""), ("import --from 1h --tempo", ""),
            )
        ),
        *(
            ("replay db-timeout-1 --to http://192.0.2.1:4318", {name: proxy})
            for name in ("HTTP_PROXY", "ALL_PROXY")
            for proxy in (
                "http://127.0.0.1:99999", "foo://x", "socks5://127.0.0.1:1", "http://[::1", "\x01",
            )
        ),
        (
            "replay db-timeout-1 --to https://192.0.2.1:4318",
            {"SSL_CERT_FILE": "/nonexistent/certificates.pem"},
        ),
        *(
            (f"{command} http://127.0.0.1:9 --header {header}", {})
            for header in (
                "Content-Length:5", "Transfer-Encoding:x", "a(b):1", ":v", "é:1", "x:\x01",
            )
            for command in ("replay db-timeout-1 --to", "import --from 1h --tempo")
        ),
    ],
)  # fmt: skip
def test_a_port_an_address_or_a_header_that_is_none_is_the_users(
    command: str,
    settings: dict[str, str],
    state: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Refused before anything is sent, in a sentence that says what was expected.

    In this process: what is wrong is in the words, and not in where it was started.
    """
    monkeypatch.setattr("sys.argv", words_of(command, state)[2:])
    for name, text in environment(state, **settings).items():
        monkeypatch.setenv(name, text)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr().err
    assert ended.value.code == 64
    assert_no_bug(command, 64, told)
    assert "expected" in told


WORDS = [
    "", ".", "-1", "nan", "²", "x" * 5000, "[/bold]", "a\nb", "\u202e", "\x1b]0;pwned\x07",
    os.fsdecode(b"\xff"), "nobody/x",
]  # fmt: skip
"""What nobody means: no path among them leads out of the folder that one stands in."""

PLACES = [
    *("briefing {}", "traces {}", "traces --route {}", "traces --limit {}", "traces --outcome {}"),
    *("trace {}", "trace {trace} --case {}", "twin {}", "map {}", "mechanisms {}", "hint {}"),
    *("accuse {}", "accuse {trace} {} --mechanism timeout", "accuse {trace} {span} --mechanism {}"),
    *("debrief {}", "detect {}", "detect --reference {}", "exhibit {}", "proof {}", "journal {}"),
    *("export {}", "export --to {}", "export --force --otlp --to {}", "import {folder}/{}"),
    *("import --tempo {}", "import --jaeger {}", "import --jaeger http://127.0.0.1:9 --since {}"),
    *("import --tempo http://127.0.0.1:9 --query {}", "import --otlp {folder}/{}"),
    *("import --jaeger http://127.0.0.1:9 --service {}", "replay {} --to http://127.0.0.1:9"),
    *("replay db-timeout-1 --to {}", "verify {}"),
    *("tools {}", "nosuch{}"),
]


@pytest.mark.parametrize("place", PLACES)
def test_no_word_of_a_user_is_a_bug(
    place: str,
    state: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nor is it obeyed by a terminal, whoever quotes it."""
    monkeypatch.chdir(tmp_path)
    for name, text in environment(state).items():
        monkeypatch.setenv(name, text)
    folder = tmp_path / "files"
    folder.mkdir()
    case = sample_case()
    trace = next(iter(case.evidence.traces.values()))
    for word in WORDS:
        known = {"trace": trace.trace_id, "span": next(iter(trace)).span_id, "folder": folder}
        words = [each.format(word, **known) for each in place.split()]
        monkeypatch.setattr("sys.argv", ["lab", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        told = capsys.readouterr()
        assert_no_bug(f"{words}", int(ended.value.code or 0), told.err)
        assert "\u202e" not in told.out + told.err, words
        assert "\x1b]" not in told.out + told.err, words


IMPORTED = [
    "typer.core", "typer", "lab.commands.table", "lab.cli", "lab.settings", "lab.bootstrap",
    "lab.commands.common", "rich.table",
]  # fmt: skip
"""Some of what `lab traces` needs, first to last."""

INSTALLED = Path(sys.executable).with_name("lab")


@pytest.mark.parametrize(
    "command", [(sys.executable, "-m", "lab"), (INSTALLED,)], ids=["-m", "lab"]
)
@pytest.mark.parametrize("module", IMPORTED)
def test_ctrl_c_while_python_imports_leaves_without_a_traceback(
    module: str, command: tuple[str | Path, ...], state: Path
) -> None:
    """At the moment that module has been imported, as Python itself tells."""
    process = subprocess.Popen(
        [*command, "traces"],
        env=environment(state, PYTHONPROFILEIMPORTTIME="1"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        cwd=CHECKOUT,
    )
    assert process.stderr is not None
    told = []
    for line in process.stderr:
        told.append(line)
        if line.rpartition("|")[2].strip() == module:
            process.send_signal(signal.SIGINT)
            break
    else:
        pytest.fail(f"{module} was not imported")
    told += list(process.stderr)
    assert process.wait(timeout=20) == 130, told[-3:]
    assert not [line for line in told if "Traceback" in line or "Exception ignored" in line]


def test_the_installed_command_begins_where_ctrl_c_is_heard() -> None:
    """An environment that was made before needs `make tools` once more."""
    assert " -P -m lab " in INSTALLED.read_text()
