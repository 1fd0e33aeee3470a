"""Telemetry that names the lab: any key and any text of it, however deep it lies."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from lab.lint.problem import Problem, Rule
from lab.lint.vocabulary import CONTROL_WORDS, EDGE_NAMES, case_ids, scenario_names, tells

_MOST_REMEMBERED: Final = 65_536
_LITERAL: Final = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"')
"""A text as JSON writes it, in a line that is known to be JSON."""

_FRAME: Final = re.compile(r'File "[^"\n]*"')
_LEASE_ID: Final = re.compile(r"[0-9a-f]{32}")
_PLAIN_KEY: Final = re.compile(r"[A-Za-z_]\w*")

Place = tuple["Place", str | int | None] | None
"""How a value is reached, from its end: a tuple is cheaper than a text, and few are shown.

A part that is None leads into a text that is JSON itself.
"""


class TelemetryLint:
    """The rules for telemetry, compiled once for many lines.

    ``titles`` maps every scenario's id to its title; ``lease_ids`` are those the
    warden ever gave.
    """

    def __init__(self, titles: Mapping[str, str], lease_ids: Collection[str] = ()) -> None:
        self._lease_ids = frozenset(lease_ids)
        self._names = (
            (Rule.SCENARIO_NAME, scenario_names(titles)),
            (Rule.CASE_ID, case_ids(titles)),
            (Rule.EDGE_NAME, EDGE_NAMES),
        )
        self._innocent: set[str] = set()

    def line_problems(self, file: str, number: int, line: str) -> Iterator[Problem]:
        """What one line of JSON says too much; one that is no JSON is a problem as well."""
        try:
            document = json.loads(line)
            if self._is_innocent(line):
                return
            for path, rule, found in self._value(document, None):
                yield Problem(file, number, _jq(path), rule, found)
        except (ValueError, RecursionError) as error:
            yield Problem(file, number, "", Rule.UNREADABLE, str(error))

    def _is_innocent(self, line: str) -> bool:
        """Whether no text of the line tells anything, without a look at where each stands.

        Telemetry repeats itself: nearly every text was met before, and hardly a line tells
        anything. So only the few that do are walked, to say where.
        """
        new = set(_LITERAL.findall(line)) - self._innocent
        for literal in new:
            text = json.loads(f'"{literal}"') if "\\" in literal else literal
            if any(True for _ in self._value(text, None)):
                return False
        if len(self._innocent) > _MOST_REMEMBERED:
            self._innocent.clear()
        self._innocent |= new
        return True

    def _value(self, value: Any, path: Place) -> Iterator[tuple[Place, Rule, str]]:
        if isinstance(value, str):
            inner = _json_inside(value)
            if inner is not None:
                yield from self._value(inner, (path, None))
            else:
                for rule, found in self._tells_of(value):
                    yield path, rule, found
        elif isinstance(value, dict):
            for key, each in value.items():
                for rule, found in self._tells_of(key):
                    yield (path, key), rule, found
                yield from self._value(each, (path, key))
        elif isinstance(value, list):
            for index, each in enumerate(value):
                yield from self._value(each, (path, index))

    def _tells_of(self, text: str) -> tuple[tuple[Rule, str], ...]:
        if text.isdigit():
            return ()
        readings = {text, unquote(text)} if "%" in text else {text}
        found = {
            (tell.rule, tell.found): None
            for reading in sorted(readings)
            for tell in (
                *tells(reading, self._names),
                # A checkout lies where it lies, and a stack trace says where.
                *tells(_FRAME.sub("", reading), ((Rule.CONTROL_WORD, CONTROL_WORDS),)),
            )
        }
        if self._lease_ids:
            ids = self._lease_ids.intersection(_LEASE_ID.findall(text.lower()))
            found |= dict.fromkeys((Rule.LEASE_ID, each) for each in sorted(ids))
        return tuple(found)


def _json_inside(text: str) -> Any:
    """The object or list that a text spells, None where it spells none."""
    if text[:1] not in {"{", "["}:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return None


def _jq(path: Place) -> str:
    if path is None:
        return ""
    before, part = path
    shown = _jq(before)
    if part is None:
        return f"({shown or '.'} | fromjson)"
    if isinstance(part, str) and _PLAIN_KEY.fullmatch(part):
        return f"{shown}.{part}"
    return f"{shown or '.'}[{json.dumps(part)}]"
