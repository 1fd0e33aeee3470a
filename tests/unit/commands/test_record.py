"""Recording cases: several in one go, what is told of each, and what stays as it was."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lab import bootstrap
from lab.adapters.cases.recording_file import RECORDING
from lab.cli import app
from lab.commands import record
from lab.domain.case import Case
from lab.domain.journal import Step
from lab.domain.proof import Finding, Outcome, Proof
from lab.domain.scenario import Scenario
from lab.errors import HarmStopped, LabError, StackNotReady, UsageError
from lab.investigation.running.recording import of_todays
from lab.settings import CHECKOUT
from tests.support.recorded_cases import recorded

NAMES = ("half-a-page", "new-acquaintances")


class Bench:
    """A folder of two scenarios, and runs that come out as a test wants them to."""

    def __init__(self, scenarios: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scenarios = scenarios
        self.outcomes: dict[str, list[Case | LabError]] = {}
        self.ran: list[str] = []
        self.brought_up = 0
        monkeypatch.setenv("LAB_SCENARIOS_DIR", str(scenarios))
        monkeypatch.setenv("LAB_STATE_DIR", str(scenarios.parent / "state"))
        monkeypatch.setattr(record, "up", self._up)
        monkeypatch.setattr(record, "run_one", self._run_one)
        monkeypatch.setattr(bootstrap, "lab", _no_lab)
        monkeypatch.setattr(bootstrap, "archive", lambda _: self)

    def logs(self, case_id: str) -> tuple[str, ...]:
        """No log line of any case."""
        return ()

    def _up(self) -> None:
        self.brought_up += 1

    async def _run_one(self, lab: object, scenario: Scenario, seed: int) -> Case:
        self.ran.append(scenario.id)
        left = self.outcomes.get(scenario.id, [])
        outcome = left.pop(0) if left else case_of(scenario)
        if isinstance(outcome, LabError):
            raise outcome
        return replace(outcome, scenario=scenario)

    def size(self, name: str) -> int:
        """Bytes of the recording that lies beside a scenario."""
        return (self.scenarios / name / RECORDING).stat().st_size

    def __call__(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["record", *words], catch_exceptions=True)


@contextlib.asynccontextmanager
async def _no_lab(_: object) -> AsyncIterator[None]:
    yield None


def case_of(scenario: Scenario) -> Case:
    """What a run of it would leave that proves it."""
    return of_todays(scenario, recorded(scenario.id))


def judged(name: str, **finding: Any) -> Case:
    """The recorded case with a finding that speaks against it."""
    case = recorded(name)
    bad = Finding(Step.EVIDENCE, "a check", "1", "2", **finding)
    return replace(case, proof=Proof((bad,)))


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    folder = tmp_path / "scenarios"
    for name in NAMES:
        shutil.copytree(CHECKOUT / "scenarios" / name, folder / name)
        (folder / name / RECORDING).write_bytes(b"the old one")
    return Bench(folder, monkeypatch)


def test_all_are_recorded_in_one_go(bench: Bench) -> None:
    """Each after the stack was looked after, with what it weighs, and a sum at the end."""
    result = bench("--all")
    assert result.exit_code == 0, result.output
    assert bench.ran == list(NAMES)
    assert bench.brought_up == 2
    assert all(bench.size(name) > 1000 for name in NAMES)
    together = sum(map(bench.size, NAMES)) / 1e6
    assert f"2 of 2 recorded anew, {together:.1f} MB together" in result.output


def test_what_had_no_verdict_is_run_again_after_the_others(bench: Bench) -> None:
    """Once more, and then it is enough; `--tries` says how often."""
    incomplete = judged(NAMES[0], outcome=Outcome.UNKNOWN, integrity=True)
    bench.outcomes = {NAMES[0]: [incomplete, incomplete]}
    assert bench("--all", "--tries", "3").exit_code == 0
    assert bench.ran == [*NAMES, NAMES[0], NAMES[0]]


def test_what_is_not_proven_leaves_the_recording_that_was_there(bench: Bench) -> None:
    """The worst of all is the exit code; the sum names them, and the command that goes on."""
    incomplete = judged(NAMES[1], outcome=Outcome.UNKNOWN, integrity=True)
    bench.outcomes = {
        NAMES[0]: [judged(NAMES[0], outcome=Outcome.FAILS)],
        NAMES[1]: [incomplete] * 2,
    }
    result = bench(*NAMES)
    assert result.exit_code == 2
    assert bench.ran == [*NAMES, NAMES[1]], "what was refuted stays refuted"
    assert all(bench.size(name) == len(b"the old one") for name in NAMES)
    assert "0 of 2 recorded anew" in result.output
    assert f"as it was: {NAMES[0]} (refuted)" in result.output
    assert f"record {' '.join(NAMES)}` runs them once more" in result.output


def test_what_ends_one_does_not_end_the_others(bench: Bench) -> None:
    """A part died: it is told, the next begins, and it has its second try."""
    bench.outcomes = {NAMES[0]: [StackNotReady("gateway died")]}
    result = bench("--all", "--json")
    rows = json.loads(result.stdout)
    assert [(each["scenario"], each["recorded"], each["tries"]) for each in rows] == [
        (NAMES[0], True, 2),
        (NAMES[1], True, 1),
    ]
    assert rows[0]["bytes_before"] == len(b"the old one")
    assert "gateway died" in result.stderr


def test_the_safety_lever_ends_them_all(bench: Bench) -> None:
    """What was done so far is told all the same."""
    bench.outcomes = {NAMES[1]: [HarmStopped()]}
    result = bench("--all")
    assert isinstance(result.exception, HarmStopped)
    assert f"as it was: {NAMES[1]} (not reached)" in result.output
    assert "1 of 2 recorded anew" in result.output


def test_of_one_alone_what_ends_it_is_told_as_of_any_command(bench: Bench) -> None:
    bench.outcomes = {NAMES[0]: [StackNotReady("gateway died")]}
    result = bench(NAMES[0])
    assert isinstance(result.exception, StackNotReady)
    assert bench.ran == [NAMES[0]]


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "expected scenarios .* or --all, got neither"),
        (("--all", "half-a-page"), "got --all and half-a-page"),
        (("--all", "--case", "half-a-page-1"), "expected one scenario beside --case, got 2"),
        (("half-a-page", "--case", "half-a-page-1", "--refresh"), "expected --refresh or --case"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    bench: Bench, words: tuple[str, ...], complaint: str
) -> None:
    result = bench(*words)
    assert isinstance(result.exception, UsageError)
    assert re.search(complaint, str(result.exception))
    assert bench.ran == []
