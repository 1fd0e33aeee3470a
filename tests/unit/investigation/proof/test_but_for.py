"""Twins: what each leaves out, and what is asked of the symptom then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.domain.evidence import Sample
from lab.domain.fault import Fault, Toxic
from lab.domain.load import Window
from lab.domain.proof import Outcome
from lab.domain.twin import CULPRIT_TWIN, Drop, Expectation, Part, Twin
from lab.investigation.proof.but_for import twin_finding, twin_scenario, twins_of, without_culprit
from tests.support.evidence import CARD_DECLINED, SLOW_SHELVES, Run

LATE = Fault("gateway-auth", Toxic.LATENCY, {"latency": 5})
LATER = Fault("gateway-catalog", Toxic.LATENCY, {"latency": 9})
SCENARIO = replace(
    CARD_DECLINED, faults=(LATE, LATER), ambient=(LATER, LATE), conditions={"auth.pool_size": 2}
)
HEALED = Twin("the bank is fast", Expectation.HEALED, (Drop(Part.FAULTS, 0),))
UNCHANGED = Twin("no pool", Expectation.UNCHANGED, settings={"auth.pool_size": 10})


def test_a_scenario_that_names_no_healed_twin_has_the_culprits() -> None:
    """Each case is run without its culprit, whoever says it or not."""
    assert twins_of(SCENARIO) == (CULPRIT_TWIN,)
    assert twins_of(replace(SCENARIO, twins=(UNCHANGED,))) == (CULPRIT_TWIN, UNCHANGED)
    assert twins_of(replace(SCENARIO, twins=(UNCHANGED, HEALED))) == (UNCHANGED, HEALED)


def test_without_its_culprit_only_what_is_ambient_is_left() -> None:
    """No fault, default settings, the reference load throughout."""
    calm = without_culprit(SCENARIO)
    assert (calm.faults, calm.ambient, calm.conditions) == ((), (LATER, LATE), {})
    assert all(shape == SCENARIO.load[Window.REFERENCE] for shape in calm.load.values())


@pytest.mark.parametrize(
    ("drop", "faults", "ambient"),
    [
        (Drop(Part.FAULTS, 0), (LATER,), (LATER, LATE)),
        (Drop(Part.AMBIENT, 1), (LATE, LATER), (LATER,)),
        (Drop(Part.AMBIENT), (LATE, LATER), ()),
    ],
)
def test_a_twin_leaves_out_what_it_names(
    drop: Drop, faults: tuple[Fault, ...], ambient: tuple[Fault, ...]
) -> None:
    """One fault of a part, or all of it; the rest stays."""
    found = twin_scenario(SCENARIO, Twin("x", Expectation.HEALED, (drop,)))
    assert (found.faults, found.ambient) == (faults, ambient)
    assert (found.conditions, found.load) == (SCENARIO.conditions, SCENARIO.load)


def test_a_twin_lays_its_settings_over_the_conditions() -> None:
    """What it sets is as it says, whatever the case sets."""
    assert twin_scenario(SCENARIO, UNCHANGED).conditions == {"auth.pool_size": 10}


@pytest.mark.parametrize(
    ("latency_ms", "healed", "unchanged"),
    [(20, Outcome.HOLDS, Outcome.FAILS), (316, Outcome.FAILS, Outcome.HOLDS)],
)
def test_the_symptom_is_to_go_or_to_stay(
    latency_ms: float, healed: Outcome, unchanged: Outcome
) -> None:
    """By the bound of a healthy day, or by that of the crime."""
    run = Run(SLOW_SHELVES).add(Sample.AFFECTED, 100, status=200, latency_ms=latency_ms)
    found = {
        twin.expect: twin_finding(SLOW_SHELVES, twin, run.evidence()).outcome
        for twin in (HEALED, UNCHANGED)
    }
    assert found == {Expectation.HEALED: healed, Expectation.UNCHANGED: unchanged}


def test_without_a_request_nothing_is_known_of_the_symptom() -> None:
    """No data is no answer."""
    evidence = Run(SLOW_SHELVES).evidence()
    assert twin_finding(SLOW_SHELVES, HEALED, evidence).outcome is Outcome.UNKNOWN
