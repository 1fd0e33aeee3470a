"""Every claim of a scenario's texts links to an exhibit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lab.domain.exhibit import LINK, MEASURED, exhibits_in
from lab.domain.scenario import Scenario
from lab.lint.problem import Problem, Rule
from lab.scenario_file import BRIEFING, DEBRIEF, GRAFANA

ARGUED: Final = ("How the spans prove it", "Why the others are innocent")
"""The parts of a debrief whose every bullet is a claim."""

_HEADING: Final = re.compile(r"^## +(.+?) *$", re.MULTILINE)
_BULLET: Final = re.compile(r"^- (?:.+(?:\n(?!- |\n|#).+)*)", re.MULTILINE)
_SENTENCE: Final = re.compile(r"[^.!?]+(?:[.!?](?!\s)[^.!?]*)*[.!?]?")
_ABSOLUTE: Final = re.compile(r"(?i)\b(?:nobody|always|only|never|every(?:body|one)?|none)\b")
_NUMBER: Final = re.compile(r"\d")
_NOT_CLAIMED: Final = re.compile(r"`[^`\n]*`|^\d\d:\d\d\.|\bp\d\d\b|\$\([^()\n]*\)")
"""Code, the time at which a pager message begins, names of percentiles, and placeholders."""

_SAID: Final = re.compile(r"\"(?:[^\"\n]|\n(?!\n))*\"|“(?:[^”\n]|\n(?!\n))*”|^>.*$", re.MULTILINE)
"""Somebody's own words, which may be wrong; a number in them is measured all the same."""

_QUERY: Final = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_LABEL: Final = re.compile(r"(?<!\w)\*[^*\n]+\*(?!\w)")
"""What is called so on a screen: *Failed calls per second*."""


def claim_problems(scenario: Scenario, grafana: str | None = None) -> tuple[Problem, ...]:
    """Every claim of the briefing, and of the debrief's argument, without an exhibit.

    And of ``grafana``, its way through Grafana, where that is given.
    """
    of_grafana = () if grafana is None else _of_grafana(scenario, grafana)
    return (*_of_briefing(scenario), *_of_debrief(scenario), *of_grafana)


def _of_briefing(scenario: Scenario) -> Iterator[Problem]:
    text = scenario.source[BRIEFING]
    own = _blanked(_SAID, text)
    for start, end in _claims(text, own):
        yield _problem(scenario, BRIEFING, text, start, " ".join(text[start:end].split()))


def _of_grafana(scenario: Scenario, text: str) -> Iterator[Problem]:
    """It is read before the case is solved, so it tells no number that the briefing does not."""
    # What stands behind a block of code is a sentence of its own.
    own = _blanked(_LABEL, _blanked(_QUERY, text, "."))
    for start, end in _claims(own, own):
        yield _problem(scenario, GRAFANA, text, start, " ".join(text[start:end].split()))
    shown = exhibits_in(scenario.briefing)
    for link in LINK.finditer(text):
        if link["name"] not in scenario.exhibits:
            yield _problem(scenario, GRAFANA, text, link.start(), link[0], Rule.NO_EXHIBIT)
        elif MEASURED in link["words"] and link["name"] not in shown:
            yield _problem(scenario, GRAFANA, text, link.start(), link[0], Rule.EARLY_NUMBER)


def _claims(text: str, own: str) -> Iterator[tuple[int, int]]:
    """Where a sentence of ``text`` claims without a link; ``own`` is what of it is claimed."""
    for sentence in _SENTENCE.finditer(text):
        whole = sentence[0]
        start = sentence.start() + len(whole) - len(whole.lstrip())
        said = _NOT_CLAIMED.sub("", whole.strip())
        claimed = _NOT_CLAIMED.sub("", own[start : sentence.end()])
        if _number_typed(said) or (_ABSOLUTE.search(claimed) and not LINK.search(said)):
            yield start, sentence.end()


def _blanked(pattern: re.Pattern[str], text: str, first: str = "") -> str:
    """``text`` in the same places, with ``first`` and spaces for what ``pattern`` finds."""
    return pattern.sub(lambda it: first + re.sub(r"[^\n]", " ", it[0])[len(first) :], text)


def _of_debrief(scenario: Scenario) -> Iterator[Problem]:
    text = scenario.source[DEBRIEF]
    headings = [*_HEADING.finditer(text)]
    ends = [*(each.start() for each in headings[1:]), len(text)]
    for heading, end in zip(headings, ends, strict=True):
        if heading[1] not in ARGUED:
            continue
        for bullet in _BULLET.finditer(text, heading.end(), end):
            if not LINK.search(bullet[0]) or _number_typed(bullet[0]):
                found = " ".join(bullet[0].split())[:80]
                yield _problem(scenario, DEBRIEF, text, bullet.start(), found)


def _number_typed(text: str) -> bool:
    """Whether digits stand outside of links, whose numbers are computed, and of code."""
    return bool(_NUMBER.search(_NOT_CLAIMED.sub("", LINK.sub("", text)))) or any(
        _NUMBER.search(_NOT_CLAIMED.sub("", link["words"])) for link in LINK.finditer(text)
    )


def _problem(
    scenario: Scenario, file: str, text: str, at: int, found: str, rule: Rule = Rule.UNLINKED_CLAIM
) -> Problem:
    line = text.count("\n", 0, at) + 1
    return Problem(f"scenarios/{scenario.id}/{file}", line, "", rule, found)
