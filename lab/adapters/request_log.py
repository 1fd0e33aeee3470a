"""The request log: what a load generator wrote about each request, one JSON object a line."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from lab.domain.load import Request, Window
from lab.errors import LoadError


def read_requests(path: Path) -> tuple[Request, ...]:
    """Every request of a log, in the order they ended.

    A last line without its newline is dropped: the process was killed while it wrote it.
    LoadError when any other line cannot be read.
    """
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines.pop()
    return tuple(_request(path, number, line) for number, line in enumerate(lines, start=1))


def request_line(request: Request) -> str:
    """``request`` as the line of a log that `read_requests` reads."""
    return json.dumps(asdict(request), separators=(",", ":")) + "\n"


def _request(path: Path, number: int, line: str) -> Request:
    try:
        fields = json.loads(line)
        return Request(**{**fields, "window": Window(fields["window"])})
    except (ValueError, TypeError, KeyError) as problem:
        raise LoadError(
            f"{path}:{number}: expected one request as JSON, got {line.strip()[:80]!r}"
        ) from problem
