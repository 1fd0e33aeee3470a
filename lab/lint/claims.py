"""Every claim of a scenario's texts links to an exhibit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from lab.domain.exhibit import LINK
from lab.domain.scenario import Scenario
from lab.lint.problem import Problem, Rule
from lab.scenario_file import BRIEFING, DEBRIEF

ARGUED: Final = ("How the spans prove it", "Why the others are innocent")
"""The parts of a debrief whose every bullet is a claim."""

_HEADING: Final = re.compile(r"^## +(.+?) *$", re.MULTILINE)
_BULLET: Final = re.compile(r"^- (?:.+(?:\n(?!- |\n|#).+)*)", re.MULTILINE)
_SENTENCE: Final = re.compile(r"[^.!?]+(?:[.!?](?!\s)[^.!?]*)*[.!?]?")
_ABSOLUTE: Final = re.compile(r"(?i)\b(?:nobody|always|only|never|every(?:body|one)?|none)\b")
_NUMBER: Final = re.compile(r"\d")
_NOT_CLAIMED: Final = re.compile(r"`[^`\n]*`|^\d\d:\d\d\.|\bp\d\d\b")
"""Code, the time at which a pager message begins, and the names of percentiles."""


def claim_problems(scenario: Scenario) -> tuple[Problem, ...]:
    """Every claim of the briefing, and of the debrief's argument, without an exhibit."""
    return (*_of_briefing(scenario), *_of_debrief(scenario))


def _of_briefing(scenario: Scenario) -> Iterator[Problem]:
    text = scenario.source[BRIEFING]
    for sentence in _SENTENCE.finditer(text):
        said = _NOT_CLAIMED.sub("", sentence[0].strip())
        absolute, number = _ABSOLUTE.search(said), _number_typed(said)
        if (absolute and not LINK.search(said)) or number:
            at = sentence.start() + len(sentence[0]) - len(sentence[0].lstrip())
            found = " ".join(sentence[0].split())
            yield _problem(scenario, BRIEFING, text, at, found)


def _of_debrief(scenario: Scenario) -> Iterator[Problem]:
    text = scenario.source[DEBRIEF]
    headings = [*_HEADING.finditer(text)]
    ends = [*(each.start() for each in headings[1:]), len(text)]
    for heading, end in zip(headings, ends, strict=True):
        if heading[1] not in ARGUED:
            continue
        for bullet in _BULLET.finditer(text, heading.end(), end):
            if not LINK.search(bullet[0]) or _number_typed(bullet[0]):
                yield _problem(
                    scenario, DEBRIEF, text, bullet.start(), " ".join(bullet[0].split())[:80]
                )


def _number_typed(text: str) -> bool:
    """Whether digits stand outside of links, whose numbers are computed, and of code."""
    return bool(_NUMBER.search(_NOT_CLAIMED.sub("", LINK.sub("", text)))) or any(
        _NUMBER.search(_NOT_CLAIMED.sub("", link["words"])) for link in LINK.finditer(text)
    )


def _problem(scenario: Scenario, file: str, text: str, at: int, found: str) -> Problem:
    line = text.count("\n", 0, at) + 1
    return Problem(f"scenarios/{scenario.id}/{file}", line, "", Rule.UNLINKED_CLAIM, found)
