"""A wrong value anywhere: told on the very line on which its field stands."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from lab.errors import ScenarioError
from lab.scenario_file import FILES, SCENARIO, parse
from lab.settings import CHECKOUT

NAMES: Final = (
    "db-timeout", "card-declined", "every-other-minute", "late-email", "one-by-one", "slow-shelves"
)  # fmt: skip
"""Between them they use most of the language."""

WRONG: Final[tuple[Any, ...]] = (
    None,
    True,
    -1,
    0,
    3.5,
    10**30,
    "",
    "x",
    "-5ms",
    "$(nothing)",
    [],
    ["x"],
    {},
    {"x": 1},
)
PROBLEM: Final = re.compile(
    r"scenarios/[a-z-]+/[a-z]+\.(?:yaml|md):(?P<line>\d+) (?:(?P<field>\S+): )?(?P<why>.+)"
)


def documents() -> dict[str, Any]:
    """The real scenarios, as plain values."""
    read = YAML(typ="safe", pure=True)
    folder = CHECKOUT / "scenarios"
    return {name: read.load((folder / name / SCENARIO).read_text()) for name in NAMES}


def paths(value: Any) -> Iterator[tuple[str | int, ...]]:
    """The path of every value inside another."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, inner in items:
        yield (key,)
        if isinstance(inner, dict | list):
            for path in paths(inner):
                yield (key, *path)


DOCUMENTS: Final = documents()
PLACES: Final = [(name, path) for name, found in DOCUMENTS.items() for path in paths(found)]


def spoiled(name: str, path: tuple[str | int, ...], value: object) -> str:
    """The file with another value at one place, each value on a line of its own."""
    document = copy.deepcopy(DOCUMENTS[name])
    here = document
    for part in path[:-1]:
        here = here[part]
    here[path[-1]] = value
    return json.dumps(document, indent=1, ensure_ascii=False)


def problems_of(name: str, text: str) -> tuple[str, ...]:
    folder = CHECKOUT / "scenarios" / name
    texts = {file: (folder / file).read_text(encoding="utf-8") for file in FILES} | {SCENARIO: text}
    try:
        parse(texts, name)
    except ScenarioError as error:
        return error.problems
    return ()


@settings(max_examples=60)
@given(st.sampled_from(PLACES), st.sampled_from(WRONG))
def test_a_wrong_value_anywhere_is_told_on_the_line_of_its_field(
    place: tuple[str, tuple[str | int, ...]], value: object
) -> None:
    """Or it is none: some fields take any text, and some choices are as good as others."""
    name, path = place
    text = spoiled(name, path, value)
    lines = text.split("\n")
    for problem in problems_of(name, text):
        told = PROBLEM.fullmatch(problem)
        assert told, problem
        if problem.startswith(f"scenarios/{name}/{SCENARIO}"):
            named = re.split(r"[.\[\]]+", (told["field"] or "").rstrip("]"))
            if told["why"] == "expected this field, found none":  # So its mapping is told of.
                named = named[:-1] or ["file"]
            on_its_line = any(part and part in lines[int(told["line"]) - 1] for part in named)
            at_the_top = told["line"] == "1"
            in_a_list = named[-1].isdigit()
            assert on_its_line or at_the_top or in_a_list, problem


@settings(max_examples=40)
@given(st.sampled_from(PLACES))
def test_a_field_that_nobody_knows_is_refused_wherever_it_stands(
    place: tuple[str, tuple[str | int, ...]],
) -> None:
    """A misspelt word would else do nothing, and nobody would know."""
    name, path = place
    document = copy.deepcopy(DOCUMENTS[name])
    here = document
    for part in path:
        here = here[part]
    if not isinstance(here, dict):
        return
    here["frobnicate"] = 1
    told = problems_of(name, json.dumps(document, indent=1))
    free = {"vary", "attributes", "briefing_may_name"}  # whose names are the author's own
    if not free & {part for part in path if isinstance(part, str)}:
        assert any("frobnicate" in problem for problem in told), told
