"""Which cases of a level are left to solve."""

from __future__ import annotations

import pytest

from lab.domain.case import CaseSummary
from lab.investigation.solving.choice import unsolved

LEVELS = {"a": 1, "b": 1, "c": 2}


def case(scenario: str, *, solved: bool = False, points: int | None = None) -> CaseSummary:
    return CaseSummary("case-1", scenario, "A case", 1, 0.0, None, 1, solved, points)


@pytest.mark.parametrize(
    ("cases", "left"),
    [
        ((), ("a", "b")),
        ((case("a"),), ("a", "b")),
        ((case("a", solved=True, points=90),), ("b",)),
        ((case("a", points=0),), ("b",)),
        ((case("a", points=0), case("b", solved=True, points=1)), ("a", "b")),
        ((case("c", points=0), case("gone", points=0)), ("a", "b")),
    ],
    ids=["none yet", "open", "solved", "given up", "all of them", "others"],
)
def test_what_is_solved_or_given_up_is_not_drawn_again(
    cases: tuple[CaseSummary, ...], left: tuple[str, ...]
) -> None:
    """Until nothing else is left: another seed makes another case of it."""
    assert unsolved(1, LEVELS, cases) == left


def test_a_level_without_cases_has_none() -> None:
    """Nor does another take its place."""
    assert unsolved(5, LEVELS, ()) == ()
