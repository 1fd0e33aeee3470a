"""The house: rooms small enough to see, each with its tests, and signs that lead to a file."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Final

import pytest

from lab.commands.table import PANELS
from lab.settings import CHECKOUT
from tests.support.recorded_cases import recorded

MOST_MODULES_OF_A_ROOM: Final = 32
MOST_LINES_OF_A_MODULE: Final = 450
MOST_LINES_OF_A_FUNCTION: Final = 64
MOST_WITH_ONE_IMPORTER: Final = 0.24
MEDIAN_LINES_OF_A_FUNCTION: Final = 6
MEDIAN_LINES_OF_A_MODULE: Final = 103.5

SOURCES: Final = tuple(sorted((CHECKOUT / "lab").rglob("*.py")))
TREES: Final = {path: ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
UNIT_TESTS: Final = tuple(sorted((CHECKOUT / "tests" / "unit").rglob("test_*.py")))
ABOUT_ALL: Final = frozenset(
    {"test_architecture.py", "test_code_rules.py", "test_seen_ledger.py", "test_sharing.py"}
)
"""Tests of the whole of ``lab/``, or of the tests, and of no room."""


def name_of(path: Path) -> str:
    """The module's dotted name."""
    parts = path.relative_to(CHECKOUT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES: Final = frozenset(name_of(path) for path in SOURCES)


def imported_by(path: Path) -> Iterator[str]:
    """The modules of ours that a module imports, wherever in it; none is imported relatively."""
    for node in ast.walk(TREES[path]):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names if each.name in MODULES)
        elif isinstance(node, ast.ImportFrom) and node.module in MODULES:
            for each in node.names:
                inner = f"{node.module}.{each.name}"
                yield inner if inner in MODULES else node.module


def functions() -> Iterator[tuple[str, int]]:
    """Every function with its length in lines."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield f"{path.name}:{node.name}", node.end_lineno - node.lineno + 1


def test_no_room_holds_more_than_one_can_see() -> None:
    """A folder with more files than these is several rooms with no doors."""
    rooms = Counter(path.parent for path in SOURCES if path.name != "__init__.py")
    assert {str(room): n for room, n in rooms.items() if n > MOST_MODULES_OF_A_ROOM} == {}


def test_no_module_or_function_is_longer_than_one_reads() -> None:
    """And half of all functions are a few lines."""
    modules = {path: len(path.read_text().splitlines()) for path in SOURCES}
    lengths = dict(functions())
    assert [path for path, n in modules.items() if n > MOST_LINES_OF_A_MODULE] == []
    assert median(modules.values()) <= MEDIAN_LINES_OF_A_MODULE
    assert [name for name, n in lengths.items() if n > MOST_LINES_OF_A_FUNCTION] == []
    assert median(n for _, n in functions()) <= MEDIAN_LINES_OF_A_FUNCTION


def test_few_modules_are_slices_of_another() -> None:
    """A module with one importer is read by jumping; some guard a rule, most should not be."""
    importers = Counter(
        imported for path in SOURCES for imported in frozenset(imported_by(path)) - {name_of(path)}
    )
    alone = sorted(name for name in MODULES if importers[name] == 1)
    assert len(alone) / len(MODULES) <= MOST_WITH_ONE_IMPORTER, alone


@pytest.mark.parametrize("path", UNIT_TESTS, ids=lambda path: path.name)
def test_every_unit_test_lies_where_its_file_does(path: Path) -> None:
    """``tests/unit/<room>/test_<file>*.py`` is of ``lab/<room>/<file>.py``, or of ``<room>/``."""
    room = path.parent.relative_to(CHECKOUT / "tests" / "unit")
    if path.name in ABOUT_ALL or (room.name and (CHECKOUT / room).is_dir()):
        return
    tested = path.stem.removeprefix("test_")
    names = [each.stem for each in (CHECKOUT / "lab" / room).iterdir()]
    assert any(tested == name or tested.startswith(f"{name}_") for name in names)


def test_where_to_begin_names_files_that_exist() -> None:
    """Whoever follows the table of `ARCHITECTURE.md` finds each file of it."""
    text = (CHECKOUT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| .+ \| (`.+) \|$", text.partition("## Where to begin")[2], re.MULTILINE)
    paths = [path for row in rows for path in re.findall(r"`([^`]+)`", row)]
    assert len(rows) >= 12
    assert [path for path in paths if not (CHECKOUT / path).is_file()] == []


def imported_when(*words: str, state_dir: Path) -> frozenset[str]:
    """The modules that ``lab <words>`` has imported at its end."""
    code = (
        "import sys\n"
        "from lab.cli import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print('MODULES', *sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "LAB_STATE_DIR": str(state_dir)},
        capture_output=True,
        text=True,
        check=True,
    )
    return frozenset(done.stdout.rpartition("MODULES ")[2].split())


SLOW: Final = frozenset(
    {"anyio", "asyncio", "fastapi", "httpx", "locust", "psutil", "pydantic_settings", "ruamel.yaml"}
    | {"lab.scenario_file"}
)


def test_help_imports_no_command(tmp_path: Path) -> None:
    """The list of commands is a table; the modules behind it wait until they are called."""
    found = imported_when("--help", state_dir=tmp_path)
    commands = {f"lab.commands.{each.module}" for panel in PANELS.values() for each in panel}
    assert "lab.commands.table" in found
    assert not found & (SLOW | commands)


@pytest.mark.parametrize(
    "words",
    [*("trace ID", "traces", "cases", "logs", "signals", "contrast", "mechanisms")],
)
def test_whoever_only_reads_waits_for_nothing_else(words: str, recorded_case: Path) -> None:
    """No scenario nor its language, no HTTP, no event loop's helpers, no Markdown."""
    trace_id = next(iter(recorded("db-timeout").evidence.traces))
    found = imported_when(*words.replace("ID", trace_id).split(), state_dir=recorded_case)
    assert "lab.settings" in found
    assert not found & (SLOW | {"lab.domain.scenario", "rich.markdown", "typer.rich_utils"})


@pytest.fixture(scope="module")
def recorded_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with one recorded case in it."""
    state = tmp_path_factory.mktemp("state")
    file = CHECKOUT / "scenarios" / "db-timeout" / "recorded.case.zip"
    subprocess.run(
        [sys.executable, "-m", "lab", "import", str(file)],
        env={**os.environ, "LAB_STATE_DIR": str(state)},
        cwd=CHECKOUT,
        check=True,
    )
    return state


def test_every_command_of_the_list_is_there_and_listed_once() -> None:
    """And its line fits a terminal of 80 columns beside the longest name."""
    entries = [each for panel in PANELS.values() for each in panel]
    assert len({each.name for each in entries}) == len(entries)
    for each in entries:
        assert each.command().callback is not None
        assert len(each.line) <= 64
