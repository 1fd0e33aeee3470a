"""So many of so many: the number that most findings are made of. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from lab.domain.bound import Bound
from lab.domain.journal import Step
from lab.domain.proof import Finding
from lab.frozen import dataclass

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many; of none at all no share is known."""

    hits: int
    total: int
    of: str

    @classmethod
    def count(cls, items: Iterable[Item], is_hit: Callable[[Item], bool], of: str) -> Share:
        """Ask ``is_hit`` of every item."""
        answers = [is_hit(item) for item in items]
        return cls(sum(answers), len(answers), of)

    @property
    def value(self) -> float | None:
        """The fraction; None of nothing."""
        return self.hits / self.total if self.total else None

    def __str__(self) -> str:
        """For people: ``97.0% (97 of 100 affected traces)``."""
        if self.value is None:
            return f"no {self.of}"
        return f"{self.value:.1%} ({self.hits} of {self.total} {self.of})"

    def finding(self, step: Step, check: str, bound: Bound, *, integrity: bool = False) -> Finding:
        """Judge the share by ``bound``."""
        return Finding(
            step, check, f"{bound} of {self.of}", str(self), bound.holds(self.value), integrity
        )
