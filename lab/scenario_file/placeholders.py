"""``$(name)`` and ``$(1.9x name)`` in a scenario's files: found, refused, and filled in.

A value that is one placeholder and nothing else takes over what stands for it, a number
as a number. Inside a longer text a duration gets a space before its unit, which bounds
read and sentences like: *late by 150 ms*.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Mapping
from typing import Any, Final

from lab.domain.bound import Unit, quantity, quantity_text
from lab.domain.variation import Plan, SettingValue
from lab.domain.wording import abridged, unknown_name
from lab.scenario_file.positioned_yaml import PathPart

OPENING: Final = "$("

_PLACEHOLDER: Final = re.compile(
    r"\$\(\s*(?:(?P<factor>\d{1,4}(?:\.\d{1,4})?)x\s+)?(?P<name>[a-z_]+(?:\.[a-z_]+)?)\s*\)"
)
_DEFINITION: Final = "Placeholder"
_REFERENCE: Final = {"$ref": f"#/$defs/{_DEFINITION}"}
_ANY: Final = re.compile(r"\$\([^)\n]*\)?")
_SPACED: Final = re.compile(r"(?<=\d)(?=(?:us|ms|s)$)")


def names_in(text: str) -> frozenset[str]:
    """The names that ``text`` has placeholders for."""
    return frozenset(each["name"] for each in _PLACEHOLDER.finditer(text))


def placeholder_problems(text: str, plan: Plan) -> Iterator[str]:
    """Why ``text`` could not be filled in, placeholder by placeholder."""
    for each in _ANY.findall(text):
        found = _PLACEHOLDER.fullmatch(each)
        if found is None:
            shown = abridged(repr(each))
            yield f"expected a placeholder such as $(delay) or $(0.9x delay), got {shown}"
        elif found["name"] not in plan:
            yield (
                unknown_name("name", found["name"], plan)
                if plan
                else (f"expected no placeholder without vary, got {each}")
            )
        elif found["factor"] and _amount(plan[found["name"]]) is None:
            value = plan[found["name"]]
            yield f"expected a number or a quantity to multiply in {each}, got {value!r}"


def texts_in(data: Any, but_for: Container[str] = ()) -> Iterator[tuple[tuple[PathPart, ...], str]]:
    """Every text among the values of a document, with its path; none below these top fields."""
    if isinstance(data, str):
        yield (), data
    elif isinstance(data, Mapping | list):
        items = data.items() if isinstance(data, Mapping) else enumerate(data)
        for key, value in items:
            if key not in but_for:
                for path, text in texts_in(value):
                    yield (key, *path), text


def filled_text(text: str, plan: Plan) -> str:
    """``text`` with every placeholder filled in."""
    return _PLACEHOLDER.sub(
        lambda found: (
            _SPACED.sub(" ", str(_value(found, plan))) if found["name"] in plan else found[0]
        ),
        text,
    )


def filled_data(data: Any, plan: Plan) -> Any:
    """A copy of a document's data in plain mappings and lists, filled in."""
    if isinstance(data, Mapping):
        return {key: filled_data(value, plan) for key, value in data.items()}
    if isinstance(data, list):
        return [filled_data(value, plan) for value in data]
    if not isinstance(data, str) or OPENING not in data:
        return data
    whole = _PLACEHOLDER.fullmatch(data)
    if whole and whole["name"] in plan:
        return _value(whole, plan)
    return filled_text(data, plan)


def with_placeholders(schema: dict[str, Any], but_for: str) -> dict[str, Any]:
    """A JSON Schema whose every value that is no plain text may be a placeholder as well.

    What tells mappings apart (a ``const``) stays as it is, and so does the field ``but_for``.
    """
    properties = {
        name: value if name == but_for else _or_placeholder(value)
        for name, value in schema["properties"].items()
    }
    definitions = {name: _widened(value) for name, value in schema["$defs"].items()}
    anywhere = {"type": "string", "pattern": r"^\$\(.*\)$", "description": "One of `vary`."}
    return {
        **schema,
        "$defs": {**definitions, _DEFINITION: anywhere},
        "properties": properties,
    }


def _or_placeholder(schema: Any) -> Any:
    if not isinstance(schema, dict):
        return schema
    if _is_narrow(schema):
        told = {key: schema[key] for key in ("description", "default") if key in schema}
        rest = {key: value for key, value in schema.items() if key not in told}
        return {**told, "anyOf": [rest, _REFERENCE]}
    return _widened(schema)


def _is_narrow(schema: Any) -> bool:
    """Whether a placeholder, which is a text, would be refused where another value is meant."""
    is_plain = schema.get("type") in ("integer", "number", "boolean")
    return is_plain or "pattern" in schema or "enum" in schema


def _widened(schema: dict[str, Any]) -> dict[str, Any]:
    """The same schema with everything inside it widened; the names of fields are not."""
    found = dict(schema)
    if fields := schema.get("properties"):
        found["properties"] = {
            name: value if "const" in value else _or_placeholder(value)
            for name, value in fields.items()
        }
    for key in ("items", "additionalProperties"):
        if key in schema:
            found[key] = _or_placeholder(schema[key])
    for key in ("anyOf", "oneOf"):
        if ways := schema.get(key):
            more = [_REFERENCE] if any(map(_is_narrow, ways)) else []
            found[key] = [each if _is_narrow(each) else _widened(each) for each in ways] + more
    return found


def _value(found: re.Match[str], plan: Plan) -> SettingValue:
    value = plan[found["name"]]
    amount = _amount(value)
    if found["factor"] is None or amount is None:
        return value
    number, unit = amount
    scaled = round(number * float(found["factor"]), 6)
    if isinstance(value, str):
        return quantity_text(scaled, unit)
    return int(scaled) if scaled.is_integer() else scaled


def _amount(value: SettingValue) -> tuple[float, Unit] | None:
    if isinstance(value, str):
        return quantity(value)
    return None if isinstance(value, bool) else (float(value), Unit.NUMBER)
