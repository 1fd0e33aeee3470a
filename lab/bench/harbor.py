"""Tasks in the layout of Harbor: task.toml, instruction, environment, tests and solution.

After https://www.harborframework.com/docs/tasks: ``environment/`` is what the agent's machine is
built from; ``tests/`` and ``solution/`` come to it after the agent has ended.
"""

from __future__ import annotations

import ast
import io
import json
import shutil
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Template
from typing import Final

from lab.bench import grading
from lab.bench.scores import ANSWER, TASK_FILE
from lab.bench.tasks import Task
from lab.mcp import dossier
from lab.settings import CHECKOUT

FILES: Final = Path(__file__).with_name("harbor_files")
ENTRY: Final = "lab.mcp.__main__"
"""What runs in a task's machine; it and all that it imports go there."""

_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)


def write_task(folder: Path, task: Task, split: str) -> Path:
    """Write a task into a folder of its own below ``folder``, in the place of an older one."""
    place = folder / task.task_id
    if (place / "task.toml").is_file():
        shutil.rmtree(place)
    environment, tests, solution = (place / each for each in ("environment", "tests", "solution"))
    for each in (environment, tests, solution):
        each.mkdir(parents=True)
    told = {
        "task_id": task.task_id,
        "level": task.level,
        "split": split,
        "title": task.document["title"],
        "briefing": task.document["briefing"],
    }
    for name in ("task.toml", "instruction.md"):
        text = Template((FILES / name).read_text(encoding="utf-8")).substitute(told)
        (place / name).write_text(text, encoding="utf-8")
    shutil.copy(FILES / "Dockerfile", environment)
    shutil.copy(CHECKOUT / "lock" / "agents.txt", environment / "requirements.txt")
    (environment / "lab.zip").write_bytes(packed())
    dossier.write(task.document, environment / TASK_FILE)
    shutil.copy(environment / TASK_FILE, tests)
    (tests / ANSWER).write_text(json.dumps(task.answer), encoding="utf-8")
    shutil.copy(Path(grading.__file__), tests / "grade.py")
    _script("test.sh", tests)
    _script("solve.sh", solution)
    accusation = json.dumps(task.answer["oracle"], indent=2)
    (solution / "accusation.json").write_text(accusation + "\n", encoding="utf-8")
    return place


def _script(name: str, folder: Path) -> None:
    target = folder / name
    shutil.copy(FILES / name, target)
    target.chmod(0o755)


@cache
def packed() -> bytes:
    """The part of the lab that serves a task file, as a zip that Python imports from."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as pack:
        for name in sorted(modules_for(ENTRY)):
            path = _source(name)
            if path is not None:
                info = zipfile.ZipInfo(str(path.relative_to(CHECKOUT)), _LONG_AGO)
                info.compress_type = zipfile.ZIP_DEFLATED
                pack.writestr(info, path.read_bytes())
    return buffer.getvalue()


def modules_for(entry: str) -> frozenset[str]:
    """The lab's modules that ``entry`` imports when it runs, be it by another, and itself."""
    found: set[str] = set()
    waiting = [entry]
    while waiting:
        name = waiting.pop()
        if name in found or _source(name) is None:
            continue
        found.add(name)
        parts = name.split(".")
        waiting += [".".join(parts[:n]) for n in range(1, len(parts))]
        source = _source(name)
        assert source is not None
        waiting += _imported(ast.parse(source.read_text(encoding="utf-8")))
    return frozenset(found)


def _imported(tree: ast.AST) -> Iterator[str]:
    """Names of modules, and of what may be one; not what is imported for types alone."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and getattr(node.test, "id", "") == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)
        waiting += ast.iter_child_nodes(node)


def _source(name: str) -> Path | None:
    """The file of one of the lab's modules; None for what is none."""
    if name.partition(".")[0] != "lab":
        return None
    path = CHECKOUT.joinpath(*name.split("."))
    if (path / "__init__.py").is_file():
        return path / "__init__.py"
    return path.with_suffix(".py") if path.with_suffix(".py").is_file() else None
