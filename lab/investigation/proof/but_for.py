"""But-for twins: the same run less one thing, and whether the symptom goes or stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

from lab.domain.evidence import Evidence
from lab.domain.journal import Step
from lab.domain.load import Window
from lab.domain.proof import Finding
from lab.domain.scenario import Scenario
from lab.domain.twin import CULPRIT_TWIN, Drop, Expectation, Part, Twin
from lab.investigation.proof.affected import affected_share

Item = TypeVar("Item")


def twins_of(scenario: Scenario) -> tuple[Twin, ...]:
    """The twins to run: the scenario's own, and where none of them is healed the culprit's."""
    healed = any(twin.expect is Expectation.HEALED for twin in scenario.twins)
    return scenario.twins if healed else (CULPRIT_TWIN, *scenario.twins)


def twin_scenario(scenario: Scenario, twin: Twin) -> Scenario:
    """The scenario as ``twin`` runs it."""
    dropped = frozenset(twin.drop)
    faults = _without(scenario.faults, Part.FAULTS, dropped)
    dice = scenario.dice
    conditions = {} if Drop(Part.CONDITIONS) in dropped else scenario.conditions
    load = scenario.load
    if Drop(Part.LOAD) in dropped:
        load = dict.fromkeys(load, load[Window.REFERENCE])
    return replace(
        scenario,
        faults=faults,
        ambient=_without(scenario.ambient, Part.AMBIENT, dropped),
        conditions={**conditions, **twin.settings},
        load=load,
        dice=dice if dice and any(fault.is_rolled_on(dice.edge) for fault in faults) else None,
    )


def without_culprit(scenario: Scenario) -> Scenario:
    """The scenario with nothing to find: no fault, default settings, the reference load."""
    return twin_scenario(scenario, CULPRIT_TWIN)


def twin_finding(scenario: Scenario, twin: Twin, evidence: Evidence) -> Finding:
    """What became of the symptom in the crime's window; no request there is no answer."""
    symptom = scenario.symptom
    share = affected_share(scenario, evidence, evidence.reference_stats, Window.CRIME)
    healed = twin.expect is Expectation.HEALED
    bound = symptom.reference if healed else symptom.crime
    return share.finding(Step.CRIME, f"{symptom.measured}, {twin.name}", bound)


def _without(items: Sequence[Item], part: Part, dropped: frozenset[Drop]) -> tuple[Item, ...]:
    if Drop(part) in dropped:
        return ()
    return tuple(item for number, item in enumerate(items) if Drop(part, number) not in dropped)
