"""Twins of a scenario: the same run but for one thing, and what that does to the symptom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum
from typing import Final

from lab.domain.variation import SettingValue
from lab.frozen import dataclass


class Tier(StrEnum):
    """How often a scenario is proven: the core at every change, all of them before a release."""

    CORE = "core"
    FULL = "full"


class Part(StrEnum):
    """What a scenario does to the shop, part by part."""

    FAULTS = "faults"
    AMBIENT = "ambient"
    CONDITIONS = "conditions"
    LOAD = "load"


class Expectation(StrEnum):
    """What becomes of the symptom in a twin.

    *Healed*: in the crime's window it obeys the bound it has on a healthy day.
    *Unchanged*: it obeys the bound it has in the crime.
    """

    HEALED = "healed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Drop:
    """A part that a twin leaves out; with ``number``, one fault of it, counted from 0."""

    part: Part
    number: int | None = None

    def __str__(self) -> str:
        """As a scenario writes it: ``faults[1]``."""
        return self.part.value if self.number is None else f"{self.part}[{self.number}]"


@dataclass(frozen=True, slots=True)
class Twin:
    """A run that leaves out what ``drop`` names and lays ``settings`` over the conditions."""

    name: str
    expect: Expectation
    drop: tuple[Drop, ...] = ()
    settings: Mapping[str, SettingValue] = field(default_factory=dict)


CULPRIT_TWIN: Final = Twin(
    "without its culprit",
    Expectation.HEALED,
    (Drop(Part.FAULTS), Drop(Part.CONDITIONS), Drop(Part.LOAD)),
)
"""Of every scenario that names no other healed twin; what is ambient is never the culprit."""
