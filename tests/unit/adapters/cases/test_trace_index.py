"""The index of a stranger's traces: each field in its place, and nothing of one that is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.adapters.cases.own_note import write_note
from lab.adapters.cases.trace_index import INDEX, Entry, _made_of, read_index, write_index
from lab.domain.rows import TraceSummary

SUMMARY = TraceSummary(
    trace_id="a" * 32,
    service="frontend",
    name="GET /",
    start_ns=3,
    duration_ms=4.5,
    spans=5,
    errors=6,
    own_errors=7,
    unfinished=8,
    is_whole=True,
    services=("frontend", "cart"),
    linked=("b" * 32,),
    root_ms=9.5,
    status=503,
)
"""Every field another one."""


def test_each_field_is_read_back_from_its_place(tmp_path: Path) -> None:
    """A row has no names, so a field that moves would become another one."""
    entry = Entry(SUMMARY, at=10, length=11)
    assert len(set(map(str, SUMMARY))) == len(SUMMARY)
    write_index(tmp_path, [entry], "0" * 64)
    assert read_index(tmp_path, "0" * 64) == (entry,)


@pytest.mark.parametrize(
    "row",
    [
        [],
        {},
        "row",
        "sixteen letters.",
        dict.fromkeys(map(str, range(16))),
        5,
        ["a" * 32, "frontend", "GET /", 3, 4.5, 5, 6, 7, 8, True, [], [], 9.5, 200, 10],
        ["a" * 32, "frontend", "GET /", 3, 4.5, 5, 6, 7, 8, True, [], [], 9.5, 200, 10, 11, 12],
        ["a" * 32, "frontend", "GET /", 3, 4.5, 5, 6, 7, 8, True, 1, [], 9.5, 200, 10, 11],
    ],
    ids=[
        "empty",
        "map",
        "text",
        "long text",
        "long map",
        "number",
        "one less",
        "one more",
        "services",
    ],
)
def test_a_row_of_another_shape_is_believed_in_no_part(tmp_path: Path, row: Any) -> None:
    """Then all traces are read anew, as where there is no index."""
    rows = json.dumps(row) + "\n"
    write_note(tmp_path / INDEX, rows, _made_of("0" * 64))
    assert read_index(tmp_path, "0" * 64) is None
