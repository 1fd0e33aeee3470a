"""Chance in a case: a fault that hurts some connections must hurt a fair number of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from lab.domain.bound import Bound
from lab.domain.predicate import Predicate
from lab.domain.reference import ReferenceStats
from lab.domain.trace import AttributeValue, Trace

MOST_THROWS: Final = 3


@dataclass(frozen=True, slots=True)
class Dice:
    """How the roll of the fractional fault on ``edge`` is read, and when it is good.

    Toxiproxy rolls once a connection. The warm-up's traces show which were hit: those
    whose spans fit ``predicate``, told apart by the attribute ``by``. Where their number
    does not obey ``bound`` the fault is put on anew, until there were ``throws`` throws.
    """

    edge: str
    predicate: Predicate
    by: str
    bound: Bound
    throws: int = MOST_THROWS

    def hit(self, traces: Iterable[Trace]) -> frozenset[AttributeValue]:
        """The values of ``by`` that were hit; the reference plays no part in it."""
        nothing = ReferenceStats()
        return frozenset(
            span.attributes[self.by]
            for trace in traces
            for span in self.predicate.matching(trace, nothing)
            if self.by in span.attributes
        )
