"""``lab open`` takes what a test kept of its spans, as well as a case file."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from lab import bootstrap
from lab.cli import app
from lab.commands import desk
from lab.settings import Settings
from lab.testing import TraceSet
from tests.support.traces import internal, server, trace


def test_spans_that_a_test_kept_open_at_the_desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They become a case that can be looked at, and its page is shown."""
    monkeypatch.setenv("LAB_STATE_DIR", str(tmp_path / "state"))
    file = tmp_path / "test_pay.py-test_it.otlp.json"
    drawn = trace("1" * 32, server("pay", "POST /pay", 0, 9, internal("pay", "charge", 1, 5)))
    TraceSet.received([drawn]).save(file)
    shown: list[str] = []
    monkeypatch.setattr(desk, "show", lambda settings, path, browser: shown.append(path))
    done = CliRunner().invoke(app, ["open", str(file), "--no-browser"])
    assert done.exit_code == 0, done.output
    assert shown == ["/cases/imported-1"]
    case = bootstrap.archive(Settings()).open("imported-1")
    assert [each.name for each in case.evidence.traces["1" * 32]] == ["POST /pay", "charge"]
    assert case.title == file.name
