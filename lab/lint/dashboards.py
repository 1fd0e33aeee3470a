"""Dashboards that were made for one case: a learner would read the answer off a panel."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from lab.domain.bound import Unit
from lab.domain.scenario import Scenario
from lab.domain.symptom import Symptom
from lab.lint.problem import Problem, Rule
from lab.lint.texts import culprit_predicates, service_pattern, span_name_pattern
from lab.lint.vocabulary import (
    CONTROL_WORDS,
    EDGE_NAMES,
    Pattern,
    case_ids,
    scenario_names,
    tells,
)

_COMPARED: Final = re.compile(r"[<>]=?\s*(\d+(?:\.\d+)?)\s*(ms|s|%)?(?![\w.])")
_FACTORS: Final = {"ms": 1.0, "s": 1000.0, "%": 0.01, None: 1.0}


def dashboard_problems(
    file: str, text: str, scenarios: Mapping[str, Scenario]
) -> Iterator[Problem]:
    """What one dashboard, as Grafana's JSON, says of any case.

    Lines are those on which the words found stand first.
    """
    try:
        dashboard = json.loads(text)
    except (ValueError, RecursionError) as error:
        yield Problem(file, 1, "", Rule.UNREADABLE, str(error))
        return
    titles = {name: scenario.title for name, scenario in scenarios.items()}
    names = (
        (Rule.CONTROL_WORD, CONTROL_WORDS),
        (Rule.SCENARIO_NAME, scenario_names(titles)),
        (Rule.CASE_ID, case_ids(titles)),
        (Rule.EDGE_NAME, EDGE_NAMES),
    )
    for field, said in _texts(dashboard):
        for tell in tells(said, names):
            yield Problem(file, _line_of(text, tell.found), field, tell.rule, tell.found)
        for found in _filters_for_one_case(said, scenarios.values()):
            yield Problem(file, _line_of(text, said), field, Rule.ONE_CASE, found)
    for field, panel in _panels(dashboard):
        for found in _bounds_of_one_case(panel, scenarios.values()):
            title = str(panel.get("title", ""))
            yield Problem(file, _line_of(text, title), field, Rule.ONE_CASE, found)


def _nodes(value: Any, field: str) -> Iterator[tuple[str, Any]]:
    """``value`` and everything in it, each with the path that leads there."""
    yield field, value
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _nodes(each, f"{field}.{key}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _nodes(each, f"{field}[{index}]")


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    return ((field, node) for field, node in _nodes(value, "") if isinstance(node, str))


def _panels(dashboard: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every panel, those of a row included: what has targets is one."""
    for field, node in _nodes(dashboard, ""):
        if isinstance(node, dict) and "targets" in node:
            yield field, node


def _filters_for_one_case(text: str, scenarios: Collection[Scenario]) -> Iterator[str]:
    """A service and a span's name in one filter are the culprit; ``$service`` is everybody's."""
    for scenario in scenarios:
        for each in culprit_predicates(scenario):
            if each.service and each.name and service_pattern(each.service).search(text):
                named = span_name_pattern(each.name).search(text)
                if named:
                    yield f"{each.service} with {named[0]}"


def _bounds_of_one_case(panel: Mapping[str, Any], scenarios: Collection[Scenario]) -> Iterator[str]:
    """A panel about the route that suffers, with the very bound the case is proven by."""
    said = "\n".join(text for _, text in _texts(panel))
    numbers = {*_thresholds(panel), *_comparisons(panel)}
    for scenario in scenarios:
        symptom = scenario.symptom
        shared = sorted(numbers & _bounds(symptom))
        if shared and _route(symptom.route).search(said):
            yield f"{symptom.route} at {shared[0]:g}"


def _thresholds(panel: Any) -> Iterator[float]:
    for field, node in _nodes(panel, ""):
        is_number = isinstance(node, int | float) and not isinstance(node, bool)
        if is_number and ".thresholds" in field:
            yield float(node)


def _comparisons(panel: Mapping[str, Any]) -> Iterator[float]:
    for _, text in _texts(panel.get("targets")):
        for number, unit in _COMPARED.findall(text):
            yield float(number) * _FACTORS[unit or None]


def _bounds(symptom: Symptom) -> set[float]:
    """Its bounds as a panel may have them: in ms or s, as a fraction or in per cent."""
    numbers: set[float] = set()
    if symptom.slower_than_ms is not None:
        numbers |= {symptom.slower_than_ms, symptom.slower_than_ms / 1000}
    for level in (symptom.crime.level, symptom.crime.upper):
        if level is not None and symptom.crime.unit is Unit.SHARE:
            numbers |= {level.amount, round(level.amount * 100, 6)}
    return numbers


def _route(route: str) -> Pattern:
    path = re.escape(route.partition(" ")[2])
    return re.compile(rf"(?<![\w/]){path}(?![\w/])")


def _line_of(text: str, found: str) -> int:
    for spelled in (json.dumps(found)[1:-1], json.dumps(found, ensure_ascii=False)[1:-1]):
        before, hit, _ = text.partition(spelled)
        if hit:
            return before.count("\n") + 1
    return 1
