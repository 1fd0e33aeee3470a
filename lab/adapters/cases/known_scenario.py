"""The scenario of a sealed case: as its files say it, or as it was understood before.

To read the language of scenarios takes longer than all else that most commands do. So the
scenario is noted beside the case once it was read, value by value, for the same files and plan
and the same version of the language.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lab.adapters.cases.own_note import code_of_notes, read_note, write_note
from lab.adapters.cases.strict_reading import text_of
from lab.domain.join import Join
from lab.domain.variation import Plan
from lab.errors import CaseError, ScenarioError

if TYPE_CHECKING:
    from lab.domain.scenario import Scenario

KNOWN: Final = ".scenario.json"
"""A dot in front, as nothing has that is sealed."""

_PLAIN: Final = frozenset({str, int, float, bool, type(None)})
_DOMAIN: Final = "lab.domain."
_TUPLE, _SET, _MAP = "tuple", "frozenset", "map"


def read_scenario(sealed: Path, note: Path, scenario_id: str, plan: Plan) -> Scenario:
    """The scenario whose files lie in ``sealed``; CaseError where this lab does not understand it.

    ``note`` is where it was noted, or is from now on where the disk takes it.
    """
    from lab.domain.scenario import Scenario

    texts = _texts(sealed)
    made_of = _made_of(texts, scenario_id, plan)
    known = _known(read_note(note, made_of), part=1)
    if isinstance(known, Scenario):
        return known
    scenario = _parsed(sealed, texts, scenario_id, plan)
    parts = (as_json(each) for each in (scenario.truth.joins, scenario))
    told = "\n".join(json.dumps(each, separators=(",", ":")) for each in parts)
    with suppress(OSError):
        write_note(note, told, made_of)
    return scenario


def read_joins(sealed: Path, note: Path, scenario_id: str, plan: Plan) -> tuple[Join, ...]:
    """Which traces belong to a request beside its own; the rest of the scenario stays unread.

    The same errors as `read_scenario`.
    """
    known = _known(read_note(note, _made_of(_texts(sealed), scenario_id, plan)), part=0)
    if isinstance(known, tuple) and all(isinstance(each, Join) for each in known):
        return known
    return read_scenario(sealed, note, scenario_id, plan).truth.joins


def _texts(sealed: Path) -> Mapping[str, str]:
    return {path.name: text_of(path) for path in sorted(sealed.glob("*"))}


def _made_of(texts: Mapping[str, str], scenario_id: str, plan: Plan) -> Mapping[str, str]:
    asked = json.dumps([scenario_id, texts, dict(plan)], sort_keys=True)
    digest = hashlib.sha256(asked.encode()).hexdigest()
    return {"scenario": digest, "code": code_of_notes()}


def _parsed(sealed: Path, texts: Mapping[str, str], scenario_id: str, plan: Plan) -> Scenario:
    # Whoever finds it noted does not wait for the language of scenarios.
    from lab import scenario_file

    try:
        return scenario_file.parse(texts, scenario_id, plan)
    except ScenarioError as error:
        raise CaseError(
            f"{sealed}: expected a scenario this lab understands; "
            f"another version wrote it, or it was changed:\n{error}"
        ) from error


def _known(text: bytes | None, part: int) -> Any:
    """The value in that line of a note; None where there is none."""
    try:
        return None if text is None else from_json(json.loads(text.split(b"\n")[part]))
    except (ValueError, TypeError, LookupError, AttributeError, ImportError, RecursionError):
        return None


def as_json(value: Any) -> Any:
    """A value of the domain as JSON: a list of its kind and its parts, or itself where plain.

    TypeError for a kind that is not of the domain.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is tuple:
        return [_TUPLE, *map(as_json, value)]
    if kind is frozenset:
        return [_SET, *map(as_json, sorted(value))]
    if isinstance(value, Mapping):
        return [_MAP, *(as_json(each) for pair in value.items() for each in pair)]
    if not kind.__module__.startswith(_DOMAIN):
        raise TypeError(f"expected a value of the domain, got {value!r}")
    name = f"{kind.__module__.removeprefix(_DOMAIN)}.{kind.__qualname__}"
    if isinstance(value, Enum):
        return [name, value.value]
    return [name, *(as_json(getattr(value, each.name)) for each in fields(value))]


def from_json(told: Any) -> Any:
    """What `as_json` told; an error of Python's own where nobody can have told it."""
    if type(told) is not list:
        if type(told) is dict:
            raise ValueError("expected a list or a plain value, found a map")
        return told
    name, *rest = told
    parts = map(from_json, rest)
    if name == _TUPLE:
        return tuple(parts)
    if name == _SET:
        return frozenset(parts)
    if name == _MAP:
        return dict(zip(parts, parts, strict=True))
    return _kind(name)(*parts)


@cache
def _kind(name: str) -> type[Any]:
    """The class of the domain with that name, and nothing else that a file might ask for."""
    module, _, own_name = name.partition(".")
    found = getattr(import_module(_DOMAIN + module), own_name)
    if not isinstance(found, type) or not (is_dataclass(found) or issubclass(found, Enum)):
        raise TypeError(f"expected a value of the domain, got {name}")
    return found
