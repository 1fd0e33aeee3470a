"""The fields of a protobuf message in its JSON spelling, read strictly.

Each function takes the object that owns the field and the path ``at`` of that object,
treats an absent or null field as protobuf does (as its default), and raises
`MalformedOtlpError` with the field's path for what cannot be meant.
"""

from __future__ import annotations

import base64
import binascii
import functools
import json
import re
import reprlib
from collections.abc import Iterator, Mapping, Sized
from typing import Any, Final

from lab.adapters.bounds import MOST_OF_OTLP
from lab.domain.trace import AttributeValue

DEEPEST_VALUE: Final = 16
"""Arrays and maps inside each other; SDKs write one level, and every reader pays for each."""

_UINT64: Final = 2**64
_EXACT: Final = 2**53
"""Below it a double holds every whole number."""


class MalformedOtlpError(ValueError):
    """A document is not OTLP/JSON; says where, what was expected and what was found."""

    def __init__(self, where: str, expected: str, found: object) -> None:
        self.where = where
        self.why = f"expected {expected}, found {reprlib.repr(found)}"
        super().__init__(f"{where}: {self.why}")


_SNAKE: Final = re.compile(r"[a-z]+(?:_[a-z]+)+")


def camel(found: Any) -> Any:
    """The same with the fields' names in lowerCamelCase: some write those of the ``.proto`` file.

    Keys of attributes are values in OTLP, so no name that somebody chose is changed.
    """
    if isinstance(found, list):
        return [camel(each) for each in found]
    if not isinstance(found, dict):
        return found
    return {_camel_name(key): camel(each) for key, each in found.items()}


@functools.cache
def _camel_name(name: str) -> str:
    if not _SNAKE.fullmatch(name):
        return name
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def parse(text: bytes | str) -> Any:
    """The JSON value of ``text``; MalformedOtlpError if it is none, or one nested without end."""
    try:
        return json.loads(text)
    except RecursionError:
        raise MalformedOtlpError("document", "JSON nested less deeply", text[:40]) from None
    except ValueError as error:
        raise MalformedOtlpError("document", f"JSON ({error})", text[:40]) from error


def message(value: object, at: str) -> Mapping[str, Any]:
    """``value`` itself, if it is a message (a JSON object); an empty one for null."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise MalformedOtlpError(at, "an object", value)
    return value


def items(owner: Mapping[str, Any], field: str, at: str) -> list[Any]:
    """The elements of a repeated field; no more than it may have (`MOST_OF_OTLP`)."""
    value = owner.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        raise MalformedOtlpError(f"{at}.{field}".lstrip("."), "an array", value)
    bounded(value, field, f"{at}.{field}".lstrip("."))
    return value


def bounded(value: Sized, field: str, at: str) -> None:
    """Refuse more elements than ``field`` may have (`MOST_OF_OTLP`)."""
    most = MOST_OF_OTLP.get(field)
    if most is not None and len(value) > most:
        raise MalformedOtlpError(at, f"at most {most}", len(value))


def messages(owner: Mapping[str, Any], field: str, at: str) -> Iterator[Mapping[str, Any]]:
    """The messages of a repeated field."""
    for n, item in enumerate(items(owner, field, at)):
        yield message(item, f"{at}.{field}[{n}]".lstrip("."))


def text(owner: Mapping[str, Any], field: str, at: str) -> str:
    """A string field."""
    value = owner.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise MalformedOtlpError(f"{at}.{field}", "text", value)
    return _utf8(value)


def _utf8(text: str) -> str:
    """``text`` as protobuf can carry it: JSON may escape half a character, which no file takes."""
    return text if text.isascii() else text.encode(errors="replace").decode()


def flags(owner: Mapping[str, Any], at: str) -> int:
    """The flags of a span's or a link's context: 32 bits."""
    value = owner.get("flags")
    if value is None:
        return 0
    number = integer(value, f"{at}.flags")
    if not 0 <= number < 2**32:
        raise MalformedOtlpError(f"{at}.flags", "32 bits", value)
    return number


def integer(value: object, at: str) -> int:
    """A 64-bit number, which JSON carries as a string because a double cannot hold it."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _EXACT:
        return int(value)  # Some writers have no other numbers than doubles.
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise MalformedOtlpError(at, "a 64-bit number", value)
    try:
        # Python refuses to read thousands of digits, with the same ValueError.
        number = int(value)
    except ValueError:
        raise MalformedOtlpError(at, "a 64-bit number", value) from None
    if not -_UINT64 < number < _UINT64:
        raise MalformedOtlpError(at, "a 64-bit number", value)
    return number


def double(value: object, at: str) -> float:
    """A double; protobuf's JSON writes NaN and the infinities as strings."""
    try:
        if isinstance(value, int | float | str) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise MalformedOtlpError(at, "a number", value)


def time_ns(owner: Mapping[str, Any], field: str, at: str) -> int:
    """A time in nanoseconds since 1970."""
    value = owner.get(field)
    number = 0 if value is None else integer(value, f"{at}.{field}")
    if number < 0:
        raise MalformedOtlpError(f"{at}.{field}", "nanoseconds since 1970", number)
    return number


