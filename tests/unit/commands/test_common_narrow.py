"""A terminal that is narrower than a table: no number is cut, and no column is gone.

In processes of their own, because a console takes its width once.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from lab.settings import CHECKOUT

CASE: Final = "card-declined"
READING: Final = (
    *("traces --limit 3", "traces --group-by status", "traces --background"),
    *("signals", "contrast", "map", "cases", "hint", "logs", "proof --reveal", "detect --anyway"),
)
NUMBER: Final = re.compile(r"[+-]?\d[\d.,]*(?:[a-zµ]+|%)?")


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state folder with the recorded case."""
    found = tmp_path_factory.mktemp("narrow") / ".lab"
    said(f"import scenarios/{CASE}/recorded.case.zip", found, 200)
    return found


def said(command: str, state: Path, columns: int) -> str:
    """What the command prints in a terminal so wide."""
    done = subprocess.run(
        [sys.executable, "-m", "lab", *command.split()],
        env={**os.environ, "LAB_STATE_DIR": str(state), "COLUMNS": str(columns)},
        cwd=CHECKOUT,
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode in {0, 1}, done.stderr  # The detective accuses nobody with 1.
    return done.stdout


@pytest.mark.parametrize("command", READING)
def test_every_number_is_whole_at_whatever_width(command: str, state: Path) -> None:
    """A table folds its texts, and is wider than the terminal where that is not enough."""
    narrow, wide = (said(command, state, columns) for columns in (44, 300))
    if command == "signals":  # Its charts have a column for as many seconds as there is room.
        table = re.compile(r"\nwindow .*(?=\n\d+ s a step)", re.DOTALL)
        narrow, wide = ("".join(table.findall(text)) for text in (narrow, wide))
    lost = Counter(NUMBER.findall(wide)) - Counter(NUMBER.findall(narrow))
    assert not lost, narrow
    assert narrow.count("…") == wide.count("…")


def test_a_line_of_a_table_is_longer_only_where_it_must_be(state: Path) -> None:
    """What may fold does, and what fits is as wide as the terminal at most."""
    assert max(map(len, said("hint", state, 100).splitlines())) <= 100
    assert max(map(len, said("map", state, 100).splitlines())) <= 100
