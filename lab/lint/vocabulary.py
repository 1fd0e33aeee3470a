"""What nothing may say that a learner can read: the lab's own words and names, as patterns."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Final

from lab.frozen import dataclass
from lab.lint.problem import Rule
from lab.shop.topology import EDGES

Pattern = re.Pattern[str]


@dataclass(frozen=True, slots=True)
class Tell:
    """Something that gives a case away: the rule against it, the words, and where they begin."""

    rule: Rule
    found: str
    start: int


# "release" and "please" end in it; "leaseId" and "theLease" do not.
CONTROL_WORDS: Final = re.compile(
    r"(?i:toxi|chaos|inject|warden|scenario|culprit|decoy)\w*"
    r"|(?<![A-Za-z])(?i:lease)\w*|(?<=[a-z])Lease\w*"
)

EDGE_NAMES: Final = re.compile(
    rf"(?i)(?<![a-z0-9])(?:{'|'.join(re.escape(edge.name) for edge in EDGES)})(?![a-z0-9])"
)


def scenario_names(titles: Mapping[str, str]) -> Pattern:
    """Any id, or any title (id → title) whatever white space is in it; no case id."""
    ids = _any(map(re.escape, titles))
    spaced = _any(r"\s+".join(map(re.escape, title.split())) for title in titles.values())
    return re.compile(rf"(?i)(?<![a-z0-9])(?:(?:{ids})(?!-\d)|{spaced})(?![a-z0-9])")


def case_ids(scenario_ids: Collection[str]) -> Pattern:
    """Any ``<scenario-id>-<n>``."""
    return re.compile(rf"(?i)(?<![a-z0-9])(?:{_any(map(re.escape, scenario_ids))})-\d+(?![a-z0-9])")


def tells(text: str, patterns: Collection[tuple[Rule, Pattern]]) -> Iterator[Tell]:
    """Every match of every pattern."""
    for rule, pattern in patterns:
        for match in pattern.finditer(text):
            yield Tell(rule, match[0], match.start())


def _any(alternatives: Collection[str] | Iterator[str]) -> str:
    # Longest first, so that what is found is the whole of it. Of nothing, match nothing.
    return "|".join(sorted(alternatives, key=len, reverse=True)) or "(?!)"
