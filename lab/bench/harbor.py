"""Tasks in the layout of Harbor: task.toml, instruction, environment, tests and solution.

After https://www.harborframework.com/docs/tasks: ``environment/`` is what the agent's machine is
built from; ``tests/`` and ``solution/`` come to it after the agent has ended.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from string import Template
from typing import Any, Final

from lab.adapters import own_folders
from lab.bench import grading
from lab.bench.packing import packed
from lab.bench.tasks import Task
from lab.errors import UsageError
from lab.frozen import dataclass
from lab.mcp import task_file
from lab.settings import CHECKOUT

ANSWER: Final = "answer.json"
TASK_FILE: Final = "task.json.gz"

FILES: Final = Path(__file__).with_name("harbor_files")


def write_task(folder: Path, task: Task, split: str) -> Path:
    """Write a task into a folder of its own below ``folder``, in the place of an older one.

    NotOurs where somebody else's folder has its place.
    """
    place = folder / task.task_id
    if place.exists():
        own_folders.remove(place)
    folder.mkdir(parents=True, exist_ok=True)
    own_folders.make(place, is_private=False)
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
    task_file.write(task.document, environment / TASK_FILE)
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


@dataclass(frozen=True)
class Graded:
    """A task of an exported folder: its answer, and how to read what is asked.

    A hundred task files at once would take some gigabytes of memory.
    """

    task_id: str
    answer: Mapping[str, Any]
    load: Callable[[], Mapping[str, Any]]


def exported(folder: Path) -> Iterator[Graded]:
    """The tasks of an export, by name; UsageError where there are none."""
    found = sorted(folder.rglob(f"tests/{ANSWER}"))
    if not found:
        raise UsageError(
            f"expected a folder of `lab bench export`, found no tests/{ANSWER} below {folder}"
        )
    for path in found:
        answer = json.loads(path.read_text(encoding="utf-8"))
        yield Graded(
            answer["task"], answer, partial(task_file.document_of, path.with_name(TASK_FILE))
        )
