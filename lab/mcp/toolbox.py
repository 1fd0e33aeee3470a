"""What a tool is: its arguments, which are checked, and its answer, which is never too long."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from math import inf
from typing import Any, Final, Protocol

from lab.domain.evidence import Evidence
from lab.domain.wording import abridged, near_names
from lab.errors import LabError
from lab.frozen import dataclass
from lab.mcp.answers import Answer, Arguments, fitted
from lab.mcp.dossier import Dossier
from lab.mcp.patterns import Pattern

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
    """One argument, or what an item or a field of one is.

    ``kind`` is a JSON type; or ``moment``, ``duration`` or ``pattern``, which are strings; or
    ``scalar``; or ``value``, which is one or a list of ``items``. ``least`` and ``most`` bound a
    number, or how much a list or an object holds. ``items`` is what each item of a list, or each
    value of an object, is. An object may have ``fields``, and then no others.
    """

    name: str
    kind: str
    says: str = ""
    required: bool = False
    default: Any = None
    least: float | None = None
    most: float | None = None
    words: tuple[str, ...] = ()
    items: Param | None = None
    fields: tuple[Param, ...] = ()

    def schema(self) -> Answer:
        """As JSON Schema."""
        found: Answer = {"type": _JSON.get(self.kind, self.kind)}
        low, high = _BOUNDS.get(self.kind, ("minimum", "maximum"))
        told: Answer = {"description": self.says or None, low: self.least, high: self.most}
        told |= {"default": self.default, "enum": list(self.words) or None}
        if str in _KINDS[self.kind]:
            told["maxLength"] = LONGEST_TEXT
        if self.items is not None:
            within = "additionalProperties" if self.kind == "object" else "items"
            told[within] = self.items.schema()
        found |= {key: each for key, each in told.items() if each is not None}
        alone = self.items.schema() if self.items is not None and self.kind == "value" else {}
        return {**alone, **found, **(fields_schema(self.fields) if self.fields else {})}

    def problems(self, value: Any, place: str) -> Iterator[str]:
        """Why the value at ``place`` cannot be meant; none where it can."""
        problem = self._misfit(value, place) or self._beyond(value) or self._unreadable(value)
        if problem is not None:
            yield f"{place}: {problem}"
        elif self.kind == "value" and self.items is not None and not isinstance(value, list):
            yield from self.items.problems(value, place)
        elif isinstance(value, list):
            yield from self._of_items(value, place)
        elif isinstance(value, dict):
            yield from self._of_fields(value, place)

    def _misfit(self, value: Any, place: str) -> str | None:
        """Why it is of no kind, or no word, that is expected here."""
        kinds = _KINDS[self.kind]
        is_whole = self.kind == "integer" and isinstance(value, float) and value.is_integer()
        if not (isinstance(value, kinds) or is_whole) or (
            isinstance(value, bool) and bool not in kinds
        ):
            return f"expected {self.expected}, got {_shown(value)}"
        if self.words and value not in self.words:
            one = "one" if place == self.name else f"one {self.name}"
            return f"expected {one} of {', '.join(self.words)}, got {_shown(value)}"
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            return f"expected at most {LONGEST_TEXT} characters, got {len(value)}"
        return None

    @property
    def expected(self) -> str:
        """What belongs here, in words."""
        if not self.fields:
            return _AN[self.kind]
        needed = [each.name for each in self.fields if each.required]
        return f"an object {'with' if needed else 'of'} {', '.join(needed or self._known)}"

    @property
    def _known(self) -> tuple[str, ...]:
        return tuple(each.name for each in self.fields)

    def _beyond(self, value: Any) -> str | None:
        """Why a number, or how much a list or an object holds, is out of bounds."""
        if isinstance(value, list | dict):
            size, unit = len(value), " items"
        elif isinstance(value, bool | str) or self.kind == "value":
            return None
        else:
            size, unit = value, ""
        low, high = self.least or 0, inf if self.most is None else self.most
        if low <= size <= high:
            return None
        return f"expected {low:g} to {high:g}{unit}, got {_shown(size)}"

    def _unreadable(self, value: Any) -> str | None:
        try:
            _PARSED.get(self.kind, _as_it_is)(value)
        except (ValueError, OverflowError, RecursionError):
            return f"expected {self.expected}, got {_shown(value)}"
        return None

    def _of_items(self, value: Sequence[Any], place: str) -> Iterator[str]:
        if self.items is not None:
            for number, each in enumerate(value):
                yield from self.items.problems(each, f"{place}[{number}]")

    def _of_fields(self, value: Mapping[str, Any], place: str) -> Iterator[str]:
        needed = {each.name for each in self.fields if each.required}
        if needed - value.keys() or (self.fields and value.keys() - set(self._known)):
            got = ", ".join(value) or "nothing"
            yield f"{place}: expected {self.expected}, got one of {abridged(got, _MOST_SHOWN)}"
        within = {each.name: each for each in self.fields}
        for name, each in value.items():
            param = within.get(name, self.items)
            if param is not None:
                yield from param.problems(each, f"{place}.{abridged(name, _MOST_SHOWN)}")

    def read(self, value: Any) -> Any:
        """The value as the tool takes it: a moment in Unix seconds, a duration in ms."""
        return _PARSED.get(self.kind, _as_it_is)(value)


def fields_schema(fields: Sequence[Param]) -> Answer:
    """As JSON Schema says what an object holds, and that it holds nothing else."""
    return {
        "properties": {each.name: each.schema() for each in fields},
        "required": [each.name for each in fields if each.required],
        "additionalProperties": False,
    }


def _shown(value: Any) -> str:
    """The value as it was given, cut; Python writes no number of thousands of digits."""
    try:
        return abridged(repr(value), _MOST_SHOWN)
    except (ValueError, RecursionError):
        return f"a {type(value).__name__} that is too long to show"


def _as_it_is(value: Any) -> Any:
    return value


_MOST_SHOWN: Final = 80
"""Of what was given, in characters."""
MOST_PROBLEMS: Final = 20
"""That are told of one call."""
LONGEST_TEXT: Final = 4_096
"""Of an argument, in characters."""


def _sendable(text: str) -> str:
    """The text; ValueError where it holds half a letter, which no answer could quote."""
    text.encode()
    return text


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


_PARSED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "moment": _moment,
    "duration": duration_ms,
    "string": _sendable,
    "pattern": Pattern,
    "integer": int,
}
_AN: Final = {
    "moment": "an RFC 3339 time such as 2026-03-01T14:02:00Z",
    "duration": "a duration such as 250ms or 1.5s",
    "pattern": "a regular expression (RE2)",
    "integer": "a whole number",
    "number": "a number",
    "string": "a text",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "scalar": "a text, a number, true or false",
    "value": "a text, a number, true or false, or a list",
}
_TEXTS: Final = ("string", "moment", "duration", "pattern")
_KINDS: Final[Mapping[str, tuple[type, ...]]] = {
    **dict.fromkeys(_TEXTS, (str,)),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
    "scalar": (str, int, float, bool),
    "value": (str, int, float, bool, list),
}
_JSON: Final[Mapping[str, Any]] = {
    **dict.fromkeys(_TEXTS, "string"),
    "scalar": ["string", "number", "boolean"],
    "value": ["string", "number", "boolean", "array"],
}
"""Kind → type of JSON Schema, where it is called otherwise there."""
_BOUNDS: Final = {
    "array": ("minItems", "maxItems"),
    "value": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}

NO_DOSSIER: Final = Dossier("", "", "", asks_scope=False, evidence=Evidence({}, (), {}, {}))
"""What a tool gets that is about no case."""

MOST_MS: Final = 1e12
_NUMBERS: Final = 2.0**63
ATTRIBUTE_VALUE: Final = Param(
    "value", "value", most=100, items=Param("value", "scalar", least=-_NUMBERS, most=_NUMBERS)
)
"""What an attribute of a span may hold."""

CASE: Final = Param("case_id", "string", "Which case; the newest where it is left out.")


def limit(default: int = 20, most: int = 200) -> Param:
    """How many rows an answer may have at most."""
    said = "At most so many rows; `total` says how many there are."
    return Param("limit", "integer", said, default=default, least=1, most=most)


def time_param(name: str, says: str) -> Param:
    """An RFC 3339 time."""
    return Param(name, "moment", says)


def pattern_param() -> Param:
    """What a name has to contain."""
    return Param("pattern", "pattern", "A regular expression (RE2) that a name has to contain.")


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
        return {"type": "object", **fields_schema(self.all_params)}

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
            more = [f"and {len(problems) - MOST_PROBLEMS} more"] * (len(problems) > MOST_PROBLEMS)
            said = "; ".join([*problems[:MOST_PROBLEMS], *more])
            raise ArgumentsRefused(f"{self.name} cannot mean this. {said}")
        known = {each.name: each for each in self.all_params}
        filled = {name: each.default for name, each in known.items() if each.default is not None}
        return filled | {n: known[n].read(each) for n, each in given.items() if each is not None}

    def _problems(self, given: Arguments) -> Iterator[str]:
        known = {each.name: each for each in self.all_params}
        for name in given.keys() - known.keys():
            near = near_names(name, tuple(known)) or tuple(known) or ("no argument at all",)
            yield f"{abridged(name, _MOST_SHOWN)}: expected one of {', '.join(near)}"
        for name, each in known.items():
            value = given.get(name)
            if value is not None:
                yield from each.problems(value, name)
            elif each.required:
                yield f"{name}: expected {each.expected}, got nothing"

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
