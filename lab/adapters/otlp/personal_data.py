"""Personal data in telemetry, by the very patterns that the lab's Collector masks it by."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache, lru_cache
from importlib.resources import files
from typing import Final

from lab.domain.trace import NO_SCOPE, AttributeValue, Scope, Span

Attributes = Mapping[str, AttributeValue]

MASK: Final = "****"
_SHORTEST: Final = len("a@b.de")

_FILE: Final = "personal_data.txt"
_LETTERS: Final = "a-zA-Z\u00aa-\u3001\u3003-\uff0d\uff0f-\uff1f\uff21-\uff60\uff62-\U0010ffff"
"""Letters of any script and their marks, and more; without the signs @ and . in other widths."""

_GO: Final = {r"\p{L}": _LETTERS, r"\p{M}": "", r"\p{N}": "0-9", r"\x{200C}": "", r"\x{200D}": ""}
"""What Go's regexp has in a set and Python's has not; the last two are among the letters."""

_WINDOW: Final = 160
_OVERLAP: Final = 96
_MOST: Final = 8_192
"""In characters. Python's patterns backtrack, with the cube of what they are given at once."""


def found_in(text: str) -> str | None:
    """The first address or card number in ``text`` that the Collector would mask; None if none."""
    # Of a text without end only the beginning is searched.
    start, end = next(_places(text[:_MOST]), (0, 0))
    return text[start:end] or None


@lru_cache(maxsize=10_000)
def masked(text: str) -> str:
    """``text`` with `MASK` in place of each address and card number, as the Collector keeps it.

    All of it is searched, in time that grows with its length alone.
    """
    if len(text) < _SHORTEST:
        return text
    parts, reached = list[str](), 0
    for start, end in sorted(_places(text)):
        if start >= reached:
            parts += [text[reached:start], MASK]
        reached = max(reached, end)
    return "".join((*parts, text[reached:]))


def _places(text: str) -> Iterator[tuple[int, int]]:
    """Where the patterns fit; places may overlap."""
    allowed, blocked = _patterns()
    if any(pattern.search(text) for pattern in allowed):
        return
    for at, part in _windows(text):
        for pattern in blocked:
            for found in pattern.finditer(part):
                yield at + found.start(), at + found.end()


class Masking:
    """Masks whatever a span says; ``count`` is how many texts and numbers were changed so far."""

    def __init__(self) -> None:
        self.count = 0
        self._resource: tuple[object, Attributes] = (None, {})
        self._scope: tuple[object, Scope] = (None, NO_SCOPE)

    def span(self, span: Span) -> Span:
        """The same span with nothing in it that the patterns find."""
        resource = self._resource_of(span)
        return replace(
            span,
            name=self._text(span.name),
            service=str(resource.get("service.name", masked(span.service))),
            status_message=self._text(span.status_message),
            attributes=self._attributes(span.attributes),
            events=tuple(
                replace(x, name=self._text(x.name), attributes=self._attributes(x.attributes))
                for x in span.events
            ),
            links=tuple(
                replace(
                    x,
                    attributes=self._attributes(x.attributes),
                    trace_state=self._text(x.trace_state),
                )
                for x in span.links
            ),
            resource=resource,
            scope=self._scope_of(span),
            trace_state=self._text(span.trace_state),
            resource_schema_url=self._text(span.resource_schema_url),
        )

    def _resource_of(self, span: Span) -> Attributes:
        """Masked once for all spans that share it, and still one for all of them."""
        if self._resource[0] is not span.resource:
            self._resource = span.resource, self._attributes(span.resource)
        return self._resource[1]

    def _scope_of(self, span: Span) -> Scope:
        if self._scope[0] is not span.scope:
            scope = span.scope
            made = Scope(
                self._text(scope.name),
                self._text(scope.version),
                self._attributes(scope.attributes),
                self._text(scope.schema_url),
            )
            self._scope = scope, made if made != NO_SCOPE else NO_SCOPE
        return self._scope[1]

    def _attributes(self, attributes: Attributes) -> Attributes:
        found: dict[str, AttributeValue] = {}
        for key, value in attributes.items():
            name, number = self._text(key), 1
            while name in found:  # Two names that are masked alike stay two.
                number += 1
                name = f"{masked(key)} {number}"
            found[name] = self._value(value)
        return found

    def _value(self, value: AttributeValue) -> AttributeValue:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, tuple):
            return tuple(map(self._value, value))
        text = str(value)
        return value if isinstance(value, bool) or masked(text) == text else self._text(text)

    def _text(self, text: str) -> str:
        found = masked(text)
        self.count += found != text
        return found


def read(section: str) -> tuple[str, ...]:
    """The patterns of ``allowed_values`` or ``blocked_values``, as Go has them."""
    text = files(__package__).joinpath(_FILE).read_text(encoding="utf-8")
    behind = text.partition(f"[{section}]\n")[2]
    return tuple(behind.partition("\n\n")[0].splitlines())


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], ...], tuple[re.Pattern[str], ...]]:
    allowed, blocked = (
        tuple(re.compile(_python(each), re.ASCII) for each in read(section))
        for section in ("allowed_values", "blocked_values")
    )
    return allowed, blocked


def _python(pattern: str) -> str:
    for theirs, ours in _GO.items():
        pattern = pattern.replace(theirs, ours)
    return pattern


def _windows(text: str) -> Iterator[tuple[int, str]]:
    for start in range(0, max(1, len(text) - _OVERLAP), _WINDOW - _OVERLAP):
        yield start, text[start : start + _WINDOW]
