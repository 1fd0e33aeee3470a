"""Each case's way through Grafana: there, short, with a query to begin with, and no spoiler."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from lab.adapters.cases import case_folder
from lab.cli import app
from lab.commands import solve
from lab.errors import ScenarioError
from lab.lint import Rule, text_problems
from lab.scenario_file import GRAFANA, folders, grafana_path, load
from lab.settings import CHECKOUT
from tests.signals.questions import EXERCISES, fenced
from tests.support.grafana_files import dashboards
from tests.support.sample_case import sample_case

FOLDERS = {folder.name: folder for folder in folders(CHECKOUT / "scenarios")}
REAL = load(FOLDERS["db-timeout"])


@pytest.mark.parametrize("name", FOLDERS)
def test_every_case_says_where_to_begin(name: str) -> None:
    """On a dashboard that exists, with TraceQL that can be pasted."""
    text = grafana_path(FOLDERS[name])
    assert text is not None, "a case without a grafana.md"
    assert any(board.title in text for board in dashboards().values())
    assert any(query.store == "tempo" for query in fenced(FOLDERS[name] / GRAFANA))


@pytest.mark.parametrize("name", FOLDERS)
def test_none_gives_its_case_away(name: str) -> None:
    """By the rules of a briefing, which it is read beside."""
    assert text_problems(load(FOLDERS[name]), grafana_path(FOLDERS[name])) == ()


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Rule.CULPRIT_SERVICE, 'Look at { resource.service.name = "auth" }.'),
        (Rule.CULPRIT_SPAN, "Look at `SELECT`."),
        (Rule.MECHANISM_WORD, "It is a timeout."),
        (Rule.EDGE_NAME, "Look at auth-users_db."),
        (Rule.CONTROL_WORD, "See the toxic."),
        (Rule.SCENARIO_NAME, "This is db-timeout."),
        (Rule.BRIEFING_LENGTH, "word " * 121),
    ],
)
def test_what_would_give_a_case_away_is_found(rule: Rule, text: str) -> None:
    """With the file's name and the line."""
    problems = text_problems(REAL, f"Begin on *Shop floor*.\n{text}")
    assert rule in {problem.rule for problem in problems}
    assert {problem.file for problem in problems} == {"scenarios/db-timeout/grafana.md"}


def test_lint_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it does the briefing; a scenario without one is none the worse."""
    folder = tmp_path / "db-timeout"
    folder.mkdir()
    for name in ("scenario.yaml", "briefing.md", "debrief.md"):
        (folder / name).write_bytes((FOLDERS["db-timeout"] / name).read_bytes())
    monkeypatch.setenv("LAB_SCENARIOS_DIR", str(tmp_path))
    assert grafana_path(folder) is None
    assert CliRunner().invoke(app, ["lint"]).exit_code == 0
    (folder / GRAFANA).write_text("Begin on *Shop floor*,\nthen see the toxic.\n")
    done = CliRunner().invoke(app, ["lint"])
    assert done.exit_code == 1
    assert "scenarios/db-timeout/grafana.md:2: control-word" in done.output
    (folder / GRAFANA).write_bytes(b"\xff")
    done = CliRunner().invoke(app, ["lint"])
    assert done.exit_code == 1
    assert "expected UTF-8" in done.output


def test_a_briefing_ends_with_the_way_through_grafana_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is a hint for free; its query can be copied from the terminal as it is."""
    folder = tmp_path / "cases" / "db-timeout-1"
    folder.mkdir(parents=True)
    case_folder.write_case(folder, sample_case())
    monkeypatch.setenv("LAB_STATE_DIR", str(tmp_path))
    out = io.StringIO()
    monkeypatch.setattr(solve, "console", Console(file=out, width=100))
    assert CliRunner().invoke(app, ["briefing"]).exit_code == 0
    assert "In Grafana" not in out.getvalue()
    assert CliRunner().invoke(app, ["briefing", "--grafana"]).exit_code == 0
    before, _, after = out.getvalue().partition("In Grafana")
    assert "pager" in before
    assert "{ nestedSetParent < 0 && status = error }" in after


@pytest.mark.parametrize("content", [b"", b"\xff", b"a\x07b", b"x" * 70_000])
def test_a_file_that_is_no_text_is_refused(tmp_path: Path, content: bytes) -> None:
    """With its name, and without a traceback."""
    (tmp_path / GRAFANA).write_bytes(content)
    with pytest.raises(ScenarioError, match=GRAFANA):
        grafana_path(tmp_path)


def test_the_exercises_go_from_errors_to_structure_to_metrics() -> None:
    """From the plainest query, by all three stores."""
    queries = list(fenced(EXERCISES))
    assert queries[0].text == "{ status = error }"
    texts = " ".join(query.text for query in queries)
    for operator in (">>", "!<", "~", "select(", "count()", "rate()", "quantile_over_time("):
        assert operator in texts, operator
    assert {query.store for query in queries} == {"tempo", "prometheus", "loki"}
