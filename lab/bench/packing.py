"""That part of the lab which a task's machine gets: what serves a task file, and no more."""

from __future__ import annotations

import ast
import io
import zipfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

from lab.settings import CHECKOUT

ENTRY: Final = "lab.mcp.__main__"
"""What runs in a task's machine; it and all that it imports go there."""

_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)


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
        source = _source(name)
        if name in found or source is None:
            continue
        found.add(name)
        parts = name.split(".")
        waiting += [".".join(parts[:n]) for n in range(1, len(parts))]
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
