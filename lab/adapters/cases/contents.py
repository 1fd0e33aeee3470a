"""What files say, wherever they lie: a file that only moved says the same as before."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_DIGITS: Final = 10
_NOT_TOLD: Final = frozenset({"__pycache__"})


def digest(files: Iterable[Path]) -> str:
    """A short hash of what all ``files`` say, in no order; files that are not there say nothing.

    Of Python that is every statement of a module but its docstring and its imports, so that
    neither moving a file, nor joining two, nor a comment makes another digest.
    """
    said = sorted(
        hashlib.sha256(piece).digest() for path in files if path.is_file() for piece in _said(path)
    )
    return hashlib.sha256(b"".join(said)).hexdigest()[:_DIGITS]


def files_below(root: Path, names: Iterable[str]) -> Iterator[Path]:
    """The files among ``names``, and all those in the folders among them."""
    for name in names:
        path = root / name
        if path.is_dir():
            yield from (each for each in path.rglob("*") if not _NOT_TOLD & set(each.parts))
        else:
            yield path


def _said(path: Path) -> Iterator[bytes]:
    content = path.read_bytes()
    if path.suffix != ".py":
        yield content
        return
    for statement in ast.parse(content).body:
        if not _is_aside(statement):
            yield ast.dump(statement).encode(errors="replace")


def _is_aside(statement: ast.stmt) -> bool:
    """Whether it is an import, one for types alone, or a text that nobody runs."""
    if isinstance(statement, ast.If):
        return all(_is_aside(each) for each in statement.body)
    text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return text or isinstance(statement, ast.Import | ast.ImportFrom)
