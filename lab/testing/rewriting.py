"""Python source in which the text of expected trees is written anew, and nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from lab.testing.tree import INDENT

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
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.chmod(path.stat().st_mode)
    part.replace(path)
