"""A bound that the machine's noise would break is found; one that a person could feel is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.lint import Rule, bound_problems
from lab.scenario_file import load_all, parse
from lab.settings import CHECKOUT

FILES = {
    path.name: path.read_text("utf-8")
    for path in (CHECKOUT / "scenarios" / "slow-shelves").iterdir()
    if path.suffix in {".yaml", ".md"}
}
EDGE = "measure: requests, route: POST /login, statistic: p50"
SPAN = "measure: span-duration, of: {service: auth, kind: server}, statistic: p95"


def rules_against(check: str, bound: str) -> list[Rule]:
    """What is said of a case with one more check, which must stand on the line that is named."""
    added = f"  - {{{check}, bound: '{bound}', label: one more}}"
    text = FILES["scenario.yaml"].replace("\nchecks:\n", f"\nchecks:\n{added}\n")
    problems = bound_problems(parse({**FILES, "scenario.yaml": text}, "slow-shelves"))
    line = text.splitlines().index(added) + 1
    assert all((each.line, each.field) == (line, "checks[0].bound") for each in problems)
    rules = [each.rule for each in problems]
    assert rules == rules_against_an_exhibit(check, bound)
    return rules


def rules_against_an_exhibit(check: str, bound: str) -> list[Rule]:
    """The same, where the check is what a text rests on."""
    added = f"  one-more: {{{check}, bound: '{bound}', label: one more}}"
    text = FILES["scenario.yaml"].replace("\nexhibits:\n", f"\nexhibits:\n{added}\n")
    debrief = FILES["debrief.md"] + "\n[so](exhibit:one-more)\n"
    files = {**FILES, "scenario.yaml": text, "debrief.md": debrief}
    problems = bound_problems(parse(files, "slow-shelves"))
    line = text.splitlines().index(added) + 1
    assert all((each.line, each.field) == (line, "exhibits.one-more.bound") for each in problems)
    return [each.rule for each in problems]


@pytest.mark.parametrize(
    "bound", ["<= reference + 99ms", "< reference + 50ms", "unchanged", "reference ±15%"]
)
def test_customers_whom_nothing_hurts_get_room_that_can_be_felt(bound: str) -> None:
    """Half of that may be another program that was busy just then."""
    assert rules_against(EDGE, bound) == [Rule.UNFELT_AT_THE_EDGE]


@pytest.mark.parametrize("bound", ["<= reference + 14ms", "reference ±10%", "reference ±5ms"])
def test_a_span_that_should_be_as_ever_gets_less_room_but_some(bound: str) -> None:
    """It tells an innocent hop from a hurt one, and two windows of one machine are not alike."""
    assert rules_against(SPAN, bound) == [Rule.UNFELT_IN_A_SPAN]


@pytest.mark.parametrize(
    ("check", "bound"),
    [
        (EDGE, "<= reference + 100ms"),
        (EDGE, "reference ±100ms"),
        (EDGE, "reference + 300ms..reference + 320ms"),
        (EDGE, ">= 1.8x reference"),
        (SPAN, "unchanged"),
        (SPAN, "<= reference + 15ms"),
        (SPAN, "reference + 160ms ±1%"),
        ("measure: requests, route: POST /login, statistic: error_rate", "== 0%"),
    ],
)
def test_room_enough_and_bounds_on_a_change_are_left_alone(check: str, bound: str) -> None:
    """What says that something did happen may be as exact as the author can prove."""
    assert rules_against(check, bound) == []


def test_every_case_of_the_house_leaves_room() -> None:
    """And so does what `lab new` begins with."""
    folder: Path = CHECKOUT / "scenarios"
    assert [each for one in load_all(folder).values() for each in bound_problems(one)] == []


@pytest.mark.parametrize(
    ("bound", "found"),
    [
        ("<= 150ms", ["150ms"]),
        ("<= 0.15s", ["0.15s"]),
        ("150ms ±10%", ["150ms"]),
        ("<= $(delay)", []),
        ("<= $(1.5x delay)", []),
        ("<= reference + 151ms", []),
        ("<= 1150ms", []),
    ],
)
def test_a_varied_duration_is_not_typed_where_something_is_compared_with_it(
    bound: str, found: list[str]
) -> None:
    """Another seed has another delay there, and would refute a case that is fair."""
    added = f"  - {{{SPAN}, bound: '{bound}', label: one more}}"
    text = FILES["scenario.yaml"].replace("\nchecks:\n", f"\nchecks:\n{added}\n")
    problems = bound_problems(parse({**FILES, "scenario.yaml": text}, "slow-shelves"))
    typed = [each for each in problems if each.rule is Rule.TYPED_VARIATION]
    assert [each.found for each in typed] == found
    line = text.splitlines().index(added) + 1
    assert all((each.line, each.field) == (line, "checks[0].bound") for each in typed)
