"""The hints of a case as they are offered: what each is for and costs, before its words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from lab.domain.case import Case
from lab.domain.ledger import Ledger
from lab.domain.verdict import HINT_COST
from lab.frozen import dataclass
from lab.investigation.solving.exhibits import told, with_measure

_WAYS: Final = tuple(
    (title, re.compile(words, re.IGNORECASE))
    for title, words in (
        ("what to count", r"\bcount|\bhow many\b|\bhow often\b|\bone by one\b"),
        ("the customers", r"\bcustomers?\b|\btenant|\bteams?\b|\bdatabase people\b"),
        ("sizes", r"\bsizes?\b|\bpages\b|\bbytes\b|\blarge\b|\bsmall\b"),
        ("the clock", r"\bclocks?\b|\bmoments?\b|\bseconds?\b|\brhythm\b|\bwhen\b"),
        ("how it ended", r"\bends?\b|\bended\b|\banswer|\bexception|\bstatus\b|\bfail"),
        ("attributes", r"\battribute|`[a-z_]+\.[a-z_.]+`|`[a-z]+_[a-z_]+`"),
        ("red and green", r"\bred\b|\bgreen\b|\bcolour\b"),
        ("the way down", r"\bwalk\b|\bgo down\b|\bdeepest\b|\bbelow\b|\bbottom\b|\bfollow\b"),
        ("a trace of before", r"\bcompare|\bbeside\b|\bbefore\b|\breference\b|\bhealthy\b"),
        ("logs and graphs", r"\blogs?\b|\bmetrics?\b|\bgraphs?\b|\bmedian\b|\baverage\b"),
        ("durations", r"\bslow|\bfast|\bquick|\blong|\bdurations?\b|\btimes?\b|\bwait"),
        ("what is there at all", r"\bspans?\b|\btraces?\b|\bcalls?\b|\bmissing\b"),
    )
)
"""Ways of looking, the rarer first, and the words by which a hint speaks of them.

A title says how a hint looks, and never at what: that would be given away for nothing.
"""


@dataclass(frozen=True, slots=True)
class OfferedHint:
    """``text`` is None until it was read; ``cost`` in points, due only once the case is solved."""

    number: int
    title: str
    cost: int
    text: str | None


def offered_hints(case: Case, ledger: Ledger) -> tuple[OfferedHint, ...]:
    """All hints of a case in order; the last one is the solution."""
    hints = case.scenario.hints
    is_free = ledger.may_see_answers or ledger.is_example
    return tuple(
        OfferedHint(
            number=number,
            title=title,
            cost=0 if is_free or number in ledger.hints_read else HINT_COST,
            text=told(text, case, with_measure) if number in ledger.hints_read else None,
        )
        for number, (text, title) in enumerate(zip(hints, hint_titles(hints), strict=True), start=1)
    )


def hint_titles(hints: Sequence[str]) -> Sequence[str]:
    """A title of each by its way of looking; no two of a case are the same."""
    return list(_titles(hints))


def _titles(hints: Sequence[str]) -> Iterator[str]:
    told: set[str] = set()
    for number, text in enumerate(hints[:-1], start=1):
        ways = (way for way, words in _WAYS if way not in told and words.search(text))
        way = next(ways, "one step further")
        if way in told:
            way = f"hint {number}"
        told.add(way)
        yield way.capitalize()
    if hints:
        yield "The solution"
