"""Spans in words: the words of a scenario file, as Python's keywords or as a mapping."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from enum import Enum
from typing import Any, Final, TypeVar

from lab.domain.bound import Bound, BoundError, Unit, parse
from lab.domain.predicate import PRESENT, AttributeTest, Like, Predicate, Present
from lab.domain.trace import Kind, Status
from lab.domain.wording import unknown_name
from lab.errors import UsageError

WORDS: Final = (*(each.name for each in fields(Predicate)), "has_attributes")
"""What may be said of a span, as in a scenario file."""

_UNITS: Final = {
    "duration": Unit.DURATION,
    "self_time": Unit.DURATION,
    "wire_time": Unit.DURATION,
    "ends_after_parent": Unit.DURATION,
    "repeats": Unit.NUMBER,
    "at_once": Unit.NUMBER,
    "links": Unit.NUMBER,
}
_TEXTS: Final = frozenset({"service", "name", "peer", "exception", "event", "message"})
_FLAGS: Final = frozenset({"root", "deepest_error"})
_SPANS: Final = frozenset({"parent", "ancestor", "child", "no_child", "no_joined", "link"})

Word = TypeVar("Word", Kind, Status)


def span(name: str | None = None, **words: Any) -> Predicate:
    """What a span must be: ``span("charge card", status="error", duration="<= 250ms")``.

    The words are a scenario file's: `service`, `name`, `kind`, `status`, `peer`, `exception`,
    `event`, `message`, `attributes`, `has_attributes`, `no_attributes`, `duration`,
    `self_time`, `wire_time`, `ends_after_parent`, `repeats`, `at_once`, `links`, `root`,
    `deepest_error`, `parent`, `ancestor`, `child`, `no_child`, `link`. An attribute may also be
    `PRESENT`, a ``re.compile(…)`` that is searched for, or text that begins with ``<`` or ``>``,
    a bound. `UsageError` for other words.
    """
    return predicate({**words, **({} if name is None else {"name": name})})


def predicate(words: Predicate | Mapping[str, Any] | str) -> Predicate:
    """The predicate that ``words`` are: one already, a mapping as in a file, or a name."""
    if isinstance(words, Predicate):
        return words
    if isinstance(words, str):
        return Predicate(name=words)
    unknown = [word for word in words if word not in WORDS]
    if unknown:
        raise UsageError(unknown_name("word for a span", str(unknown[0]), WORDS))
    there = dict.fromkeys(_names(words.get("has_attributes", ())), PRESENT)
    found = {word: _value(word, value) for word, value in words.items() if word != "has_attributes"}
    return Predicate(**found | {"attributes": there | found.get("attributes", {})})


def bound(value: Bound | str | int | float, unit: Unit | None, what: str) -> Bound:
    """A bound, or what `lab.domain.bound` reads as one; a number alone means exactly that."""
    if isinstance(value, Bound):
        return value
    text = value if isinstance(value, str) else f"== {value}"
    try:
        return parse(text, unit)
    except BoundError as error:
        raise UsageError(f"{what}: {error}") from None


def _value(word: str, value: Any) -> Any:
    if word in _UNITS:
        return bound(value, _UNITS[word], word)
    if word in _SPANS:
        return predicate(value)
    if word == "kind":
        return _enumerated(Kind, value, "span kind")
    if word == "status":
        return _enumerated(Status, value, "span status")
    if word == "attributes":
        return {key: _attribute(key, each) for key, each in _mapping(value).items()}
    if word == "no_attributes":
        return _names(value)
    if word in _TEXTS and not isinstance(value, str):
        raise UsageError(f"{word}: expected text, got {value!r}")
    if word in _FLAGS and not isinstance(value, bool):
        raise UsageError(f"{word}: expected True or False, got {value!r}")
    return value


def _names(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


def _mapping(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"attributes: expected a mapping of names to values, got {value!r}")
    return value


def _attribute(key: str, value: Any) -> AttributeTest:
    if isinstance(value, re.Pattern):
        return Like(value)
    if isinstance(value, str) and value[:1] in {"<", ">"}:
        return bound(value, Unit.NUMBER, key)
    if isinstance(value, list | tuple):
        return tuple(value)
    if isinstance(value, str | bool | int | float | Bound | Like | Present):
        return value
    raise UsageError(f"{key}: expected text, a number, a pattern or PRESENT, got {value!r}")


def _enumerated(words: type[Word], value: Any, what: str) -> Word:
    # OpenTelemetry's own enumerations have the same names.
    text = value.name.lower() if isinstance(value, Enum) else str(value)
    if text not in {each.value for each in words}:
        raise UsageError(unknown_name(what, text, (each.value for each in words)))
    return words(text)
