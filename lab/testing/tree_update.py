"""``--spans-update``: writes the trees that tests expect anew, in the files of the tests."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from lab.testing.rewriting import literals, replace, rewritten
from lab.testing.source import TraceSet
from lab.testing.tree import Node, write

if TYPE_CHECKING:
    import pytest

_HERE: Final = Path(__file__).parent
_CALLS: Final = frozenset({"match_tree", "to_match_tree"})
_updaters: Final[list[Updater]] = []

Place = tuple[str, int, str]
"""A test's file, the line that is being run in it, and the tree as it is written there."""


def written_anew(text: str, expected: Node, found: TraceSet) -> bool:
    """Whether the tree will be written anew in the test that is running, as ``found`` is."""
    if not _updaters:
        return False
    return _updaters[-1].note(text, write(found.traces, like=expected))


class Updater:
    """Collects trees while tests run, and writes them into their files once all have run."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._trees: dict[Place, set[str]] = {}
        self._told: list[str] = []
        _updaters.append(self)

    @classmethod
    def of(cls, config: pytest.Config) -> Updater:
        """The one of a session; UsageError where several processes would write one file."""
        if hasattr(config, "workerinput") or getattr(config.option, "numprocesses", None):
            import pytest

            raise pytest.UsageError("--spans-update: expected one process, got several; say -n 0")
        return cls(config.rootpath)

    def note(self, text: str, tree: str) -> bool:
        """Remember what the tree at the caller's line is to be; False if there is none."""
        frame = _caller()
        if frame is None or not Path(frame.f_code.co_filename).is_relative_to(self._root):
            return False
        place = frame.f_code.co_filename, frame.f_lineno, text
        self._trees.setdefault(place, set()).add(tree)
        return True

    def pytest_sessionfinish(self, session: Any) -> None:
        """Write every file once; a tree that could not be written makes the session fail."""
        _updaters.remove(self)
        for file in sorted({place[0] for place in self._trees}):
            problems = self._update(Path(file))
            self._told += problems
            if problems:
                session.exitstatus = 1
                session.testsfailed += len(problems)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say what was written, and what was not."""
        for line in self._told:
            terminalreporter.write_line(f"--spans-update: {line}")

    def _update(self, path: Path) -> list[str]:
        trees = {place: found for place, found in self._trees.items() if place[0] == str(path)}
        source = path.read_bytes()
        places: dict[ast.Constant, str] = {}
        problems = []
        module = ast.parse(source)
        for (file, line, text), found in trees.items():
            constants = list(literals(module, line, text))
            if len(constants) != 1 or len(found) != 1:
                why = "one run differs from another" if len(found) != 1 else "no plain text there"
                problems.append(f"{file}:{line}: left as it is, for {why}")
            else:
                places[constants[0]] = found.pop()
        try:
            if places:
                replace(path, rewritten(source, places))
                self._told.append(f"{len(places)} written in {path}")
        except (OSError, ValueError) as error:
            problems.append(f"{path}: left as it is: {error}")
        return problems


def _caller() -> FrameType | None:
    """The frame of the test, above all that is ours."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and Path(frame.f_code.co_filename).parent == _HERE:
        frame = frame.f_back
    return frame
