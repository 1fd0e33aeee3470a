"""What the detective answers: a ranking, and whether there is anybody to accuse."""

from __future__ import annotations

from lab.domain.mechanism import Mechanism, Scope
from lab.domain.reference import Operation
from lab.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Partner:
    """A second party, without which the first would have had nothing to do."""

    example: tuple[str, str]
    mechanism: Mechanism
    why: str


@dataclass(frozen=True, slots=True)
class Suspect:
    """Spans of one edge or one operation, and what share of the change they explain.

    ``examples`` are (trace id, span id) of typical ones, the best first.
    """

    operations: tuple[Operation, ...]
    score: float
    mechanism: Mechanism
    examples: tuple[tuple[str, str], ...]
    reasons: tuple[str, ...]
    doubt: str | None = None
    partner: Partner | None = None

    @property
    def operation(self) -> Operation:
        """The one that explains most."""
        return self.operations[0]

    @property
    def who(self) -> str:
        """Whom, for people: ``catalog SELECT (catalog_db)``."""
        who = self.operation
        return f"{who.service} {who.name}" + (f" ({who.peer})" if who.peer else "")

    @property
    def explains(self) -> str:
        """How much of the change, for people."""
        return share_said(self.score)


def share_said(share: float) -> str:
    """``76%``; ``under 1%`` of what is little, and not nothing."""
    return "under 1%" if 0 < share < 0.01 else f"{share:.0%}"


@dataclass(frozen=True, slots=True)
class Answer:
    """The ranking, and whether there is anybody to accuse.

    ``nobody`` is the probability that nobody did it; ``cannot_tell`` says what evidence is
    missing where the first suspect must not be believed. ``margin`` is by how much the
    first explains more than the second.
    """

    suspects: tuple[Suspect, ...]
    nobody: float
    scope: Scope
    hurt_share: float
    cannot_tell: str | None = None

    @property
    def first(self) -> Suspect | None:
        """Whom to accuse; None where nobody, or where it cannot be told."""
        if self.accuses_nobody or not self.suspects:
            return None
        return self.suspects[0]

    @property
    def accuses_nobody(self) -> bool:
        """Whether that is the more probable answer."""
        return self.nobody > 0.5

    @property
    def margin(self) -> float:
        """The first one's score less the second one's."""
        scores = [each.score for each in self.suspects[:2]]
        return scores[0] - scores[1] if len(scores) > 1 else sum(scores)
