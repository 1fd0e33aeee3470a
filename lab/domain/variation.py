"""What differs from run to run of one scenario, so that no answer can be learned by heart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from itertools import islice, product
from random import Random
from typing import Final

from lab.frozen import dataclass

AS_WRITTEN_SEED: Final = 1
"""The seed of a run that names none: nothing is varied, whatever a scenario could vary."""

SettingValue = str | int | float | bool

Plan = Mapping[str, SettingValue]
"""Name → the value that stands wherever the scenario's files say ``$(name)``."""


@dataclass(frozen=True, slots=True)
class Variation:
    """What there is to choose, and the choices of each, which give one or more names a value.

    The first choice of each is the scenario as it is written. Where there is nothing to
    choose there is one plan, which is empty.
    """

    choices: Mapping[str, tuple[Plan, ...]] = field(default_factory=dict)

    @property
    def as_written(self) -> Plan:
        """The plan of a run without a seed of its own."""
        return _joined(options[0] for options in self.choices.values())

    def drawn(self, seed: int, of: str) -> Plan:
        """The plan that ``seed`` decides for the scenario ``of``: always the same one.

        Every seed but that of the scenario as written changes something, if anything can vary.
        """
        if seed == AS_WRITTEN_SEED or self.count == 1:
            return self.as_written
        number = Random(f"{seed} {of}").randrange(1, self.count)  # noqa: S311 (no secret)
        return next(islice(self.plans(), number, None))

    @property
    def count(self) -> int:
        """How many plans there are."""
        found = 1
        for options in self.choices.values():
            found *= len(options)
        return found

    def plans(self) -> Iterator[Plan]:
        """Every plan, the one that is written first."""
        return map(_joined, product(*self.choices.values()))

    def deviations(self) -> Iterator[Plan]:
        """Every plan in which exactly one choice is another than what is written."""
        for options in self.choices.values():
            for option in options[1:]:
                yield {**self.as_written, **option}


def changes(plan: Plan, written: Plan) -> str:
    """In what ``plan`` differs, in words: ``delay=120ms``; empty where in nothing."""
    return " ".join(f"{name}={value}" for name, value in plan.items() if written.get(name) != value)


def _joined(options: Iterator[Plan] | tuple[Plan, ...]) -> Plan:
    return {name: value for option in options for name, value in option.items()}
