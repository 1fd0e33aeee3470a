"""What a machine that was slow, and nothing else, could have made fail. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lab.domain.evidence import Evidence
from lab.domain.journal import Step
from lab.domain.load import Window
from lab.domain.scenario import Scenario
from lab.domain.symptom import Harm
from lab.domain.twin import Expectation, Twin
from lab.investigation.proof.affected import JUDGED, affected_share
from lab.investigation.proof.measure import measured_duration

Slowness = Mapping[tuple[Step, str], Step]
"""Step and check of a finding that fails → the step in which the machine must have been slow."""


def by_slowness_alone(scenario: Scenario, evidence: Evidence) -> Slowness:
    """Every finding of `prove` that fails by a time, and that a slower machine explains.

    A time above its bound may have grown in its own window. One that is below a bound on
    what it was before may be right, and the reference have been slow. Everything else that
    fails, such as an error or a truth that is not found, has another reason.
    """
    return dict((*_checks(scenario, evidence), *_symptoms(scenario, evidence)))


def twin_by_slowness_alone(scenario: Scenario, twin: Twin, evidence: Evidence) -> bool:
    """Whether the symptom of ``twin`` is above its bound, and one that slowness makes."""
    healed = twin.expect is Expectation.HEALED
    bound = scenario.symptom.reference if healed else scenario.symptom.crime
    share = affected_share(scenario, evidence, evidence.reference_stats, Window.CRIME)
    return scenario.symptom.harm is Harm.SLOWNESS and bound.is_above(share.value)


def _checks(scenario: Scenario, evidence: Evidence) -> Iterator[tuple[tuple[Step, str], Step]]:
    for check in scenario.judged:
        measured = measured_duration(check, evidence, evidence.reference_stats)
        if measured is None:
            continue
        value, usual = measured
        if check.bound.is_above(value, usual):
            yield (check.step, check.label), check.step
        elif check.bound.needs_reference:
            yield (check.step, check.label), Step.REFERENCE


def _symptoms(scenario: Scenario, evidence: Evidence) -> Iterator[tuple[tuple[Step, str], Step]]:
    symptom = scenario.symptom
    if symptom.harm is not Harm.SLOWNESS:
        return
    for window, (step, _) in JUDGED.items():
        bound = symptom.crime if window is Window.CRIME else symptom.reference
        share = affected_share(scenario, evidence, evidence.reference_stats, window)
        if bound.is_above(share.value):
            yield (step, symptom.measured), step
