"""`lab lint`: what it reads, what it says, and its exit code."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from lab.adapters.cases import case_folder
from lab.cli import app
from lab.domain.exhibit import exhibits_in
from lab.errors import CaseError, UsageError
from lab.scenario_file import folders
from lab.settings import CHECKOUT
from lab.terminal import reading_display
from lab.terminal.reading_display import ReadingDisplay
from tests.support.sample_case import sample_case

LEASE = "4f1de0c2a3b64b7d9c0e5a6b7c8d9e0f"


@pytest.fixture
def scenarios(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the real scenarios, which the command reads."""
    folder = tmp_path / "scenarios"
    shutil.copytree(CHECKOUT / "scenarios", folder)
    monkeypatch.setenv("LAB_SCENARIOS_DIR", str(folder))
    return folder


@pytest.fixture
def cases(tmp_path: Path) -> Path:
    """A folder with one sealed case of db-timeout."""
    folder = tmp_path / "cases" / "db-timeout-1"
    folder.mkdir(parents=True)
    case = sample_case()
    logged = replace(case.evidence, logs=('{"body": "Connection timeout"}',))
    case_folder.write_case(folder, replace(case, evidence=logged))
    return folder.parent


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """The stack's log folder, with the Collector's copies and the warden's journal."""
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "signals-logs.jsonl").write_text('{"body": "ok"}\n')
    (folder / "signals-metrics-2026.jsonl").write_text('{"name": "http.server.duration"}\n')
    (folder / "warden.jsonl").write_text(f'{{"event": "held", "lease": "{LEASE}"}}\n')
    return folder


def lint(*words: object) -> Result:
    return CliRunner().invoke(app, ["lint", *map(str, words)])


def append(path: Path, document: object) -> None:
    with path.open("a") as file:
        file.write(json.dumps(document) + "\n")


def brief(folder: Path, text: str) -> None:
    """Write another pager message, which links to the same exhibits below."""
    file = folder / "briefing.md"
    links = " ".join(f"[so](exhibit:{name})" for name in exhibits_in(file.read_text("utf-8")))
    file.write_text(f"{text}{links}\n", "utf-8")


def test_clean_texts_and_telemetry_exit_with_0(scenarios: Path, cases: Path, logs: Path) -> None:
    """Nothing on standard output, and what was read on standard error."""
    done = lint("--cases", cases, "--logs", logs)
    assert done.exit_code == 0, done.output
    assert done.stdout == ""
    assert f"{len(folders(scenarios))} scenarios" in done.stderr
    assert "in 5 files" in done.stderr
    assert "nothing gives a case away" in done.stderr


def test_everything_found_is_told_at_once_with_exit_code_1(
    scenarios: Path, cases: Path, logs: Path
) -> None:
    """Texts, telemetry and scenario files: no problem hides another."""
    brief(scenarios / "slow-shelves", "Chaos in\nthe catalog:\nChaos.\n")
    broken = scenarios / "card-declined" / "scenario.yaml"
    broken.write_text(broken.read_text().replace("difficulty: 2", "difficulty: 9"))
    for _ in range(3):
        append(cases / "db-timeout-1" / "traces.jsonl", {"name": "toxic"})
    append(logs / "signals-logs.jsonl", {"body": f"held as {LEASE}"})
    append(logs / "signals-metrics-2026.jsonl", {"name": "auth-users_db"})
    done = lint("--cases", cases, "--logs", logs)
    assert done.exit_code == 1
    said = done.stdout.splitlines()
    assert len(said) == 7
    for line, (place, rule) in zip(
        said,
        [
            ("scenarios/card-declined/scenario.yaml:3 difficulty", "scenario-file"),
            ("scenarios/slow-shelves/briefing.md:1", "control-word"),
            ("scenarios/slow-shelves/briefing.md:3", "control-word"),
            ("scenarios/slow-shelves/briefing.md:2", "culprit-service"),
            ("cases/db-timeout-1/traces.jsonl:24 .name", "control-word"),
            ("log/signals-logs.jsonl:2 .body", "lease-id"),
            ("log/signals-metrics-2026.jsonl:2 .name", "edge-name"),
        ],
        strict=True,
    ):
        assert f"{place}: {rule}: expected " in line
    assert "found 'toxic' (3 times)" in done.stdout
    assert "7 problems" in done.stderr


