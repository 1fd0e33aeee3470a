"""Bounds leave room for what nobody could feel, and vary with what a seed varies."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

from lab.domain.bound import Unit, quantity
from lab.domain.scenario import Check, RequestCheck, Scenario, SpanDurationCheck
from lab.lint.problem import Problem, Rule
from lab.scenario_file import SCENARIO
from lab.scenario_file.placeholders import texts_in
from lab.scenario_file.positioned_yaml import read
from lab.scenario_file.validating import field_at
from lab.scenario_file.variants import FIELD

USUAL_MS: Final = 100.0
"""A reference to try bounds at: about what a page takes in a healthy shop."""

ROOM_AT_THE_EDGE_MS: Final = 100.0
"""Less than that, a person who waits does not feel (Nielsen, *Usability Engineering*, 5)."""

ROOM_IN_A_SPAN_MS: Final = 15.0
"""What `unchanged` allows: less is what two windows of one machine differ by anyway."""

_ROOM_MS: Final[Mapping[Rule, float]] = MappingProxyType(
    {Rule.UNFELT_AT_THE_EDGE: ROOM_AT_THE_EDGE_MS, Rule.UNFELT_IN_A_SPAN: ROOM_IN_A_SPAN_MS}
)

COMPARED: Final = frozenset({"bound", "duration", "self_time", "slower_than"})
"""Fields that hold a duration to compare with."""

_TYPED: Final = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:us|ms|s)\b")


def bound_problems(scenario: Scenario) -> tuple[Problem, ...]:
    """Every check that a busy moment of the machine, or another seed, would refute alone."""
    return (*_tight(scenario), *_typed(scenario))


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


def _typed(scenario: Scenario) -> Iterator[Problem]:
    """Durations compared with that stand as written where the scenario varies them."""
    written = scenario.variation.as_written.values()
    varied = {quantity(each) for each in written if isinstance(each, str)} - {None}
    document = read(scenario.source[SCENARIO])
    for path, text in texts_in(document.data, but_for={FIELD}):
        typed = _TYPED.findall(text) if path[-1] in COMPARED else ()
        for each in typed:
            if quantity(each) in varied:
                file = f"scenarios/{scenario.id}/{SCENARIO}"
                line, field = document.line(path), field_at(path)
                yield Problem(file, line, field, Rule.TYPED_VARIATION, each)
