"""What a learner reads before solving, title, briefing and hints, must not solve it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from lab.domain.exhibit import exhibits_in
from lab.domain.predicate import Predicate
from lab.domain.scenario import Scenario
from lab.frozen import dataclass
from lab.lint.problem import Problem, Rule
from lab.lint.vocabulary import (
    CONTROL_WORDS,
    EDGE_NAMES,
    Pattern,
    case_ids,
    scenario_names,
    tells,
)
from lab.scenario_file import BRIEFING, GRAFANA, SCENARIO, filled_text
from lab.scenario_file.positioned_yaml import read
from lab.shop.topology import DATABASES, EDGES, Edge

LONGEST_BRIEFING_WORDS: Final = 120


@dataclass(frozen=True, slots=True)
class Passage:
    """A text of a scenario; ``line`` is where it begins.

    ``is_spread`` where each line of the text is one of the file; the others may be
    folded, and only where they begin is known.
    """

    file: str
    line: int
    field: str
    text: str
    is_spread: bool = False

    def problem(self, rule: Rule, found: str, start: int = 0) -> Problem:
        """A problem at a place in the text."""
        further = self.text.count("\n", 0, start) if self.is_spread else 0
        return Problem(self.file, self.line + further, self.field, rule, found)


def text_problems(scenario: Scenario, grafana: str | None = None) -> tuple[Problem, ...]:
    """Everything that title, briefing with its exhibits, and hints of ``scenario`` give away.

    So may ``grafana``, its way through Grafana, which is read before the first hint.
    """
    title, briefing, *hints = _passages(scenario)
    long = [briefing, *_way_through_grafana(scenario, grafana)]
    shown = [*long, *_exhibits_of_the_briefing(scenario)]
    problems = list(_told((title, *shown, *hints), _ever(scenario)))
    # Its own title is what a title says; of the rest none may, so that no search finds the case.
    names = scenario_names({scenario.id: scenario.title})
    problems += _told((*shown, *hints), ((Rule.SCENARIO_NAME, names),))
    problems += _told((title, *shown, *hints[:-1]), tuple(_before_the_last_hint(scenario)))
    for passage in long:
        words = len(passage.text.split())
        if words > LONGEST_BRIEFING_WORDS:
            problems.append(passage.problem(Rule.BRIEFING_LENGTH, f"{words} words"))
    problems += _needless_exceptions(scenario, (title, briefing))
    return tuple(problems)


def culprit_predicates(scenario: Scenario) -> tuple[Predicate, ...]:
    """What the culprit and the accomplice are; none where nobody did it."""
    accomplice = scenario.truth.accomplice
    alternatives = (*scenario.truth.culprit, *(accomplice.culprit if accomplice else ()))
    return tuple(each.predicate for each in alternatives)


def span_name_pattern(name: str) -> Pattern:
    """A span's name as a whole; ``GET`` is not meant in the route ``GET /products``."""
    return re.compile(rf"(?<![\w.]){re.escape(name.rstrip(';'))}(?!\w|\.\w| /)")


def service_pattern(service: str) -> Pattern:
    """A service's name; ``/checkout`` is a route, and ``checkout-payments`` an edge."""
    return re.compile(rf"(?i)(?<![\w/-]){re.escape(service)}(?![\w-])")


def _passages(scenario: Scenario) -> tuple[Passage, ...]:
    """The title, the briefing, and every hint in its order."""
    folder = f"scenarios/{scenario.id}"
    lines = read(scenario.source[SCENARIO])
    briefing = filled_text(scenario.source[BRIEFING], scenario.plan)
    hints = (
        Passage(f"{folder}/{SCENARIO}", lines.line(("hints", n)), f"hints[{n}]", hint)
        for n, hint in enumerate(scenario.hints)
    )
    return (
        Passage(f"{folder}/{SCENARIO}", lines.line(("title",)), "title", scenario.title),
        Passage(f"{folder}/{BRIEFING}", 1, "", briefing, is_spread=True),
        *hints,
    )


