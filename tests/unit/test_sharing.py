"""Tests of real parts run one by one, and after those that several workers share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from lab.settings import CHECKOUT

CONFTEST = """
import os
import pathlib
import time

import pytest


@pytest.fixture(autouse=True)
def noted(request):
    yield
    time.sleep(0.02)
    with (pathlib.Path(__file__).parent / "order").open("a") as order:
        print(request.node.path.parent.name, os.environ["PYTEST_XDIST_WORKER"], file=order)
"""
TWENTY = """
import pytest


@pytest.mark.parametrize("n", range(20))
def test_it(n):
    assert n < 20
"""
PATHS = "[pytest]\ntestpaths = tests/unit tests/services tests/e2e\n"


def options() -> list[str]:
    """What the Makefile gives to pytest."""
    lines = (CHECKOUT / "Makefile").read_text(encoding="utf-8").splitlines()
    (found,) = (line for line in lines if line.startswith("SHARED := "))
    return found.removeprefix("SHARED := ").replace("logical", "2").split()


def test_real_parts_have_one_worker_after_all_else(tmp_path: Path) -> None:
    """At most two tests of the code are still at work when the first of theirs begins."""
    for folder in ("unit", "services", "e2e"):
        (tmp_path / "tests" / folder).mkdir(parents=True)
        (tmp_path / "tests" / folder / f"test_{folder}.py").write_text(TWENTY)
    (tmp_path / "tests" / "conftest.py").write_text(CONFTEST)
    (tmp_path / "pytest.ini").write_text(PATHS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "sharing", *options()]
    environment = {"PYTHONPATH": str(CHECKOUT / "tests" / "support"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert "60 passed" in done.stdout, done.stdout + done.stderr
    order = [line.split() for line in (tmp_path / "tests" / "order").read_text().splitlines()]
    workers = {folder: {who for where, who in order if where == folder} for folder, _ in order}
    assert len(workers["unit"]) == 2
    assert len(workers["services"] | workers["e2e"]) == 1
    first = next(n for n, (where, _) in enumerate(order) if where != "unit")
    assert sum(where == "unit" for where, _ in order[first:]) <= 2
