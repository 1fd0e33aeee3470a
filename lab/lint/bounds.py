"""Bounds on what nobody should feel leave room for what nobody could feel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from lab.domain.bound import Unit
from lab.domain.scenario import Check, RequestCheck, Scenario, SpanDurationCheck
from lab.lint.problem import Problem, Rule
from lab.scenario_file import SCENARIO
from lab.scenario_file.positioned_yaml import read

USUAL_MS: Final = 100.0
"""A reference to try bounds at: about what a page takes in a healthy shop."""

ROOM_AT_THE_EDGE_MS: Final = 100.0
"""Less than that, a person who waits does not feel (Nielsen, *Usability Engineering*, 5)."""

ROOM_IN_A_SPAN_MS: Final = 15.0
"""What `unchanged` allows: less is what two windows of one machine differ by anyway."""

_ROOM_MS: Final[Mapping[Rule, float]] = MappingProxyType(
    {Rule.UNFELT_AT_THE_EDGE: ROOM_AT_THE_EDGE_MS, Rule.UNFELT_IN_A_SPAN: ROOM_IN_A_SPAN_MS}
)


def bound_problems(scenario: Scenario) -> tuple[Problem, ...]:
    """Every check of ``scenario`` that a busy moment of the machine would refute alone."""
    return tuple(_tight(scenario))


def _tight(scenario: Scenario) -> Iterator[Problem]:
    lines = read(scenario.source[SCENARIO])
    for place, field, check in _placed(scenario):
        match check:
            case RequestCheck() if check.statistic.unit is Unit.DURATION:
                rule = Rule.UNFELT_AT_THE_EDGE
            case SpanDurationCheck():
                rule = Rule.UNFELT_IN_A_SPAN
            case _:
                continue
        room_ms = check.bound.room_above_reference(USUAL_MS)
        if room_ms is not None and room_ms < _ROOM_MS[rule]:
            line = lines.line((*place, "bound"))
            file = f"scenarios/{scenario.id}/{SCENARIO}"
            yield Problem(file, line, f"{field}.bound", rule, str(check.bound))


def _placed(scenario: Scenario) -> Iterator[tuple[tuple[str | int, ...], str, Check]]:
    """Checks and exhibits, each with its place in the file, as a path and in words."""
    for number, check in enumerate(scenario.checks):
        yield ("checks", number), f"checks[{number}]", check
    for name, check in scenario.exhibits.items():
        yield ("exhibits", name), f"exhibits.{name}", check
