"""From the text of a ``scenario.yaml`` to its fields, or to every problem they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import getitem
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from lab.domain.variation import Plan, Variation, changes
from lab.domain.wording import abridged, unknown_name
from lab.scenario_file.placeholders import OPENING, filled_data
from lab.scenario_file.positioned_yaml import Document, PathPart, YamlProblem, read
from lab.scenario_file.shape import ScenarioEntry
from lab.scenario_file.values import Fields
from lab.scenario_file.variants import FIELD, document_problems, variation_in

LONGEST_MESSAGE: Final = 500
"""In characters; what was found may be long, and what was expected stands before it."""

_PYDANTICS: Final = "Input should be"
_OURS: Final = "expected"

_TOP: Final = "file"
"""What is said to be wrong where no field of it is."""


def validated(
    text: str, plan: Plan | None, elsewhere: frozenset[str]
) -> tuple[ScenarioEntry | None, Variation, tuple[str, ...]]:
    """The file as ``plan`` has it, what it may vary, and its problems as ``line field: message``.

    Without a plan it is as written, and whatever else it may become is looked at as well.
    ``elsewhere`` holds the names that placeholders of the scenario's other files use.
    """
    nothing = Variation()
    try:
        document = read(text)
    except YamlProblem as problem:
        return None, nothing, (f"{problem.line}: {abridged(str(problem), LONGEST_MESSAGE)}",)
    if not isinstance(document.data, dict):
        return None, nothing, ("1: expected a mapping of fields such as 'title: …' at the top",)
    variation = variation_in(document)
    if variation is None:
        _, told = _entry(document, {})
        return None, nothing, _lines(told)
    if plan is not None and plan not in variation.plans():
        return None, nothing, (f"1 vary: expected a plan that it allows, got {dict(plan)}",)
    entry, told = _entry(document, variation.as_written if plan is None else plan)
    idle = document_problems(document, variation, elsewhere)
    told += [_placed(document, *each) for each in idle]
    if plan is None and not told:
        told += _deviating(document, variation)
    return entry, variation, _lines(told)


def _lines(told: Sequence[tuple[int, str]]) -> tuple[str, ...]:
    return tuple(f"{line} {problem}" for line, problem in sorted(told))


def _deviating(document: Document, variation: Variation) -> Iterator[tuple[int, str]]:
    """What is wrong with each choice while the others are as written."""
    for plan in variation.deviations():
        for line, problem in _entry(document, plan)[1]:
            yield line, f"{problem} (with {changes(plan, variation.as_written)})"


def _entry(document: Document, plan: Plan) -> tuple[ScenarioEntry | None, list[tuple[int, str]]]:
    """The fields as ``plan`` fills them in, or their problems, each with its line.

    Of a placeholder that nothing could be filled in for, something else is said.
    """
    filled = filled_data(document.data, plan)
    fields = Fields()
    fields.any_names = isinstance(filled, dict) and filled.get("recorded") is True
    try:
        return ScenarioEntry.model_validate(filled, context=fields), []
    except ValidationError as error:
        details = error.errors(include_url=False)
    return None, [
        _told(document, filled, each, fields)
        for each in details
        if each["loc"][:1] == (FIELD,) or OPENING not in str(each["input"])
    ]


def _told(
    document: Document, filled: Any, detail: ErrorDetails, fields: Mapping[int, tuple[str, ...]]
) -> tuple[int, str]:
    """One problem: its line, and its field with what is wrong there.

    ``fields`` holds, by its identity, the fields that each mapping in ``filled`` may have.
    """
    path = document.existing(detail["loc"])
    if detail["type"] == "missing":
        path = (*path, detail["loc"][-1])
    elif detail["type"] == "invalid_key":
        path = (*document.existing(detail["loc"][:-1]), detail["input"])
    return _placed(document, path, _message(filled, path, detail, fields))


def _placed(document: Document, path: Sequence[PathPart], message: str) -> tuple[int, str]:
    said = abridged(message, LONGEST_MESSAGE)
    return document.line(path), f"{field_at(path) or _TOP}: {said}"


def field_at(path: Sequence[PathPart]) -> str:
    """A path as problems name it: ``checks[4].of.duration``; empty at the top."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{_key(part)}" for part in path)
    return "".join(parts).lstrip(".")


def _key(part: object) -> str:
    """A key on one line, whatever it is made of."""
    shown = str(part)
    return abridged(shown if shown.isprintable() else repr(shown))


def _message(
    filled: Any,
    path: Sequence[str | int],
    detail: ErrorDetails,
    fields: Mapping[int, tuple[str, ...]],
) -> str:
    got = _abridged(detail["input"])
    match detail["type"]:
        case "extra_forbidden":
            parent = reduce(getitem, path[:-1], filled)
            return unknown_name("field", str(path[-1]), fields.get(id(parent), ()))
        case "missing":
            return "expected this field, found none"
        case "value_error" | "refused":
            return detail["msg"].removeprefix("Value error, ").replace(_PYDANTICS, _OURS)
        case "invalid_key":
            return "expected a field's name here"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"expected a mapping, got {got}"
        case "union_tag_invalid" | "union_tag_not_found":
            context = detail.get("ctx", {})
            field = str(context.get("discriminator", "")).strip("'")
            return f"expected {field!r} to be one of {context.get('expected_tags', '')}"
        case _:
            return f"{detail['msg'].replace(_PYDANTICS, _OURS)}, got {got}"


def _abridged(value: Any) -> str:
    shown = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
    shown = {"dict": "a mapping", "list": "a list"}.get(shown, shown)
    return abridged(shown)