def _exhibits_of_the_briefing(scenario: Scenario) -> Iterator[Passage]:
    """Names and claims of what the briefing links to: they can be read as soon as it can."""
    lines = read(scenario.source[SCENARIO])
    for name in exhibits_in(scenario.briefing):
        line = lines.line(("exhibits", name))
        text = f"{name.replace('-', ' ')}: {scenario.exhibits[name].label}"
        yield Passage(f"scenarios/{scenario.id}/{SCENARIO}", line, f"exhibits.{name}", text)


def _way_through_grafana(scenario: Scenario, text: str | None) -> tuple[Passage, ...]:
    if text is None:
        return ()
    return (Passage(f"scenarios/{scenario.id}/{GRAFANA}", 1, "", text, is_spread=True),)


def _told(
    passages: Sequence[Passage], patterns: Sequence[tuple[Rule, Pattern]]
) -> Iterator[Problem]:
    for passage in passages:
        for tell in tells(passage.text, patterns):
            yield passage.problem(tell.rule, tell.found, tell.start)


def _ever(scenario: Scenario) -> tuple[tuple[Rule, Pattern], ...]:
    return (
        (Rule.CONTROL_WORD, CONTROL_WORDS),
        (Rule.CASE_ID, case_ids([scenario.id])),
    )


def _before_the_last_hint(scenario: Scenario) -> Iterator[tuple[Rule, Pattern]]:
    predicates = culprit_predicates(scenario)
    yield Rule.EDGE_NAME, EDGE_NAMES
    for edge in _culprit_edges(scenario):
        yield Rule.EDGE_NAME, _edge_in_other_words(edge)
    for name in sorted({each.name for each in predicates if each.name}):
        yield Rule.CULPRIT_SPAN, span_name_pattern(name)
    for service in sorted(_culprit_services(scenario) - scenario.briefing_may_name.keys()):
        yield Rule.CULPRIT_SERVICE, service_pattern(service)
    for mechanism in sorted(scenario.truth.mechanisms):
        spelled = r"[-\s_]?".join(mechanism.value.split("-"))
        yield Rule.MECHANISM_WORD, re.compile(rf"(?i)(?<!\w){spelled}s?(?!\w)")


def _culprit_services(scenario: Scenario) -> set[str]:
    return {each.service for each in culprit_predicates(scenario) if each.service}


def _culprit_edges(scenario: Scenario) -> list[Edge]:
    hurt = {fault.edge for fault in scenario.faults}
    hurt |= {f"{each.service}-{each.peer}" for each in culprit_predicates(scenario)}
    return [edge for edge in EDGES if edge.name in hurt]


def _edge_in_other_words(edge: Edge) -> Pattern:
    """``auth → users_db``, and ``users_db`` alone, to which only one edge leads."""
    arrow = r"[`*\s]*(?:->|→|=>|\bto\b)[`*\s]*"
    ways = [rf"{re.escape(edge.caller)}{arrow}{re.escape(edge.callee)}"]
    if edge.callee in DATABASES and [each.callee for each in EDGES].count(edge.callee) == 1:
        ways.append(rf"(?<![\w-]){re.escape(edge.callee)}")
    return re.compile(rf"(?i)(?:{'|'.join(ways)})(?!\w)")


def _needless_exceptions(scenario: Scenario, shown: Sequence[Passage]) -> Iterator[Problem]:
    """An exception that excuses nothing would excuse tomorrow's slip."""
    lines = read(scenario.source[SCENARIO])
    for service in scenario.briefing_may_name:
        is_named = any(service_pattern(service).search(each.text) for each in shown)
        if not is_named or service not in _culprit_services(scenario):
            field = f"briefing_may_name.{service}"
            line = lines.line(("briefing_may_name", service))
            file = f"scenarios/{scenario.id}/{SCENARIO}"
            yield Problem(file, line, field, Rule.NEEDLESS_EXCEPTION, service)