def enumerated(owner: Mapping[str, Any], field: str, names: Mapping[str, int], at: str) -> int:
    """The number of an enumeration given by number or by name (``names`` maps name → number)."""
    value = owner.get(field)
    if value is None:
        return 0
    number = names.get(value) if isinstance(value, str) else value
    if isinstance(number, bool) or not isinstance(number, int) or number not in names.values():
        raise MalformedOtlpError(f"{at}.{field}", f"one of {', '.join(names)}", value)
    return number


def identity(owner: Mapping[str, Any], field: str, length: int, at: str) -> str:
    """An id of ``length`` bytes as lower-case hex, from hex or base64; never all zero."""
    found = optional_identity(owner, field, length, at)
    if found is None:
        raise MalformedOtlpError(
            f"{at}.{field}", f"an id of {length} bytes, not all zero", owner.get(field)
        )
    return found


def optional_identity(owner: Mapping[str, Any], field: str, length: int, at: str) -> str | None:
    """The same, or None where it is absent, empty or all zero."""
    value = text(owner, field, at)
    if not value:
        return None
    # The two spellings differ in length, so neither can be taken for the other.
    try:
        raw = (
            bytes.fromhex(value)
            if len(value) == 2 * length
            else base64.b64decode(value + "=" * (-len(value) % 4), validate=True)
        )
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != length:
        if _HEX.fullmatch(value):
            raise MalformedOtlpError(f"{at}.{field}", f"{2 * length} hex digits", len(value))
        raise MalformedOtlpError(
            f"{at}.{field}", f"{length} bytes as {2 * length} hex digits or base64", value
        )
    return raw.hex() if any(raw) else None


_HEX: Final = re.compile(r"[0-9a-fA-F]+")


def attributes(owner: Mapping[str, Any], at: str) -> dict[str, AttributeValue]:
    """The attributes of what owns them; a key that comes twice keeps its last value."""
    found: dict[str, AttributeValue] = {}
    for n, item in enumerate(items(owner, "attributes", at)):
        # Nearly all are plain text, which needs no path to tell of a fault that is not there.
        try:
            key, plain = item["key"], item["value"]["stringValue"]
        except (KeyError, TypeError):
            key = plain = None
        if type(key) is str and type(plain) is str and key.isascii() and plain.isascii():
            found[key] = plain
            continue
        where = f"{at}.attributes[{n}]".lstrip(".")
        pair = message(item, where)
        found[text(pair, "key", where)] = value(pair.get("value"), f"{where}.value")
    return found


def value(found: object, at: str, levels: int = DEEPEST_VALUE) -> AttributeValue:
    """One ``AnyValue``; null and the empty value read as an empty string.

    ``levels`` is how many arrays and maps may still be inside each other.
    """
    match message(found, at):
        case {"stringValue": str(text)} | {"bytesValue": str(text)}:
            return _utf8(text)
        case {"stringValue": bool() | int() | float() as number}:
            return json.dumps(number)  # Some write a number where they say that it is text.
        case {"boolValue": bool(flag)}:
            return flag
        case {"intValue": number}:
            return integer(number, f"{at}.intValue")
        case {"doubleValue": number}:
            return double(number, f"{at}.doubleValue")
        case {"arrayValue": array}:
            return tuple(value(*inner) for inner in _elements(array, at, levels))
        case {"kvlistValue": pairs}:
            return as_json(_map(pairs, at, levels))
        case {} as empty if not empty:
            return ""
        case {**others} if (renamed := camel(others)) != others:
            return value(renamed, at, levels)
        case unknown:
            raise MalformedOtlpError(at, "an OTLP value", unknown)


def as_json(found: Any) -> str:
    """What is no list of OTLP's as the text of its JSON, which is how a map is kept."""
    return _utf8(json.dumps(found, ensure_ascii=False))


def base64_text(raw: bytes) -> str:
    """Bytes as OTLP/JSON spells them."""
    return base64.b64encode(raw).decode()


def _elements(array: object, at: str, levels: int) -> Iterator[tuple[object, str, int]]:
    if not levels:
        raise MalformedOtlpError(at, f"at most {DEEPEST_VALUE} nested arrays and maps", array)
    for n, item in enumerate(items(message(array, at), "values", at)):
        yield item, f"{at}.values[{n}]", levels - 1


def _map(pairs: object, at: str, levels: int) -> dict[str, Any]:
    """A map and what is in it, as JSON has it.

    Not text in text: each level would escape the quotes of those below, and double them.
    """
    return {
        text(message(pair, where), "key", where): _plain(
            message(pair, where).get("value"), f"{where}.value", inner
        )
        for pair, where, inner in _elements(pairs, at, levels)
    }


def _plain(found: object, at: str, levels: int) -> Any:
    match message(found, at):
        case {"arrayValue": array}:
            return [_plain(*inner) for inner in _elements(array, at, levels)]
        case {"kvlistValue": pairs}:
            return _map(pairs, at, levels)
        case scalar:
            return value(scalar, at, levels)
