"""``--spans-update``: writes the trees that tests expect anew, in the files of the tests."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from lab.testing.source import TraceSet
from lab.testing.tree import INDENT, Node, write

if TYPE_CHECKING:
    import pytest


_HERE: Final = Path(__file__).parent
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


_CALLS: Final = frozenset({"match_tree", "to_match_tree"})


def rewritten(source: bytes, trees: dict[ast.Constant, str]) -> bytes:
    """``source`` with each literal as its tree; nothing else of it changes, or ValueError."""
    newline = b"\r\n" if b"\r\n" in source else b"\n"
    lines = source.splitlines(keepends=True)
    for literal in sorted(trees, key=lambda each: (each.lineno, each.col_offset), reverse=True):
        assert literal.end_lineno is not None
        assert literal.end_col_offset is not None
        first, last = literal.lineno - 1, literal.end_lineno - 1
        before = lines[first][: literal.col_offset]
        after = lines[last][literal.end_col_offset :]
        text = _literal(trees[literal], _indent_of(literal, lines[first]))
        lines[first : last + 1] = [before + text.encode().replace(b"\n", newline) + after]
    changed = b"".join(lines)
    module = ast.parse(source)
    for literal, tree in trees.items():
        for node in literals(module, literal.lineno, str(literal.value)):
            node.value = ast.literal_eval(_literal(tree, _indent_of(literal, b"")))
    shapes = (ast.dump(_without_indents(each)) for each in (module, ast.parse(changed)))
    if next(shapes) != next(shapes):
        raise ValueError("expected that nothing but the trees changes; nothing was written")
    return changed


def literals(module: ast.Module, line: int, text: str) -> Iterator[ast.Constant]:
    """The plain texts ``text`` that a call at ``line`` is given as its tree."""
    for node in ast.walk(module):
        if not isinstance(node, ast.Call) or not node.lineno <= line <= (node.end_lineno or 0):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else None
        name = node.func.id if isinstance(node.func, ast.Name) else name
        if name in _CALLS:
            given = (*node.args, *(each.value for each in node.keywords))
            yield from (
                each for each in given if isinstance(each, ast.Constant) and each.value == text
            )


def _without_indents(module: ast.Module) -> ast.Module:
    """A copy in which trees are compared by their words; how far they are indented is style."""
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = "\n".join(map(str.strip, node.value.strip().splitlines()))
    return module


def _indent_of(literal: ast.Constant, line: bytes) -> str:
    """How far the tree is indented now, or else one step more than its statement."""
    for each in str(literal.value).splitlines()[1:]:
        if each.strip():
            return each[: len(each) - len(each.lstrip())]
    return line[: len(line) - len(line.lstrip())].decode() + INDENT


def _literal(tree: str, indent: str) -> str:
    safe = tree.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    body = "\n".join(f"{indent}{line}" for line in safe.splitlines())
    return f'"""\n{body}\n{indent}"""'


def replace(path: Path, content: bytes) -> None:
    """Write ``content`` over the file in one step; who may read it stays as it was."""
    part = path.with_name(f".{path.name}.part-{os.getpid()}")  # A name that nobody's file has.
    part.write_bytes(content)
    part.chmod(path.stat().st_mode)
    part.replace(path)
