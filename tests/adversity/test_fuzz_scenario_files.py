"""Scenario files that are wrong, hostile or no files at all: told at once, with file and line."""

from __future__ import annotations

import copy
import io
import os
import re
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lab.domain.scenario import Scenario
from lab.errors import ScenarioError
from lab.scenario_file import FILES, load, load_all, parse
from lab.settings import CHECKOUT
from tests.support.fuzz import fuzz

SCENARIOS = CHECKOUT / "scenarios"
TEXTS = [
    {name: (folder / name).read_text(encoding="utf-8") for name in FILES}
    for folder in sorted(SCENARIOS.iterdir())
    if folder.is_dir()
]
FEW_SECONDS = 20.0
"""What no file may cost, on however busy a machine; the worst takes a tenth of it on a calm one."""

TOLD = re.compile(
    r"(?P<file>scenarios/[^/]+(/[a-z]+\.(yaml|md))?)(:(?P<line>\d+))?:? \S.*", re.DOTALL
)


def read_or_refused(texts: dict[str, str], name: str = "a-case") -> Scenario | tuple[str, ...]:
    """The scenario, or what is wrong: sentences that point into the file and are short enough."""
    began = time.monotonic()
    try:
        found: Scenario | tuple[str, ...] = parse(texts, name)
    except ScenarioError as error:
        found = error.problems
        assert found
        for problem in found:
            told = TOLD.fullmatch(problem)
            assert told, problem
            assert int(told["line"] or 1) <= texts["scenario.yaml"].count("\n") + 2, problem
            assert len(problem) < 1000
            assert "Traceback" not in problem
    assert time.monotonic() - began < FEW_SECONDS
    return found


# --- mutations of the real scenarios -----------------------------------------------------

junk: st.SearchStrategy[Any] = st.one_of(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    st.sampled_from(["-5ms", "400", "5 parsecs", "1e9s", "10%", ">= 95", "unchanged", "15/h"]),
    st.sampled_from([10**30, -1, 0, float("nan"), float("inf"), [], {}, [[]], {"down": 3}]),
    st.sampled_from(["auth-nobody", "timeot", "<< ", "a\x1b[2J", "\x00", "x" * 5000]),
    st.dates(),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside ``value``."""
    inner: Iterable[tuple[Any, Any]] = value.items() if isinstance(value, dict) else ()
    inner = enumerate(value) if isinstance(value, list) else inner
    found = []
    for key, each in inner:
        found += [(*path, key), *places(each, (*path, key))]
    return found


@st.composite
def changed_scenarios(draw: st.DrawFn) -> dict[str, str]:
    """A real scenario with up to three of its fields dropped, doubled or replaced by junk."""
    texts = draw(st.sampled_from(TEXTS))
    document = YAML(typ="safe", pure=True).load(texts["scenario.yaml"])
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from(places(document)))
        owner = document
        for part in path:
            owner = owner[part]
        match draw(st.sampled_from(["drop", "junk", "double", "rename"])):
            case "drop":
                del owner[last]
            case "double" if isinstance(owner, list):
                owner.append(copy.deepcopy(owner[last]))
            case "rename" if isinstance(owner, dict):
                owner[draw(st.text(max_size=6) | st.integers() | st.none())] = owner.pop(last)
            case _:
                owner[last] = draw(junk)
    written = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = draw(st.booleans())
    yaml.dump(document, written)
    return texts | {"scenario.yaml": written.getvalue()}


SNIPPETS = [
    "\t", "\x00", "\x07", "\ufeff", "\u2028", "\r", "&a ", "*a", "<<: ", "<<: {title: x}\n",
    "!!set ", "!!python/object:os.system x", "-5ms", ".nan", "0x", "[", "]", "{", "}", "'", '"',
    '"\\', "? ", "? [a]\n: b\n", "|", ">-\n", "---\n", "...\n", "%YAML 9.9\n", "#", ": ", "- ",
    ",", "\n", "\n\n  ", "~: 1\n", "1: 1\n", "2001-01-01: 1\n", '"\\U00110000"', '"\\ud800"',
    "=: 1\n", "9" * 5000,
]  # fmt: skip


@st.composite
def torn_texts(draw: st.DrawFn) -> dict[str, str]:
    """A real scenario file in which an editor's accident happened, or several."""
    texts = draw(st.sampled_from(TEXTS))
    text = texts["scenario.yaml"]
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = start + draw(st.integers(0, 40))
        match draw(st.sampled_from(["cut", "insert", "repeat", "line twice"])):
            case "cut":
                text = text[:start] + text[end:]
            case "insert":
                text = text[:start] + draw(st.sampled_from(SNIPPETS)) + text[start:]
            case "repeat":
                text = text[:end] + text[start:end] + text[end:]
            case _:
                lines = text.splitlines(keepends=True) or [""]
                n = draw(st.integers(0, len(lines) - 1))
                text = "".join([*lines[: n + 1], *lines[n:]])
    return texts | {"scenario.yaml": text}


def test_the_real_scenarios_are_read_before_anything_is_changed_in_them() -> None:
    """The mutations start from files that are right."""
    assert all(isinstance(read_or_refused(texts), Scenario) for texts in TEXTS)


@fuzz(120)
@given(changed_scenarios())
def test_a_scenario_with_wrong_values_is_read_or_told_what_is_wrong(texts: dict[str, str]) -> None:
    """Whatever a field holds: a scenario, or every problem with its line."""
    read_or_refused(texts)


@fuzz(150)
@given(torn_texts())
def test_a_scenario_file_torn_in_an_editor_is_read_or_told_what_is_wrong(
    texts: dict[str, str],
) -> None:
    """Whatever text a file holds: a scenario, or every problem with its line."""
    read_or_refused(texts)


@fuzz(60)
@given(st.sampled_from(["briefing.md", "debrief.md"]), st.text(max_size=400))
def test_any_prose_is_read_or_told_what_is_wrong(name: str, text: str) -> None:
    """A briefing is whatever its author wrote, less what a terminal would obey."""
    found = read_or_refused(TEXTS[0] | {name: text})
    if isinstance(found, Scenario):
        shown = found.briefing + found.debrief
        assert not set("\x00\x07\x08\x1b\x7f\x9b") & set(shown)


# --- named cases -------------------------------------------------------------------------

REAL = (SCENARIOS / "db-timeout" / "scenario.yaml").read_text(encoding="utf-8")
ALIASES = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{to}: &{to} [{','.join([f'*{of}'] * 9)}]\n"
    for of, to in zip("abcdefgh", "bcdefghi", strict=True)
)


