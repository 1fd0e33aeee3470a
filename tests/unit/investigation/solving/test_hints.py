"""The titles of hints: each another, and none gives away what its hint says."""

from __future__ import annotations

import dataclasses

from lab.investigation.solving.hints import hint_titles
from lab.lint.texts import text_problems
from tests.support.recorded_cases import RECORDINGS, recorded


def test_titles_differ_between_the_hints_of_a_case_and_between_cases() -> None:
    """Six equal buttons say nothing; the last one is always the solution."""
    found = {name: tuple(hint_titles(recorded(name).scenario.hints)) for name in RECORDINGS}
    for name, titles in found.items():
        assert len(set(titles)) == len(titles), name
        assert titles[-1] == "The solution"
    assert len(set(found.values())) == len(found)


def test_no_title_gives_anything_away() -> None:
    """What is refused in a hint is not in a title either, which is free."""
    for name in RECORDINGS:
        scenario = recorded(name).scenario
        titles = tuple(hint_titles(scenario.hints))
        told = dataclasses.replace(scenario, hints=titles)
        assert [each for each in text_problems(told) if "hints" in each.field] == [], name


def test_hints_that_all_look_the_same_way_have_titles_of_their_own() -> None:
    titles = hint_titles(["", "", "", "Count.", "Count again.", "Solution."])
    assert len(set(titles)) == 6
    assert list(hint_titles(())) == []
