"""The scenarios themselves: each reads, keeps its secret, and is no other one in disguise."""

import json
from pathlib import Path

import pytest

from lab.domain.load import Window
from lab.domain.mechanism import Mechanism
from lab.domain.reference import ReferenceStats
from lab.domain.scenario import Scenario
from lab.domain.trace import Trace
from lab.lint import text_problems
from lab.scenario_file import json_schema, load_all
from tests.unit.traces import declined_checkout, healthy_checkout, page, silent_login_check

FOLDER = Path(__file__).parents[2] / "scenarios"
SCENARIOS = load_all(FOLDER)
REFERENCE = ReferenceStats.of(
    [page(f"{n:032x}") for n in range(5)] + [healthy_checkout(f"{n:032x}") for n in range(5, 10)]
)
TYPICAL: dict[str, list[Trace]] = {
    "db-timeout": [
        silent_login_check("a" * 32, warm=True),
        silent_login_check("b" * 32, warm=False),
    ],
    "slow-shelves": [page("c" * 32, 251)],
    "card-declined": [declined_checkout("d" * 32)],
}
"""Traces as each case leaves them; a case without one here is not told apart from the others."""

every_scenario = pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())


def test_every_scenario_has_a_typical_trace() -> None:
    assert TYPICAL.keys() == SCENARIOS.keys()


@every_scenario
def test_a_truth_is_found_in_its_own_typical_traces(scenario: Scenario) -> None:
    for each in TYPICAL[scenario.id]:
        assert scenario.truth.matches(each, REFERENCE)


@every_scenario
def test_a_truth_is_not_found_in_the_traces_of_other_cases_or_of_none(scenario: Scenario) -> None:
    others = [each for name, found in TYPICAL.items() if name != scenario.id for each in found]
    for each in (*others, page("e" * 32), healthy_checkout("f" * 32)):
        assert not scenario.truth.matches(each, REFERENCE), each.trace_id


@every_scenario
def test_each_decoy_is_found_and_says_why_it_is_innocent(scenario: Scenario) -> None:
    for decoy in scenario.decoys:
        found = [decoy.predicate.matching(each, REFERENCE) for each in TYPICAL[scenario.id]]
        assert any(found)
        assert decoy.why.endswith(".")


@every_scenario
def test_title_briefing_and_hints_give_nothing_away(scenario: Scenario) -> None:
    assert text_problems(scenario) == ()


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
    assert scenario.durations_s.keys() == {Window.REFERENCE, Window.CRIME, Window.RECOVERY}


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
