"""Failing twins: the same run without its culprit, which must not be provable."""

from __future__ import annotations

from dataclasses import replace

from lab.domain.load import Window
from lab.domain.scenario import Scenario


def without_culprit(scenario: Scenario) -> Scenario:
    """The scenario with nothing to find: no fault, default settings, the reference load.

    What is ambient stays, because it is never the culprit.
    """
    calm = scenario.load[Window.REFERENCE]
    return replace(
        scenario,
        faults=(),
        conditions={},
        load=dict.fromkeys(scenario.load, calm),
    )
