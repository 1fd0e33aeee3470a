"""Chance in a case, as a scenario writes it."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from lab.domain.dice import MOST_THROWS, Dice
from lab.scenario_file.checks import PredicateEntry
from lab.scenario_file.values import Count, CountBound, EdgeName, Entry, Text


class DiceEntry(Entry):
    """How the roll of a fractional fault is read from the warm-up's traces, and when it is fair."""

    edge: EdgeName = Field(description="The edge of that fault.")
    of: PredicateEntry = Field(description="A span of a connection that was hit.")
    by: Text = Field(min_length=1, description="The attribute that tells connections apart.")
    values: CountBound = Field(description="How many values of it must be hit.")
    throws: Annotated[Count, Field(ge=1, le=MOST_THROWS)] = Field(
        MOST_THROWS, description="How often the dice fall at most before the run is incomplete."
    )

    def dice(self) -> Dice:
        """As the domain has it."""
        return Dice(self.edge, self.of.predicate(), self.by, self.values, self.throws)
