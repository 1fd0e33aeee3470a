"""What varies from run to run, as a scenario writes it, and whether all of it is of use."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    WithJsonSchema,
)

from lab.domain.variation import SettingValue, Variation
from lab.scenario_file.placeholders import OPENING, names_in, placeholder_problems, texts_in
from lab.scenario_file.positioned_yaml import Document, PathPart
from lab.scenario_file.values import Refused, refuse_each

FIELD: Final = "vary"
MOST_PLANS: Final = 512
"""All of them are read by `lab lint`, so that none is refused when its seed comes up."""

_NAME: Final = "[a-z]+(_[a-z]+)*"


def _name(value: object) -> object:
    if not isinstance(value, str) or not re.fullmatch(_NAME, value):
        raise Refused(f"expected a name of lower-case words joined by _, got {value!r}")
    return value


def _scalar_problem(value: object, or_more: str = "") -> str | None:
    if not isinstance(value, str | int | float):
        return f"expected text, a number, true or false{or_more}"
    if isinstance(value, str) and OPENING in value:
        return f"expected a value as it is, without a placeholder, got {value!r}"
    return None


def _choice(value: object) -> object:
    if not isinstance(value, Mapping):
        if problem := _scalar_problem(value, ", or a mapping of such"):
            raise Refused(problem)
        return value
    if not value:
        raise Refused("expected at least one name with its value, found none")
    for name in value:
        _name(name)
    problems = {(str(name),): _scalar_problem(each) for name, each in value.items()}
    refuse_each({place: why for place, why in problems.items() if why})
    return dict(value)


Choice = Annotated[
    Any,
    BeforeValidator(_choice),
    WithJsonSchema(
        {
            "type": ["string", "number", "boolean", "object"],
            "minProperties": 1,
            "propertyNames": {"pattern": f"^{_NAME}$"},
            "additionalProperties": {"type": ["string", "number", "boolean"]},
        }
    ),
]
"""One value, or several that belong together, each with a name."""


def _of_one_kind(choices: list[object]) -> list[object]:
    kinds = [sorted(choice) if isinstance(choice, dict) else None for choice in choices]
    problems: dict[tuple[str | int, ...], str] = {}
    for number, (choice, kind) in enumerate(zip(choices, kinds, strict=True)):
        if choice in choices[:number]:
            problems[(number,)] = f"expected every choice once, got {choice!r} again"
        elif kind != kinds[0]:
            wanted = f"the names {', '.join(kinds[0])}" if kinds[0] else "one value"
            problems[(number,)] = f"expected {wanted} as in the first choice, got {choice!r}"
    refuse_each(problems)
    return choices


def _variation(choices: Mapping[str, list[object]]) -> Variation:
    found = {
        name: tuple(dict(_named(name, choice)) for choice in its) for name, its in choices.items()
    }
    return Variation(found)


def _named(name: str, choice: object) -> Iterator[tuple[str, SettingValue]]:
    if isinstance(choice, dict):
        for field, value in choice.items():
            yield f"{name}.{field}", _plain(value)
    else:
        yield name, _plain(choice)


def _plain(value: Any) -> SettingValue:
    """Without what YAML's reader remembers of how it was written."""
    for kind in (bool, int, float):
        if isinstance(value, kind):
            return kind(value)
    return str(value)


def _not_too_many(choices: dict[str, list[object]]) -> dict[str, list[object]]:
    count = _variation(choices).count
    if count > MOST_PLANS:
        raise Refused(f"expected at most {MOST_PLANS} plans, got {count} ways to choose")
    return choices


ChoiceName = Annotated[str, BeforeValidator(_name), WithJsonSchema({"pattern": f"^{_NAME}$"})]
Choices = Annotated[list[Choice], Field(min_length=2, max_length=24), AfterValidator(_of_one_kind)]
Vary = Annotated[dict[ChoiceName, Choices], AfterValidator(_not_too_many)]
"""Name → what may stand for it, as written first; a seed chooses."""


class _VaryAlone(BaseModel):
    vary: Vary = {}


def variation_in(document: Document) -> Variation | None:
    """What a scenario's file may vary; None where that cannot be read."""
    try:
        return _variation(_VaryAlone.model_validate(document.data).vary)
    except ValidationError:
        return None


def document_problems(
    document: Document, variation: Variation, elsewhere: Container[str]
) -> Iterator[tuple[tuple[PathPart, ...], str]]:
    """Path and message of each placeholder that leads nowhere, and of each name without one.

    ``elsewhere`` holds the names that the scenario's other texts have placeholders for; of
    each choice at least one name is to stand in this file, or it would change words alone.
    """
    used: set[str] = set()
    for path, text in texts_in(document.data, but_for={FIELD}):
        used |= names_in(text)
        for problem in placeholder_problems(text, variation.as_written):
            yield path, problem
    for key, choices in variation.choices.items():
        idle = [name for name in sorted(choices[0]) if name not in used]
        if idle == sorted(choices[0]):
            yield (FIELD, key), f"expected $({idle[0]}) somewhere in this file, found it nowhere"
        else:
            for name in idle:
                if name not in elsewhere:
                    yield (FIELD, key), f"expected $({name}) somewhere, found it nowhere"
