"""A finding of the linter: where, which rule, and what was found."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from enum import StrEnum
from typing import Final

from lab.frozen import dataclass


class Rule(StrEnum):
    """What is checked; ``expected`` says it in half a sentence."""

    expected: str

    def __new__(cls, word: str, expected: str) -> Rule:
        """Keep the word as the value and what is expected beside it."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.expected = expected
        return member

    CONTROL_WORD = "control-word", "no word of the lab's own machinery"
    SCENARIO_NAME = "scenario-name", "no scenario's id or title"
    EDGE_NAME = "edge-name", "no edge, whose name is that of its proxy"
    LEASE_ID = "lease-id", "no lease's id"
    CASE_ID = "case-id", "no case's id"
    CULPRIT_SPAN = "culprit-span", "no span of the culprit's before the last hint"
    CULPRIT_SERVICE = (
        "culprit-service",
        "no service of the culprit's before the last hint without a reason in briefing_may_name",
    )
    MECHANISM_WORD = "mechanism-word", "no mechanism before the last hint"
    BRIEFING_LENGTH = "briefing-length", "at most 120 words"
    NEEDLESS_EXCEPTION = (
        "needless-exception",
        "only a service of the culprit's that title or briefing do name",
    )
    UNFELT_AT_THE_EDGE = (
        "unfelt-at-the-edge",
        "room for 100 ms above the reference: less is nothing that a person could feel",
    )
    UNFELT_IN_A_SPAN = (
        "unfelt-in-a-span",
        "room for 15 ms above the reference: less is noise between two windows",
    )
    TYPED_VARIATION = (
        "typed-variation",
        "a placeholder such as $(delay), since another seed has another value there",
    )
    UNLINKED_CLAIM = (
        "unlinked-claim",
        "a link to an exhibit, and {} in place of each number",
    )
    NO_EXHIBIT = "no-exhibit", "a link to an exhibit of the scenario"
    EARLY_NUMBER = (
        "early-number",
        "a number that the briefing links to as well, for the others are not shown before",
    )
    RIVAL = (
        "rival",
        "an answer that is accepted (equals), or a decoy with its reason",
    )
    ONE_CASE = "one-case", "nothing made for one case"
    SCENARIO_FILE = "scenario-file", "a scenario that can be read"
    UNREADABLE = "unreadable", "JSON"


@dataclass(frozen=True, slots=True)
class Problem:
    """One place that says too much.

    ``line`` counts from 1, 0 where the whole file is meant. ``field`` is a path as
    ``jq`` takes it, ``times`` how often the file says the same in such a field.
    """

    file: str
    line: int
    field: str
    rule: Rule
    found: str
    times: int = 1

    def __str__(self) -> str:
        """``file:line field: rule: expected …, found …``."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        field = f" {self.field}" if self.field else ""
        again = f" ({self.times} times)" if self.times > 1 else ""
        return (
            f"{place}{field}: {self.rule}: expected {self.rule.expected}, "
            f"found {self.found!r}{again}"
        )


_INDEX: Final = re.compile(r"\[\d+\]")
_TOLD: Final = re.compile(r"(?P<file>[^:]+)(?::(?P<line>\d+))?(?: (?P<field>[^\s:]+))?: ?")


def merged(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The first of all that differ in nothing but their line and the indexes in their field.

    What leaks, leaks with every request; ten thousand lines would hide the second leak.
    """
    first: dict[tuple[str, str, Rule, str], Problem] = {}
    for problem in problems:
        field = _INDEX.sub("[]", problem.field)
        key = (problem.file, field, problem.rule, problem.found)
        before = first.get(key)
        first[key] = replace(before, times=before.times + 1) if before else problem
    return tuple(first.values())


def file_problem(told: str) -> Problem:
    """A problem as the reader of scenario files tells it: ``file:line field: message``."""
    place = _TOLD.match(told)
    if place is None:
        return Problem("", 0, "", Rule.SCENARIO_FILE, told)
    return Problem(
        place["file"],
        int(place["line"] or 0),
        place["field"] or "",
        Rule.SCENARIO_FILE,
        told[place.end() :],
    )
