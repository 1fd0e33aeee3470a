"""The lines drawn before the rows of a tree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from lab.domain.rows import Row

DEEPEST: Final = 24
"""Deeper than this, guides give way to a number: no terminal is wide enough."""


def with_guides(rows: Iterable[Row]) -> Iterator[tuple[Row, str, str]]:
    """Each row with what stands before it, and before its further lines."""
    below: dict[int, str] = {}
    for row in rows:
        guides, further = "", ""
        if row.depth > DEEPEST:
            guides, further = f"⋯{row.depth} ", "  "
        elif row.depth:
            above = below[row.depth - 1]
            guides = above + ("└ " if row.is_last else "├ ")
            further = above + ("  " if row.is_last else "│ ")
        below[row.depth] = further
        yield row, guides, further
