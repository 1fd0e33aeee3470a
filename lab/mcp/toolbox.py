"""What a tool is: its arguments, which are checked, and its answer, which is never too long."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from lab.domain.evidence import Evidence
from lab.domain.wording import near_names
from lab.errors import LabError
from lab.mcp.answers import Answer, Arguments, fitted
from lab.mcp.dossier import Dossier

_DURATION: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>ns|us|µs|ms|s|m|h)")
_UNIT_MS: Final = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}


class ArgumentsRefused(LabError):
    """What a tool was called with cannot be meant; every problem is told."""


class Room(Protocol):
    """Where an agent works: the cases that are served, and what may be done with them."""

    def read_ahead(self) -> None:
        """Read what will be asked about first, so that the first call need not wait for it."""

    def case_ids(self) -> Sequence[str]:
        """The cases that may be asked about, the newest first."""

    def summaries(self) -> list[Answer]:
        """A row for each case."""

    def dossier(self, case_id: str | None) -> Dossier:
        """One case (None: the only or the newest one); UnknownCase where it is not served."""

    def note(self, case_id: str, call: str) -> None:
        """Write down that an agent asked this."""

    def look(self, case_id: str, trace_id: str) -> None:
        """Write down that a trace was opened."""

    def accuse(self, case_id: str, claim: Arguments) -> Answer:
        """Judge an accusation, or write it down for who judges later."""

    def hint(self, case_id: str, number: int | None) -> Answer:
        """The hints as they are offered, or one of them, which then counts."""

    def sent(self, size: int) -> None:
        """Count bytes that an agent was given to read."""

    def search_live(self, query: str, start_s: float, end_s: float) -> frozenset[str] | None:
        """The traces for which TraceQL holds in the running store; None where none runs."""


@dataclass(frozen=True, slots=True)
class Param:
    """One argument. ``kind`` is a JSON type, or ``moment`` or ``duration``, which are strings."""

    name: str
    kind: str
    says: str
    required: bool = False
    default: Any = None
    least: float | None = None
    most: float | None = None
    words: tuple[str, ...] = ()
    items: Mapping[str, Any] | None = None

    def schema(self) -> Answer:
        """As JSON Schema."""
        kind = "string" if self.kind in _PARSED else self.kind
        found: Answer = {"type": kind, "description": self.says}
        bounds = {"minimum": self.least, "maximum": self.most, "default": self.default}
        if kind == "array":
            bounds = {"maxItems": self.most, "items": self.items or {"type": "string"}}
        found |= {key: each for key, each in bounds.items() if each is not None}
        return found | ({"enum": list(self.words)} if self.words else {})

    def problem(self, value: Any) -> str | None:
        """Why the value cannot be meant; None where it can."""
        kinds = _KINDS["string" if self.kind in _PARSED else self.kind]
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            return f"{self.name}: expected {_AN.get(self.kind, self.kind)}, got {value!r:.80}"
        if self.words and value not in self.words:
            return f"{self.name}: expected one of {', '.join(self.words)}, got {value!r:.80}"
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            return f"{self.name}: expected at most {LONGEST_TEXT} characters, got {len(value)}"
        return self._beyond(value) or self._unreadable(value)

    def _beyond(self, value: Any) -> str | None:
        """Why a number, or how many items there are, is out of bounds."""
        if not isinstance(value, int | float | list) or isinstance(value, bool):
            return None
        size, unit = (len(value), " items") if isinstance(value, list) else (value, "")
        low, high = self.least or 0, float("inf") if self.most is None else self.most
        if low <= size <= high:
            return None
        return f"{self.name}: expected {low:g} to {high:g}{unit}, got {size:g}"

    def _unreadable(self, value: Any) -> str | None:
        try:
            _PARSED.get(self.kind, str)(value)
        except ValueError:
            return f"{self.name}: expected {_AN[self.kind]}, got {value!r:.80}"
        return None

    def read(self, value: Any) -> Any:
        """The value as the tool takes it: a moment in Unix seconds, a duration in ms."""
        return _PARSED[self.kind](value) if self.kind in _PARSED else value


LONGEST_TEXT: Final = 4_096
"""Of an argument, in characters."""


def _moment(text: str) -> float:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(text)
    return found.timestamp()


def duration_ms(text: str) -> float:
    """``250ms`` or ``1m30s`` in ms; ValueError for what is no duration."""
    parts = list(_DURATION.finditer(text))
    if not parts or "".join(each[0] for each in parts) != text:
        raise ValueError(text)
    return sum(float(each["number"]) * _UNIT_MS[each["unit"]] for each in parts)


_PARSED: Final[Mapping[str, Callable[[str], float]]] = {
    "moment": _moment,
    "duration": duration_ms,
}
_AN: Final = {
    "moment": "an RFC 3339 time such as 2026-03-01T14:02:00Z",
    "duration": "a duration such as 250ms or 1.5s",
    "integer": "a whole number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
}
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}

NO_DOSSIER: Final = Dossier("", "", "", asks_scope=False, evidence=Evidence({}, (), {}, {}))
"""What a tool gets that is about no case."""

CASE: Final = Param("case_id", "string", "Which case; the newest where it is left out.")


def limit(default: int = 20, most: int = 200) -> Param:
    """How many rows an answer may have at most."""
    said = "At most so many rows; `total` says how many there are."
    return Param("limit", "integer", said, default=default, least=1, most=most)


def time_param(name: str, says: str) -> Param:
    """An RFC 3339 time."""
    return Param(name, "moment", says)


def text_param(name: str, says: str, *, required: bool = False) -> Param:
    """A text."""
    return Param(name, "string", says, required=required)


@dataclass(frozen=True, slots=True)
class Tool:
    """``rows`` is the key of the answer's list, if it has one.

    ``writes`` where something is changed by it beyond the note that it was called.
    """

    name: str
    says: str
    run: Callable[[Room, Dossier, Arguments], Answer]
    params: tuple[Param, ...] = ()
    rows: str | None = None
    about_a_case: bool = True
    writes: bool = False

    @property
    def all_params(self) -> tuple[Param, ...]:
        """Its own arguments, and which case is meant."""
        return (*self.params, CASE) if self.about_a_case else self.params

    def schema(self) -> Answer:
        """Of the arguments; what it does not name is refused."""
        return {
            "type": "object",
            "properties": {each.name: each.schema() for each in self.all_params},
            "required": [each.name for each in self.all_params if each.required],
            "additionalProperties": False,
        }

    def output_schema(self) -> Answer:
        """Of the answer."""
        if self.rows is None:
            return {"type": "object"}
        counts = {key: {"type": "integer"} for key in ("total", "returned")}
        rows = {self.rows: {"type": "array"}, "truncated": {"type": "boolean"}, **counts}
        return {"type": "object", "properties": rows, "required": list(rows)}

    def checked(self, given: Arguments) -> Arguments:
        """The arguments, read and filled up; ArgumentsRefused lists all that is wrong."""
        if problems := list(self._problems(given)):
            raise ArgumentsRefused(f"{self.name} cannot mean this. " + "; ".join(problems))
        told = {each.name: each for each in self.all_params}
        filled = {name: each.default for name, each in told.items() if each.default is not None}
        return filled | {n: told[n].read(each) for n, each in given.items() if each is not None}

    def _problems(self, given: Arguments) -> Iterator[str]:
        known = {each.name: each for each in self.all_params}
        for name in given.keys() - known.keys():
            near = near_names(name, tuple(known)) or tuple(known) or ("no argument at all",)
            yield f"{name[:80]}: expected one of {', '.join(near)}"
        for name, each in known.items():
            value = given.get(name)
            if value is None:
                if each.required:
                    yield f"{name}: expected {_AN.get(each.kind, each.kind)}, got nothing"
            elif (problem := each.problem(value)) is not None:
                yield problem

    def answer(self, room: Room, given: Arguments) -> Answer:
        """What the tool says, cut to size; the call is noted before."""
        arguments = self.checked(given)
        dossier = room.dossier(arguments.get("case_id")) if self.about_a_case else NO_DOSSIER
        about = [dossier.case_id] if self.about_a_case else room.case_ids()
        if len(about) == 1:
            room.note(about[0], self._call(given))
        return fitted(self.run(room, dossier, arguments), self.rows)

    def _call(self, given: Arguments) -> str:
        """The call in one line."""
        said = (f"{name}={json.dumps(each)}" for name, each in given.items() if name != "case_id")
        return " ".join((self.name, *said))[:200]