def with_field(field: str, value: str) -> str:
    """The real file with one more top-level field, or with that field written anew."""
    kept = re.sub(rf"^{field}:.*\n(?:[ #].*\n)*", "", REAL, flags=re.MULTILINE)
    return f"{kept}{field}: {value}\n"


def faults(*entries: str) -> str:
    """The real file with these faults."""
    return with_field("faults", f"[{', '.join(f'{{{entry}}}' for entry in entries)}]")


EDGE = "edge: auth-users_db"

WRONG: dict[str, tuple[str | bytes, str]] = {
    "a bomb of aliases": (ALIASES, ":1: expected no anchors and aliases; write the value out"),
    "an alias of itself": ("a: &a [*a]\n", ":1: expected no anchors"),
    "merge keys": (REAL + "<<: {titel: x}\n", "expected no merge key '<<'"),
    "a key twice": (REAL + "title: Again\n", 'found duplicate key "title"'),
    "bottomless lists": ("a: " + "[" * 60_000, ":1: expected at most 20 levels of nesting"),
    "bottomless keys": ("? " * 30_000, "expected at most 20 levels of nesting"),
    "a python object": ("a: !!python/object/apply:os.system [id]\n", ":1: expected no tags"),
    "no unit": (
        faults(f"{EDGE}, toxic: latency, latency: 400"),
        "faults[0].latency: expected a duration with its unit, such as 400ms or 1.5s, got 400",
    ),
    "a wrong unit": (
        with_field("windows", "{reference: 8s, crime: 12%, recovery: 8 s}"),
        "windows.crime: expected a duration with its unit",
    ),
    "an unknown unit": (
        with_field("windows", "{reference: 8min, crime: 12s, recovery: 8s}"),
        "windows.reference: expected a duration with its unit",
    ),
    "a negative time": (
        faults(f"{EDGE}, toxic: latency, latency: -5ms"),
        "faults[0].latency: must be >= 0ms, got -5ms",
    ),
    "a time without end": (
        with_field("windows", "{reference: 8s, crime: .inf, recovery: 8s}"),
        "windows.crime: expected a duration with its unit",
    ),
    "an unknown edge": (
        faults("edge: auth-user_db, toxic: timeout, timeout: 0ms"),
        "faults[0].edge: unknown edge 'auth-user_db'; did you mean auth-users_db",
    ),
    "overlapping faults": (
        faults(f"{EDGE}, down: true", f"{EDGE}, toxic: timeout, timeout: 1s"),
        "faults[1]: overlaps with another fault on auth-users_db",
    ),
    "a load beyond the machine": (
        with_field("load", "{users: 1000000, actors: {shopper: 1}}"),
        "load.users: expected less than or equal to 1000, got 1000000",
    ),
    "arrivals beyond the machine": (
        with_field("load", "{rate: 15000/s, actors: {shopper: 1}}"),
        "load.rate: must be <= 1000/s, got 15000/s",
    ),
    "a weight without measure": (
        with_field("load", "{users: 3, actors: {shopper: .inf}}"),
        "load.actors.shopper: expected less than or equal to 1000, got inf",
    ),
    "a count beyond Toxiproxy's": (
        faults(f"{EDGE}, toxic: limit_data, bytes: {10**20}"),
        "faults[0].bytes: must be <= 1000000000, got 1000",
    ),
    "a number as text": (
        with_field("difficulty", "'3'"),
        "difficulty: expected a valid integer, got '3'",
    ),
    "a flag as number": (
        with_field("difficulty", "true"),
        "difficulty: expected a valid integer, got True",
    ),
    "a number of 5000 digits": (
        with_field("min_requests", "9" * 5000),
        "expected at most 4000 characters in one value",
    ),
    "a variable of the machine's": (
        with_field("conditions", "{payments.LD_PRELOAD: x.so}"),
        "conditions.payments.LD_PRELOAD: unknown variable 'LD_PRELOAD'; expected one of",
    ),
    "a NUL in a setting": (
        with_field("conditions", r'{payments.OTEL_PROPAGATORS: "a\0b"}'),
        r"expected plain text, found the control character '\x00'",
    ),
    "an escape sequence": (
        with_field("title", r'"\e[2J"'),
        r"expected plain text, found the control character '\x1b'",
    ),
    "half a character": (with_field("title", r'"\ud800"'), "title: expected a valid string"),
    "no character": (with_field("title", r'"\U00110000"'), "chr() arg not in range"),
    "relations without end": (
        with_field("decoys", f"[{{why: x, span: {'{child: {parent: ' * 2}{{}}{'}}' * 2}}}]"),
        "expected at most 3 relations inside each other",
    ),
    "keys that are no names": (
        REAL + "? [a, b]\n: 1\n",
        "('a', 'b'): expected a field's name here",
    ),
    "a key of two lines": (REAL + '"a\\nb": 1\n', " 'a\\nb': unknown field 'a\\nb'"),
    "an empty key": (REAL + "~: 1\n", "None: expected a field's name here"),
    "tabs": (REAL + "hints:\n\t- x\n", "found character '\\t' that cannot start any token"),
    "a NUL byte": (REAL.encode() + b"\x00", "unacceptable character"),
    "an old encoding": (REAL.encode() + b"# caf\xe9\n", "expected UTF-8, found byte 0xe9 at"),
    "UTF-16": (REAL.encode("utf-16"), "expected UTF-8, found byte 0xff at 0"),
    "10 MB": (
        b"# filler\n" * (10 * 2**20 // 9),
        "scenario.yaml: expected at most 64 KiB, found more",
    ),
    "10 MB of values": (
        b"a: [" + b"1," * (5 * 2**20),
        "scenario.yaml: expected at most 64 KiB, found more",
    ),
    "many values": (
        "a: [" + "1," * 30_000 + "]",
        ":1: expected at most 3000 keys and values, found more",
    ),
    "one long value": (
        with_field("title", "a" * 60_000),
        "expected at most 4000 characters in one value",
    ),
    "nothing": (b"", "scenario.yaml: expected a text, found nothing"),
    "only comments": (
        "# soon\n# very soon\n",
        "expected a mapping of fields such as 'title: …' at the top",
    ),
    "two documents": (REAL + "---\n" + REAL, "but found another document"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A scenario's folder that is right."""
    made = tmp_path / "scenarios" / "a-case"
    made.mkdir(parents=True)
    for name in FILES:
        (made / name).write_bytes((SCENARIOS / "db-timeout" / name).read_bytes())
    return made


def refused(folder: Path) -> tuple[str, ...]:
    """What `load` says is wrong, soon, in little memory."""
    began = time.monotonic()
    tracemalloc.start()
    try:
        with pytest.raises(ScenarioError) as caught:
            load(folder)
        _, most_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert time.monotonic() - began < FEW_SECONDS
    assert most_bytes < 20 * 2**20
    return caught.value.problems


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_with_a_file_is_said_in_so_many_words(folder: Path, what: str) -> None:
    """Each of the ways in which scenarios are known to be wrong has its own sentence."""
    content, says = WRONG[what]
    content = content if isinstance(content, bytes) else content.encode()
    (folder / "scenario.yaml").write_bytes(content)

    problems = refused(folder)

    assert any(says in problem for problem in problems), problems
    assert (folder / "scenario.yaml").read_bytes() == content


@pytest.mark.parametrize(
    "mark", ["\ufeff", "%YAML 1.2\n---\n", "\r\n"], ids=["BOM", "YAML 1.2", "CRLF"]
)
def test_what_editors_add_is_no_problem(folder: Path, mark: str) -> None:
    """A byte-order mark, a directive and the line ends of another system change nothing."""
    path = folder / "scenario.yaml"
    path.write_text(REAL.replace("\n", mark) if mark == "\r\n" else mark + REAL, newline="")
    assert load(folder).truth == load(SCENARIOS / "db-timeout").truth


def test_all_files_are_told_of_at_once(folder: Path) -> None:
    """What is wrong with one file hides nothing of what is wrong with the others."""
    (folder / "scenario.yaml").write_text(with_field("difficulty", "9") + "titel: x\n")
    (folder / "briefing.md").write_bytes(b"It is dead.\nR\xe9ally.\n")
    (folder / "debrief.md").write_text("It was\nthe \x1b[31mbutler.\n")
    told = refused(folder)
    assert [problem.partition(": ")[0].partition(" ")[0] for problem in told] == [
        "scenarios/a-case/briefing.md",
        "scenarios/a-case/debrief.md:2",
        f"scenarios/a-case/scenario.yaml:{REAL.count(chr(10))}",
        f"scenarios/a-case/scenario.yaml:{REAL.count(chr(10)) + 1}",
    ]


def no_file(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.parent / "nowhere")


def a_link_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def an_endless_device(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/zero")


def unreadable(path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    path.chmod(0)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("become", "says"),
    [
        (no_file, "expected this file, found none"),
        (a_folder, "expected a regular file, found something else of this name"),
        (a_dangling_link, "expected this file, found none"),
        (a_link_to_itself, "expected a readable file, found: Too many levels of symbolic links"),
        (a_pipe, "expected a regular file, found something else of this name"),
        (an_endless_device, "expected a regular file, found something else of this name"),
        (unreadable, "expected a readable file, found: Permission denied"),
    ],
)
def test_what_is_no_readable_file_is_said_so_and_never_waited_for(
    folder: Path, name: str, become: Callable[[Path], None], says: str
) -> None:
    """A name alone makes no file: what would block, loop or never end is not opened."""
    become(folder / name)
    assert refused(folder) == (f"scenarios/a-case/{name}: {says}",)


def test_one_broken_scenario_hides_no_other(folder: Path) -> None:
    """A folder of scenarios tells the problems of each of them."""
    other = folder.parent / "b-case"
    other.mkdir()
    (folder / "scenario.yaml").write_bytes(b"\xff")
    with pytest.raises(ScenarioError) as caught:
        load_all(folder.parent)
    assert len(caught.value.problems) == 1 + len(FILES)


# --- the command line --------------------------------------------------------------------


@pytest.mark.parametrize("command", [("run", "a-case"), ("verify",)], ids=["run", "verify"])
@pytest.mark.parametrize(
    "what", ["a bomb of aliases", "10 MB of values", "an old encoding", "a wrong unit", "a pipe"]
)
def test_the_command_line_refuses_with_64_and_touches_nothing(
    folder: Path, tmp_path: Path, what: str, command: tuple[str, ...]
) -> None:
    """No stack is started for a scenario that is wrong, and nobody sees a traceback."""
    path = folder / "scenario.yaml"
    if what == "a pipe":
        a_pipe(path)
        before, says = None, "expected a regular file"
    else:
        content, says = WRONG[what]
        before = content if isinstance(content, bytes) else content.encode()
        path.write_bytes(before)
    state = tmp_path / "state"

    done = subprocess.run(
        [sys.executable, "-m", "lab", *command],
        env={
            "PATH": "/usr/bin:/bin",
            "LAB_STATE_DIR": str(state),
            "LAB_SCENARIOS_DIR": str(folder.parent),
        },
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        check=False,
        timeout=120,
    )

    assert done.returncode == 64, done.stderr
    assert done.stderr.startswith("lab: scenarios/a-case/scenario.yaml:")
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert not state.exists()
    assert before is None or path.read_bytes() == before
