"""YAML whose every value knows its line, read without trust.

A scenario is data somebody else may have written: what a configuration never needs
(aliases, which can grow to gigabytes; merge keys, whose values stand on no line of
their own; tags; bottomless nesting; values without number or end) is refused before
anything is built from it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    CollectionStartEvent,
    Event,
    NodeEvent,
    ScalarEvent,
)

from lab.frozen import dataclass

DEEPEST: Final = 20

MOST_VALUES: Final = 3000
"""Keys, values and collections together; ten times what a long scenario has."""

LONGEST_VALUE: Final = 4000
"""In characters; Python reads no number of more than 4300 digits."""

PathPart = str | int


class YamlProblem(Exception):
    """The text is no acceptable YAML; ``line`` counts from 1."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Document:
    """A document and the lines its values stand on; ``data`` holds mappings by ruamel."""

    data: Any

    def existing(self, path: Sequence[PathPart]) -> tuple[PathPart, ...]:
        """``path`` without the parts that lead nowhere, such as a validator's own names."""
        found: list[PathPart] = []
        here = self.data
        for part in path:
            is_key = isinstance(here, CommentedMap) and part in here
            is_index = isinstance(here, CommentedSeq) and isinstance(part, int)
            if is_key or (is_index and part in range(len(here))):
                found.append(part)
                here = here[part]
        return tuple(found)

    def line(self, path: Sequence[PathPart]) -> int:
        """The line (from 1) of the value at ``path``, or of the last part of it that exists."""
        line, here = 0, self.data
        for part in path:
            if isinstance(here, CommentedMap) and part in here:
                line = here.lc.key(part)[0]
            elif isinstance(here, CommentedSeq) and isinstance(part, int) and part < len(here):
                line = here.lc.item(part)[0]
            else:
                break
            here = here[part]
        return line + 1


@lru_cache(maxsize=64)
def read(text: str) -> Document:
    """The one document in ``text``; `YamlProblem` where it is not acceptable.

    Nobody may change what it holds: whoever reads the same text again gets the same document.
    """
    try:
        _refuse_tricks(text)
        return Document(YAML(typ="rt").load(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = (error.problem or str(error)).splitlines()[0]
        raise YamlProblem(mark.line + 1 if mark else 1, problem) from error
    except (YAMLError, ValueError) as error:
        raise YamlProblem(1, str(error).splitlines()[0]) from error


def control_character(text: str) -> str | None:
    """The first character of ``text`` that could move a cursor or end an argument, if any.

    Scenarios are shown in terminals and become environments: neither takes escape
    sequences or NUL.
    """
    return next(
        (each for each in text if unicodedata.category(each) == "Cc" and each not in "\n\t"), None
    )


def _refuse_tricks(text: str) -> None:
    depth, values, line = 0, 0, 1
    try:
        # Not the round-trip reader, which leaves marks of its own in folded texts.
        for event in YAML(typ="safe", pure=True).parse(text):
            line = event.start_mark.line + 1
            depth += isinstance(event, CollectionStartEvent) - isinstance(event, CollectionEndEvent)
            values += isinstance(event, NodeEvent)
            if problem := _trick(event, depth, values):
                raise YamlProblem(line, problem)
    except ValueError as error:
        # Such as an escape for a character that is none; ruamel does not say where.
        raise YamlProblem(line, str(error)) from error


def _trick(event: Event, depth: int, values: int) -> str | None:
    """What is wrong with an event, ``depth`` collections deep and the so manieth value."""
    if isinstance(event, AliasEvent) or (isinstance(event, NodeEvent) and event.anchor):
        return "expected no anchors and aliases; write the value out"
    if tag := getattr(event, "tag", None):
        return f"expected no tags, got {tag}"
    if depth > DEEPEST:
        return f"expected at most {DEEPEST} levels of nesting"
    if values > MOST_VALUES:
        return f"expected at most {MOST_VALUES} keys and values, found more"
    if isinstance(event, ScalarEvent):
        if len(event.value) > LONGEST_VALUE:
            return f"expected at most {LONGEST_VALUE} characters in one value"
        if found := control_character(event.value):
            return f"expected plain text, found the control character {found!r}"
        if event.value == "<<" and event.implicit[0]:
            return "expected no merge key '<<'; write the fields out"
    return None
