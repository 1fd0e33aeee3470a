"""Whether each link of a scenario's texts leads to an exhibit, and each exhibit is linked to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from lab.domain.exhibit import LINK
from lab.domain.wording import unknown_name
from lab.scenario_file.positioned_yaml import PathPart, read
from lab.scenario_file.shape import ScenarioEntry


def exhibit_problems(
    entry: ScenarioEntry, scenario_text: str, prose: Mapping[str, str], *, all_read: bool
) -> Iterator[tuple[str | None, int, str]]:
    """What is wrong, each with its file (None: the scenario's own) and line.

    ``prose`` maps the names of the other files to their texts; unless they were ``all_read``,
    nobody knows what is linked to.
    """
    linked: set[str] = set()
    lines = read(scenario_text)

    def unknown(text: str) -> Iterator[tuple[int, str]]:
        for link in LINK.finditer(text):
            name = link["name"]
            linked.add(name)
            if name not in entry.exhibits:
                problem = f"exhibit: {unknown_name('exhibit', name, tuple(entry.exhibits))}"
                yield text.count("\n", 0, link.start()), problem

    for file, text in prose.items():
        yield from ((file, line + 1, problem) for line, problem in unknown(text))
    for path, text in _texts(entry):
        yield from ((None, lines.line(path), problem) for _, problem in unknown(text))
    for name in sorted(entry.exhibits.keys() - linked) if all_read else ():
        place = ("exhibits", name)
        yield None, lines.line(place), f"exhibits.{name}: expected a text that links to it"


def _texts(entry: ScenarioEntry) -> Iterator[tuple[tuple[PathPart, ...], str]]:
    """The texts of the scenario's own file that may link, and where they stand."""
    for number, hint in enumerate(entry.hints):
        yield ("hints", number), hint
    for number, decoy in enumerate(entry.decoys):
        yield ("decoys", number, "why"), decoy.why
    for number, equal in enumerate(entry.truth.equals):
        yield ("truth", "equals", number, "why"), equal.why