def test_programs_read_json(scenarios: Path, cases: Path) -> None:
    """The same, field by field."""
    append(cases / "db-timeout-1" / "logs.jsonl", {"body": "toxic"})
    done = lint("--cases", cases, "--json")
    assert done.exit_code == 1
    told = json.loads(done.stdout)
    assert told["problems"] == [
        {
            "file": str(cases / "db-timeout-1" / "logs.jsonl"),
            "line": 2,
            "field": ".body",
            "rule": "control-word",
            "expected": "no word of the lab's own machinery",
            "found": "toxic",
            "times": 1,
        }
    ]
    assert told["read"]["scenarios"] == len(folders(scenarios))
    assert told["read"]["telemetry_files"] == 3


def test_only_the_scenarios_named_are_read(scenarios: Path, cases: Path) -> None:
    """Their texts and their cases; what is wrong with others is not asked."""
    brief(scenarios / "slow-shelves", "Chaos.\n")
    (scenarios / "card-declined" / "scenario.yaml").write_text("[")
    append(cases / "db-timeout-1" / "logs.jsonl", {"body": "toxic"})
    told = {
        name: json.loads(lint(name, "--cases", cases, "--json").stdout)
        for name in ("db-timeout", "slow-shelves")
    }
    assert [each["found"] for each in told["db-timeout"]["problems"]] == ["toxic"]
    assert [each["found"] for each in told["slow-shelves"]["problems"]] == ["Chaos"]


def test_dashboards_are_read_where_there_are_some(scenarios: Path, tmp_path: Path) -> None:
    """At any depth of the folder."""
    board = tmp_path / "grafana" / "dashboards" / "shop.json"
    board.parent.mkdir(parents=True)
    board.write_text('{"title": "Shop"}')
    assert lint("--dashboards", tmp_path / "grafana").exit_code == 0
    board.write_text('{"title": "Toxics"}')
    done = lint("--dashboards", tmp_path / "grafana")
    assert done.exit_code == 1
    assert "shop.json:1 .title: control-word" in done.stdout


@pytest.mark.parametrize("option", ["--cases", "--logs"])
def test_a_folder_without_telemetry_is_no_clean_one(scenarios: Path, option: str) -> None:
    """Nothing read proves nothing; an unfinished run is no case."""
    empty = scenarios / "db-timeout"
    (empty / ".run-db-timeout-1").mkdir()
    (empty / ".run-db-timeout-1" / "manifest.json").touch()
    done = lint(option, empty)
    assert isinstance(done.exception, CaseError)
    assert "found none" in str(done.exception)


def test_an_unknown_scenario_is_refused_with_a_near_name(scenarios: Path) -> None:
    """A typo must not pass as clean."""
    done = lint("db-timeou")
    assert isinstance(done.exception, UsageError)
    assert "did you mean db-timeout?" in str(done.exception)


def test_a_bar_is_drawn_only_where_reading_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before two seconds, and never where nobody watches."""

    def drawn(*, shown_after_s: float, terminal: bool) -> str:
        monkeypatch.setattr(reading_display, "SHOWN_AFTER_S", shown_after_s)
        console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
        with ReadingDisplay(console, "reading telemetry", 10) as display:
            display.advance(5)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    assert "reading telemetry" in drawn(shown_after_s=0, terminal=True)
    assert drawn(shown_after_s=60, terminal=True) == ""
    assert drawn(shown_after_s=0, terminal=False) == ""


def test_a_text_that_tells_only_under_another_seed_is_found(scenarios: Path) -> None:
    """Every plan of a case is read; as written it says nothing of the culprit."""
    path = scenarios / "green-corpse" / "scenario.yaml"
    text = path.read_text().replace(
        "words: nine tenths of a second", "words: as long as `db.connect`"
    )
    path.write_text(text)
    done = lint("green-corpse")
    assert done.exit_code == 1
    assert "green-corpse/briefing.md" in done.output
    assert "found 'db.connect'" in done.output


def test_a_plan_that_cannot_be_run_is_found(scenarios: Path) -> None:
    """Each choice is right alone, and two of them together are not."""
    path = scenarios / "every-other-minute" / "scenario.yaml"
    text = path.read_text().replace("start: [4s, 6s, 8s]", "start: [4s, 20s]")
    text = text.replace("vary:\n", "vary:\n  lasts: [48s, 19s]\n").replace(
        "crime: 48s", "crime: $(lasts)"
    )
    path.write_text(text)
    done = lint("every-other-minute")
    assert done.exit_code == 1
    assert "expected it to come before its window is over at 19s" in done.output
