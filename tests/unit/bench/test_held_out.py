"""The held-out cases: each lints, is proven from its file, and is gone without its culprit."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from typer.testing import CliRunner

from lab.adapters.cases.recording_file import pack_case, read_recording
from lab.cli import app
from lab.domain.case import Case
from lab.domain.exhibit import exhibits_in
from lab.domain.proof import Outcome, ProofVerdict
from lab.domain.scenario import Scenario
from lab.errors import RecordingTooLarge
from lab.investigation.proof.but_for import twin_finding, twin_scenario
from lab.investigation.proof.prove import HARDLY_EVER, prove
from lab.investigation.proof.share import Share
from lab.investigation.running.recording import MOST_BYTES
from lab.lint import TelemetryLint
from lab.scenario_file import load_all
from lab.settings import CHECKOUT

FOLDER = CHECKOUT / "bench" / "scenarios"
SCENARIOS = load_all(FOLDER)

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())


@pytest.fixture
def held_out(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script of ``bench/``, which is a folder of scripts and no package."""
    monkeypatch.syspath_prepend(str(CHECKOUT / "bench"))
    return importlib.import_module("held_out")


@cache
def kept(find: Callable[..., Any], name: str, *, without: bool) -> Case:
    """The case of a scenario as it is kept, or that of its run without the culprit."""
    return read_recording(find(name, without=without))


def test_none_of_them_is_in_the_catalogue_and_each_lints(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(SCENARIOS) >= 6
    assert not SCENARIOS.keys() & load_all(CHECKOUT / "scenarios").keys()
    monkeypatch.setenv("LAB_SCENARIOS_DIR", str(FOLDER))
    result = CliRunner().invoke(app, ["lint"])
    assert result.exit_code == 0, result.output
    assert f"{len(SCENARIOS)} scenarios" in result.output


def test_nobodys_and_narrow_scopes_are_among_them() -> None:
    assert any(each.truth.is_nobody for each in SCENARIOS.values())
    assert len({each.truth.mechanism for each in SCENARIOS.values()}) >= 6
    assert {each.truth.scope.value for each in SCENARIOS.values()} > {"all"}


@every_scenario
def test_what_its_texts_rest_on_is_all_used(scenario: Scenario) -> None:
    """An exhibit that no text links to is proven for nobody."""
    linked = {*exhibits_in(scenario.briefing), *exhibits_in(scenario.debrief)}
    assert scenario.exhibits.keys() == linked


@every_scenario
def test_a_kept_case_proves_its_scenario_as_it_is_now(scenario: Scenario, held_out: Any) -> None:
    """With every exhibit; where one does not hold, run ``bench/held_out.py`` anew."""
    case = kept(held_out.case_file, scenario.id, without=False)
    proof = prove(scenario, replace(case.evidence, joins=scenario.truth.joins))
    assert case.proof.verdict is ProofVerdict.PROVEN
    assert proof.verdict is ProofVerdict.PROVEN, "\n".join(map(str, proof.findings))


@every_scenario
def test_without_its_culprit_the_symptom_and_the_truth_are_gone(
    scenario: Scenario, held_out: Any
) -> None:
    case = kept(held_out.case_file, scenario.id, without=True)
    twin = held_out.healed_twin(scenario)
    finding = twin_finding(scenario, twin, case.evidence)
    assert finding.outcome is Outcome.HOLDS, finding
    reference = case.evidence.reference_stats
    found = Share.count(
        case.evidence.traces.values(),
        lambda trace: scenario.truth.matches(trace, reference),
        "traces",
    )
    if not scenario.truth.is_nobody:  # A few cards are refused on a healthy day, too.
        assert HARDLY_EVER.holds(found.value) is Outcome.HOLDS, found


@every_scenario
def test_the_files_of_a_run_without_the_culprit_say_what_was_run(
    scenario: Scenario, held_out: Any
) -> None:
    """No harm that was not there, and nothing else changed."""
    twin = held_out.healed_twin(scenario)
    run, told = twin_scenario(scenario, twin), held_out.as_it_was_run(scenario, twin)
    harmless = dict([held_out.NO_HARM])
    assert dict(told.conditions) == (dict(run.conditions) or harmless)
    for what in ("faults", "ambient", "load", "durations_s", "dice", "truth", "exhibits"):
        assert getattr(told, what) == getattr(run, what)
    assert kept(held_out.case_file, scenario.id, without=True).scenario.faults == run.faults


@every_scenario
@pytest.mark.parametrize("without", [False, True], ids=["with", "without"])
def test_a_kept_case_is_small_and_its_telemetry_innocent(
    scenario: Scenario, without: bool, held_out: Any
) -> None:
    assert held_out.case_file(scenario.id, without=without).stat().st_size <= MOST_BYTES
    case = kept(held_out.case_file, scenario.id, without=without)
    rules = TelemetryLint({name: each.title for name, each in SCENARIOS.items()}, ())
    for number, line in enumerate(case.evidence.logs, start=1):
        assert list(rules.line_problems("logs.jsonl", number, line)) == []


def test_nothing_lies_there_that_belongs_to_no_scenario(held_out: Any) -> None:
    expected = {held_out.case_file(name, without=w) for name in SCENARIOS for w in (False, True)}
    assert set(held_out.KEPT.iterdir()) == expected


def test_an_unknown_name_is_refused_with_those_there_are(held_out: Any) -> None:
    with pytest.raises(SystemExit, match="toll-road, torn-receipt, got no-such-road"):
        held_out.main(["no-such-road"])


def test_a_case_that_does_not_fit_or_is_not_healed_is_not_kept(
    held_out: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = SCENARIOS["closed-book"]
    twin = held_out.healed_twin(scenario)
    healed = kept(held_out.case_file, scenario.id, without=True)
    assert held_out.packed_without(scenario, twin, healed)
    monkeypatch.setattr(held_out, "TRACES_KEPT", (15,))
    with pytest.raises(RecordingTooLarge, match="closed-book without its culprit"):
        held_out.packed_without(
            scenario, twin, kept(held_out.case_file, scenario.id, without=False)
        )
    monkeypatch.setattr(held_out, "MOST_BYTES", len(pack_case(healed)) // 100)
    with pytest.raises(RecordingTooLarge, match="fewer users"):
        held_out.packed_without(scenario, twin, healed)
