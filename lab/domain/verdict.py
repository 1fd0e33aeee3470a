"""What an accusation comes to: one class of a closed list, in the class's own words."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from lab.frozen import dataclass

POINTS: Final = 100
"""What a solved case is worth, whatever its difficulty: flat, so that no case is shunned."""

EXAMPLE_LEVEL: Final = 0
"""The level of the worked example, whose solution is told everywhere: it brings no points."""

HINT_COST: Final = 10
"""What each hint takes off, once the case is solved."""

LEAST_POINTS: Final = 10
"""What solving is worth after every hint."""


class VerdictClass(StrEnum):
    """How an accusation is judged; ``sentence`` is the same for every case."""

    sentence: str

    def __new__(cls, word: str, sentence: str) -> VerdictClass:
        """Keep the word as the value and its sentence beside it."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.sentence = sentence
        return member

    UNKNOWN_TRACE = (
        "unknown-trace",
        "The case file holds no such trace, or no such span in it.",
    )
    WRONG_EVIDENCE = (
        "wrong-evidence",
        "This trace does not show the harm: it is healthy, or from outside the crime.",
    )
    SOLVED = ("solved", "Case closed: this is what did it, and how.")
    CLOSE = ("close", "Close: a right answer is in there, but not the whole of it.")
    BYSTANDER = (
        "bystander",
        "A bystander: it looks guilty, and the harm would stay without it.",
    )
    MESSENGER = (
        "messenger",
        "A messenger: it suffers from what somebody else did.",
    )
    INNOCENT = ("innocent", "Innocent: nothing in the evidence speaks against it.")
    SOMEBODY = ("somebody", "Somebody did it: a span in this case is to blame.")


DID_IT: Final = frozenset({VerdictClass.SOLVED, VerdictClass.CLOSE})
"""The span did it; *close* is for a wrong mechanism, or one of two parties."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The class and its text; ``text`` never speaks of a span that was not accused."""

    verdict: VerdictClass
    text: str

    @property
    def is_solved(self) -> bool:
        """Whether the case is closed by it."""
        return self.verdict is VerdictClass.SOLVED


def points(hints_used: int) -> int:
    """What solving is worth after ``hints_used`` hints; an unsolved case costs nothing."""
    return max(LEAST_POINTS, POINTS - HINT_COST * hints_used)
