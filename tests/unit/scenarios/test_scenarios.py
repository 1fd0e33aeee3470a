"""The scenarios themselves: each reads, keeps its secret, and is no other one in disguise."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import pytest

from lab.adapters.cases.case_folder import LOGS, REQUESTS, TRACES
from lab.adapters.cases.recording_file import RECORDING
from lab.domain.case import Case
from lab.domain.load import Window
from lab.domain.mechanism import Mechanism
from lab.domain.proof import Outcome, ProofVerdict
from lab.domain.scenario import Scenario
from lab.investigation.proof.affected import affected_traces
from lab.investigation.proof.hop import hop_lateness
from lab.investigation.proof.prove import HARDLY_EVER, prove
from lab.investigation.proof.share import Share
from lab.lint import TelemetryLint, text_problems
from lab.scenario_file import json_schema, load_all, variants
from tests.support.recorded_cases import recorded
from tests.support.seen import MECHANISM, SEEN, Level

FOLDER = Path(__file__).parents[3] / "scenarios"
SCENARIOS = load_all(FOLDER)

ONE_HOP: Final = frozenset({"slow-shelves", "gray-line", "burned-files"})
"""Cases that share hop and mechanism and differ in scope, so that traces alone do not part them."""

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())


def found_in(scenario: Scenario, case: Case) -> Share:
    """In how many of the case's affected traces the truth of ``scenario`` is found."""
    reference = case.evidence.reference_stats
    affected = affected_traces(case.scenario, case.evidence, reference)
    joined = replace(case.evidence, joins=scenario.truth.joins)
    return Share.count(
        filter(None, (joined.trace(each.trace_id) for each in affected)),
        lambda trace: scenario.truth.matches(trace, reference),
        "affected traces",
    )


@every_scenario
def test_a_recording_proves_its_scenario_as_it_is_now(scenario: Scenario) -> None:
    """Truth, forms, decoys, checks and symptom hold; where they do not, `lab record` it anew."""
    case = recorded(scenario.id)
    proof = prove(scenario, replace(case.evidence, joins=scenario.truth.joins))
    assert case.proof.verdict is ProofVerdict.PROVEN
    assert proof.verdict is ProofVerdict.PROVEN, "\n".join(map(str, proof.findings))
    for mechanism in scenario.truth.mechanisms:
        SEEN.note(MECHANISM, mechanism, Level.RECORDED)


def test_latency_arrives_at_the_hop_as_it_was_injected() -> None:
    """Within 5 %, or 3 ms, in every recorded case whose harm is a plain latency."""
    found = {
        name: lateness
        for name, scenario in SCENARIOS.items()
        if (lateness := hop_lateness(scenario, recorded(name).evidence))
    }
    assert len(found) >= 4
    late = [(name, each) for name, every in found.items() for each in every]
    assert [(name, each) for name, each in late if not each.is_faithful] == []


def test_latency_that_arrives_otherwise_is_noticed() -> None:
    """Here because the file says another number than what was on the wire."""
    scenario = SCENARIOS["slow-shelves"]
    [fault] = scenario.faults
    claimed = replace(scenario, faults=(replace(fault, attributes={"latency": 162}),))
    evidence = recorded("slow-shelves").evidence
    assert any(not each.is_faithful for each in hop_lateness(claimed, evidence))
    jittery = replace(scenario, faults=(replace(fault, attributes={"latency": 150, "jitter": 9}),))
    assert hop_lateness(jittery, evidence) == ()


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_truth_is_not_found_in_the_recordings_of_other_cases(name: str) -> None:
    """Who solves one case has not solved another: a grader could not tell them apart."""
    confused = {
        other: str(found)
        for other in SCENARIOS
        if other != name and not {name, other} <= ONE_HOP
        for found in [found_in(SCENARIOS[name], recorded(other))]
        if HARDLY_EVER.holds(found.value) is not Outcome.HOLDS
    }
    assert confused == {}


@every_scenario
def test_the_telemetry_of_a_recording_is_innocent(scenario: Scenario) -> None:
    """What a learner can query of it says nothing of the lab, as in a case of today."""
    rules = TelemetryLint({name: each.title for name, each in SCENARIOS.items()}, ())
    with ZipFile(FOLDER / scenario.id / RECORDING) as archive:
        for name in (TRACES, LOGS, REQUESTS):
            lines = list(filter(None, archive.read(name).decode().split("\n")))
            assert lines or name == LOGS, f"{name}: nothing to look at"
            for number, line in enumerate(lines, start=1):
                assert list(rules.line_problems(name, number, line)) == []


@every_scenario
def test_each_decoy_says_why_it_is_innocent(scenario: Scenario) -> None:
    """In a sentence, for the debriefing."""
    assert all(decoy.why.endswith(".") for decoy in scenario.decoys)


@every_scenario
def test_title_briefing_and_hints_give_nothing_away(scenario: Scenario) -> None:
    """Under whatever plan a seed may give it."""
    assert [problem for each in variants(scenario) for problem in text_problems(each)] == []


@every_scenario
def test_something_of_every_case_varies_and_its_solution_with_it(scenario: Scenario) -> None:
    """No answer can be learned by heart, and the last hint and the debrief are right of each."""
    every = list(variants(scenario))
    assert len(every) > 1
    for variant in every:
        texts = (*variant.hints, variant.briefing, variant.debrief)
        assert not any("$(" in text for text in texts)
        assert variant.truth.mechanism is scenario.truth.mechanism


@every_scenario
def test_hints_lead_from_a_nudge_to_the_solution(scenario: Scenario) -> None:
    assert 4 <= len(scenario.hints) <= 6
    assert scenario.truth.mechanism.value in scenario.hints[-1]
    assert scenario.truth.mechanism.value not in scenario.hints[0]


@every_scenario
def test_a_debrief_ends_with_an_incident_one_can_read(scenario: Scenario) -> None:
    assert "](https://" in scenario.debrief.split("## Once, for real")[1]


@every_scenario
def test_every_window_has_a_load_and_the_judged_ones_a_length(scenario: Scenario) -> None:
    assert scenario.load.keys() == set(Window)
    judged = {Window.REFERENCE, Window.CRIME, Window.RECOVERY}
    assert scenario.durations_s.keys() - {Window.TRANSITION} == judged


def test_where_nobody_did_it_only_the_visitors_change() -> None:
    declined = SCENARIOS["card-declined"]
    assert declined.truth.is_nobody
    assert declined.truth.mechanism is Mechanism.BUSINESS_REJECTION
    assert not any((declined.faults, declined.ambient, declined.conditions))
    assert declined.load[Window.CRIME].mix != declined.load[Window.REFERENCE].mix


def test_the_committed_schema_is_the_one_the_code_means() -> None:
    """Where it is not, write `json_schema()` over the file."""
    committed = (FOLDER / "scenario.schema.json").read_text(encoding="utf-8")
    assert committed == json_schema()
    assert json.loads(committed)["properties"]["truth"]
