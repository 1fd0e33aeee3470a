"""Each link leads to an exhibit, and each exhibit is linked to; both with file and line."""

from __future__ import annotations

import pytest

from lab.errors import ScenarioError
from lab.scenario_file import parse
from lab.settings import CHECKOUT

FILES = {
    path.name: path.read_text("utf-8")
    for path in (CHECKOUT / "scenarios" / "db-timeout").iterdir()
    if path.suffix in {".yaml", ".md"}
}


def problems(**changes: tuple[str, str]) -> tuple[str, ...]:
    """What is said of the scenario with one text in place of another, file by file."""
    files = dict(FILES)
    for name, (old, new) in changes.items():
        file = "scenario.yaml" if name == "scenario" else f"{name}.md"
        assert old in files[file]
        files[file] = files[file].replace(old, new, 1)
    with pytest.raises(ScenarioError) as refused:
        parse(files, "db-timeout")
    return refused.value.problems


@pytest.mark.parametrize("name", ["briefing", "debrief"])
def test_a_link_that_leads_nowhere_is_told_where_it_stands(name: str) -> None:
    """With the exhibit that may have been meant."""
    text = FILES[f"{name}.md"]
    first = text.index("](exhibit:")
    old = text[first : text.index(")", first) + 1]
    typo = old[:-1] + "x)"
    (told,) = [each for each in problems(**{name: (old, typo)}) if "unknown" in each]
    line = text.count("\n", 0, text.rindex("[", 0, first)) + 1
    assert told.startswith(f"scenarios/db-timeout/{name}.md:{line} exhibit: unknown exhibit")


def test_hints_and_reasons_may_link_too() -> None:
    """At the line of the scenario's own file."""
    hint = "  - The pager says where it hurts"
    line = FILES["scenario.yaml"][: FILES["scenario.yaml"].index(hint)].count("\n") + 1
    (told,) = problems(scenario=(hint, "  - The [pager](exhibit:nothing) says where it hurts"))
    assert told.startswith(f"scenarios/db-timeout/scenario.yaml:{line} exhibit: unknown exhibit")


def test_an_exhibit_that_no_text_rests_on_is_none() -> None:
    """It would be proven for nothing, and shown to nobody."""
    (told,) = problems(briefing=("[{} of all purchases](exhibit:all-fail)", "all purchases"))
    assert "exhibits.all-fail: expected a text that links to it" in told


@pytest.mark.parametrize("name", ["Upper", "two words", "-a", "x" * 41])
def test_a_name_is_one_that_an_address_can_hold(name: str) -> None:
    """Lower-case words joined by hyphens."""
    found = problems(scenario=("exhibits:\n", f"exhibits:\n  {name!r}: {{}}\n"))
    assert any("exhibits" in each for each in found)


def test_more_exhibits_than_a_reader_waits_for_are_refused() -> None:
    """Each is measured before the text is there."""
    row = "{measure: requests, statistic: error_rate, bound: '== 0%', label: nothing fails}"
    many = "".join(f"  one-{number}: {row}\n" for number in range(101))
    found = problems(scenario=("exhibits:\n", f"exhibits:\n{many}"))
    assert any("exhibits" in each and "100" in each for each in found), found
