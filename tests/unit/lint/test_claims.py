"""Claims without an exhibit are found, and numbers that were typed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.lint import Rule
from lab.lint.claims import claim_problems
from lab.scenario_file import grafana_path, load_all
from lab.settings import CHECKOUT

FILES = {
    path.name: path.read_text("utf-8")
    for path in (CHECKOUT / "scenarios" / "db-timeout").iterdir()
    if path.suffix in {".yaml", ".md"}
}
SCENARIOS = load_all(CHECKOUT / "scenarios")
LINKED = "[so](exhibit:all-fail)"


def lines_found(file: str, more: str, *, after: str) -> list[int]:
    """The lines that are told of with ``more`` written behind the line that begins so."""
    text = FILES[file]
    at = text.index("\n", text.index(after)) + 1
    changed = text[:at] + more + "\n" + text[at:]
    scenario = replace(SCENARIOS["db-timeout"], source={**FILES, file: changed})
    found = claim_problems(scenario)
    assert {each.rule for each in found} <= {Rule.UNLINKED_CLAIM}
    own = text.count("\n", 0, at) + 1
    return [each.line - own for each in found if each.file.endswith(file)]


@pytest.mark.parametrize(
    ("sentence", "is_claim"),
    [
        ("Nobody was there.", True),
        ("It is always so.", True),
        ("Every customer saw it.", True),
        ("It took 3 seconds.", True),
        (f"Nobody was there, {LINKED}.", False),
        ("It took [3 seconds](exhibit:all-fail).", True),
        ("It took [{}](exhibit:all-fail).", False),
        ("The code `E42` stood there, and p95 was high.", False),
        ("It was quiet.", False),
        ("It came late by $(2x delay).", False),
        ("It came late by $(2x delay) and 3 s.", True),
        ('"It is always them", they say.', False),
        ("“Nobody told us. It is always\nthem”, they say.", False),
        ('"It is them", they always say.', True),
        ('"I waited for 3 s", she says.', True),
        ("> It is always them.", False),
    ],
)
def test_a_claim_of_the_pager_message_rests_on_something(sentence: str, is_claim: bool) -> None:
    """What is absolute links; a number is measured."""
    found = lines_found("briefing.md", f"\n{sentence}\n", after="again. Find the span")
    assert bool(found) is is_claim


@pytest.mark.parametrize("part", ["## How the spans prove it", "## Why the others are innocent"])
@pytest.mark.parametrize(
    ("bullet", "is_claim"),
    [
        ("- It is so.", True),
        (f"- It is {LINKED}.", False),
        ("- It is\n  so, over\n  lines.", True),
        (f"- It is\n  {LINKED}, over\n  lines.", False),
        (f"- It took 3 s, {LINKED}.", True),
    ],
)
def test_every_bullet_of_the_argument_links(part: str, bullet: str, is_claim: bool) -> None:
    """And types no number."""
    assert lines_found("debrief.md", f"\n{bullet}", after=part) == ([1] if is_claim else [])


def test_what_a_real_team_does_is_no_claim_about_the_case() -> None:
    """It may have numbers, and absolutes."""
    more = "\n- Never wait for 3 s.\n"
    assert lines_found("debrief.md", more, after="## What a real team fixes") == []


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_no_claim_of_any_scenario_rests_on_nothing(name: str) -> None:
    """Each states what its words rest on."""
    scenario = SCENARIOS[name]
    assert len(scenario.exhibits) >= 5
    assert claim_problems(scenario) == ()


GRAFANA_TEXT = "Begin on *Failed calls, only 5xx*.\n\n```traceql\n{ } | count() > 3\n```\n\n"


@pytest.mark.parametrize(
    ("sentence", "rules"),
    [
        ("Look at it.", []),
        ("Nobody is there.", [Rule.UNLINKED_CLAIM]),
        ("It takes 3 s.", [Rule.UNLINKED_CLAIM]),
        ("Ask for `5xx` alone.", []),
        ("[Nobody is there](exhibit:checkout-absent).", []),
        ("[Everybody](exhibit:all-fail) sees it, [{}](exhibit:all-fail).", []),
        ("It is cut [after {}](exhibit:warm-limit).", [Rule.EARLY_NUMBER]),
        ("It is [so](exhibit:no-such).", [Rule.NO_EXHIBIT]),
    ],
)
def test_the_way_through_grafana_claims_nothing_of_its_own(
    sentence: str, rules: list[Rule]
) -> None:
    """Code and names of panels aside; a number that only the debrief shows is no link for it."""
    found = claim_problems(SCENARIOS["db-timeout"], GRAFANA_TEXT + sentence)
    assert [each.rule for each in found] == rules
    assert {each.line for each in found} <= {7}


@pytest.mark.parametrize("name", sorted(SCENARIOS))
def test_no_way_through_grafana_claims_what_rests_on_nothing(name: str) -> None:
    """As it is read beside the briefing."""
    assert claim_problems(SCENARIOS[name], grafana_path(CHECKOUT / "scenarios" / name)) == ()
