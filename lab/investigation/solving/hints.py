"""The hints of a case as they are offered: what each is for and costs, before its words."""

from __future__ import annotations

from dataclasses import dataclass

from lab.domain.case import Case
from lab.domain.ledger import Ledger
from lab.domain.verdict import HINT_COST
from lab.investigation.solving.exhibits import told, with_measure


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
    count = len(hints)
    is_free = ledger.may_see_answers or ledger.is_example
    return tuple(
        OfferedHint(
            number=number,
            title=_title(number, count),
            cost=0 if is_free or number in ledger.hints_read else HINT_COST,
            text=told(text, case, with_measure) if number in ledger.hints_read else None,
        )
        for number, text in enumerate(hints, start=1)
    )


def _title(number: int, count: int) -> str:
    """By its place alone: a title of its own could give a hint away for nothing."""
    if number == count:
        return "The solution"
    if number == count - 1 and count > 2:
        return "The last step before the solution"
    return "Where to turn first" if number == 1 else "One step further"
