"""JSON in pieces small enough to hold, each with the line it begins in; one bad piece costs itself.

A value that is small, or a line of its own, is given whole. A larger one is opened along the
fields in which traces are wrapped, and given member by member, so a file may be larger than
memory, and what is damaged in it ends only what holds the damage. Time is linear in bytes:
brackets are counted by one regular expression that looks at no byte twice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from io import BytesIO
from typing import Any, Final

from lab.adapters.bounds import LONGEST_STRING_BYTES
from lab.adapters.formats.unpacking import Readable
from lab.adapters.otlp.fields import MalformedOtlpError, parse
from lab.errors import CaseError
from lab.frozen import dataclass

Path = tuple[str | int, ...]

WHOLE_BYTES: Final = 2**20
"""What is no larger is parsed at once."""

MOST_GROUP_BYTES: Final = 4 * 2**20
"""Of one ``resourceSpans``; a larger one is opened, span by span."""

MOST_TRACE_BYTES: Final = 32 * 2**20
"""Of one value that cannot be opened, such as a trace of Jaeger's."""

MOST_PIECES: Final = 600_000
"""Of one file: as many as a case may have spans, and some; more are mostly empty."""

MOST_DAMAGES: Final = 10_000
"""Of one file: more is no damage, but another format."""

DEEPEST: Final = 120
"""Brackets inside each other: OTLP has 13 round an attribute, and 4 for each map in it."""

_CHUNK_BYTES: Final = 2**18
_DEEPEST_WRAPPING: Final = 8

_TO_BRACKET: Final = re.compile(rb'(?:[^"\[\]{}]++|"[^"\\]*+(?:\\.[^"\\]*+)*+")*+', re.DOTALL)
_STRING: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_SCALAR: Final = re.compile(rb"[^\s,\[\]{}\"]++")
_SPACE: Final = re.compile(rb"[\s\x1e]*+")
"""A JSON text sequence (RFC 7464) has a record separator before each value."""

WRAPPERS: Final = frozenset({"trace", "result", "data", "traces"})
GROUPS: Final = frozenset({"resourceSpans", "resource_spans", "batches"})
_SCOPES: Final = frozenset(
    {"scopeSpans", "scope_spans", "instrumentationLibrarySpans", "instrumentation_library_spans"}
)
SPANS: Final = "spans"
CONTEXT: Final = frozenset(
    {"resource", "scope", "instrumentationLibrary", "instrumentation_library"}
)
SCHEMA_URLS: Final = frozenset({"schemaUrl", "schema_url"})
"""Text beside what `CONTEXT` holds: by which conventions it is to be read."""

_SIGNALS: Final = frozenset({"resourceLogs", "resourceMetrics", "resourceProfiles"})
"""No traces; given as an empty list, so that whoever reads can say what it was."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A value, the line in which it begins, and where in its document it stands."""

    line: int
    path: Path
    value: Any


@dataclass(frozen=True, slots=True)
class Damage:
    """What was found in place of a piece."""

    line: int
    path: Path
    why: str


class _Unreadable(Exception):
    """Nothing behind this place can be told apart."""


class JsonPieces:
    """The pieces of ``source``; iterate once."""

    def __init__(self, name: str, source: Readable, line: int = 1) -> None:
        self._name = name
        self._source = source
        self._buffer = b""
        self._at = 0
        self._ended = False
        self._line = line
        self._count = 0

    def __iter__(self) -> Iterator[Piece | Damage]:
        """Every piece in order; CaseError where a file has more of them than anybody reads.

        What is damaged in too many places is read no further.
        """
        damages = 0
        for found in self._all():
            yield found
            damages += isinstance(found, Damage)
            if damages > MOST_DAMAGES:
                why = f"found more than {MOST_DAMAGES} such pieces; the rest was not read"
                yield Damage(self._line, (), why)
                return

    def _all(self) -> Iterator[Piece | Damage]:
        while self._skip_space():
            line = self._one_line()
            if line is not None:
                try:
                    yield self._piece(self._line, (), _parsed(line))
                except MalformedOtlpError as error:
                    if self._buffer[self._at] not in b"{[":
                        yield Damage(self._line, (), error.why)
                        self._advance(self._at + len(line))
                        continue
                    if self._is_torn(line):
                        yield from JsonPieces(self._name, BytesIO(line), self._line)
                        self._advance(self._at + len(line))
                        continue
                else:
                    self._advance(self._at + len(line))
                    continue
            if self._buffer[self._at] not in b"{[":
                yield Damage(self._line, (), "expected JSON, found a line that is none")
                self._to_next_line()
                continue
            yield from self.salvaged()

    def salvaged(self) -> Iterator[Piece | Damage]:
        """One value; where its brackets do not match, what can be read of it before."""
        began = self._line
        try:
            if self._skip_space():
                yield from self._value(())
        except _Unreadable as error:
            yield Damage(
                self._line, (), f"{error}" + f" (it began in line {began})" * (self._line != began)
            )
            self._to_next_document()

    # --- values ---

    def _value(self, path: Path) -> Iterator[Piece | Damage]:
        """The value at this place, whole or member by member."""
        line = self._line
        end = self._end(_most_bytes(path))
        if end is not None:
            text = self._buffer[self._at : end]
            try:
                piece = self._piece(line, path, _parsed(text))
            except MalformedOtlpError as error:
                # What stands in it one by one may be right but for one.
                if _may_open(path) and len(path) < _DEEPEST_WRAPPING:
                    yield from JsonPieces(self._name, BytesIO(text), line)._opened_alone(path)
                else:
                    yield Damage(line, path, error.why)
            else:
                yield piece
            self._advance(end)
        elif _may_open(path) and len(path) < _DEEPEST_WRAPPING:
            yield from self._opened(path)
        else:
            yield from self._skipped(line, path)

    def _opened_alone(self, path: Path) -> Iterator[Piece | Damage]:
        try:
            if self._skip_space():
                yield from self._opened(path)
        except _Unreadable as error:
            yield Damage(self._line, path, str(error))

    def _skipped(self, line: int, path: Path) -> Iterator[Damage]:
        end = self._end(MOST_TRACE_BYTES)
        if end is None:
            raise _Unreadable(
                "expected the end of what begins here, found that of the file"
                if self._ended and len(self._buffer) - self._at < MOST_TRACE_BYTES
                else f"expected at most {MOST_TRACE_BYTES // 2**20} MiB in one trace, found more"
            )
        self._advance(end)
        yield Damage(line, path, f"expected at most {MOST_TRACE_BYTES // 2**20} MiB, found more")

    def _opened(self, path: Path) -> Iterator[Piece | Damage]:
        is_list = self._buffer[self._at] == ord("[")
        self._advance(self._at + 1)
        number = 0
        while True:
            mark = self._mark()
            if mark in b"]}":
                self._advance(self._at + 1)
                return
            if mark == b",":
                self._advance(self._at + 1)
                continue
            if is_list:
                yield from self._element((*path, number))
                number += 1
            else:
                yield from self._member(path)

    def _element(self, path: Path) -> Iterator[Piece | Damage]:
        if self._buffer[self._at] in b"{[":
            yield from self._value(path)
            return
        line, found = self._line, self._scalar()
        yield Damage(line, path, f"expected an object, found {found[:40].decode('latin-1')!a}")

    def _member(self, path: Path) -> Iterator[Piece | Damage]:
        if self._buffer[self._at] != ord('"'):
            raise _Unreadable(f"expected a field's name, found {self._shown()}")
        key = _key(self._scalar())
        if self._mark() != b":":
            raise _Unreadable(f"expected a colon, found {self._shown()}")
        self._advance(self._at + 1)
        opens = self._mark() in b"{["
        inner = (*path, key)
        if opens and (_may_open(inner) or key in CONTEXT):
            yield from self._value(inner)
            return
        if key in _SIGNALS:
            yield self._piece(self._line, path, {key: []})
        if not opens:
            scalar = self._scalar()
            if key in SCHEMA_URLS and scalar.startswith(b'"'):
                yield self._piece(self._line, inner, _key(scalar))
            return
        end = self._end(MOST_TRACE_BYTES)
        if end is None:
            raise _Unreadable("expected the end of what begins here, found that of the file")
        self._advance(end)

    def _piece(self, line: int, path: Path, value: Any) -> Piece:
        self._count += 1
        if self._count > MOST_PIECES:
            raise CaseError(
                f"{self._name}: expected at most {MOST_PIECES} pieces (`resourceSpans`, or spans "
                "in a list), found more; split the file, or have it written in larger batches"
            )
        return Piece(line, path, value)

    # --- places ---

    def _end(self, most: int) -> int | None:
        """Where the value that begins here ends; None where it is longer, or torn."""
        at, depth = self._at, 0
        while True:
            found = _TO_BRACKET.match(self._buffer, at)
            assert found is not None
            at = found.end()
            if at >= len(self._buffer) or self._buffer[at] == ord('"'):
                if len(self._buffer) - self._at > most:
                    return None
                if len(self._buffer) - at > LONGEST_STRING_BYTES:
                    raise _Unreadable(
                        f"expected strings of at most {LONGEST_STRING_BYTES // 2**20} MiB, "
                        "found a longer one"
                    )
                offset = at - self._at
                if not self._more():
                    return None
                at = self._at + offset
                continue
            depth += 1 if self._buffer[at] in b"{[" else -1
            at += 1
            if depth == 0:
                return at
            if depth > DEEPEST:
                raise _Unreadable(f"found JSON nested more than {DEEPEST} levels deep")
            if at - self._at > most:
                return None

    def _scalar(self) -> bytes:
        """Take the string, the number or the word at this place."""
        while True:
            is_string = self._buffer[self._at] == ord('"')
            found = (_STRING if is_string else _SCALAR).match(self._buffer, self._at)
            if found is not None and (is_string or found.end() < len(self._buffer) or self._ended):
                text = found[0]
                self._advance(found.end())
                return text
            if len(self._buffer) - self._at > LONGEST_STRING_BYTES:
                raise _Unreadable(
                    f"expected strings of at most {LONGEST_STRING_BYTES // 2**20} MiB, "
                    "found a longer one"
                )
            if not self._more() and (is_string or found is None):
                raise _Unreadable(f"expected a value, found {self._shown()}")

    def _mark(self) -> bytes:
        """The byte at this place that is no space; _Unreadable at the end."""
        if not self._skip_space():
            raise _Unreadable("expected the end of what begins here, found that of the file")
        return self._buffer[self._at : self._at + 1]

    def _skip_space(self) -> bool:
        """Whether anything but space is left."""
        while True:
            found = _SPACE.match(self._buffer, self._at)
            assert found is not None
            self._advance(found.end())
            if self._at < len(self._buffer):
                return True
            if not self._more():
                return False

    def _one_line(self) -> bytes | None:
        """The rest of this line; None where it is long."""
        start = self._at
        while True:
            end = self._buffer.find(b"\n", start)
            if end >= 0:
                break
            if len(self._buffer) - self._at > WHOLE_BYTES:
                return None
            offset = len(self._buffer) - self._at
            if not self._more():
                end = len(self._buffer)
                break
            start = self._at + offset
        return self._buffer[self._at : end] if end - self._at <= WHOLE_BYTES else None

    def _is_torn(self, line: bytes) -> bool:
        """Whether a line that is no JSON by itself is broken, and not the first of a document."""
        offset = len(line)
        while (end := self._buffer.find(b"\n", self._at + offset + 1)) < 0:
            if len(self._buffer) - self._at - offset > WHOLE_BYTES or not self._more():
                end = len(self._buffer)
                break
        following = self._buffer[self._at + offset : end].strip()
        if following[:1] not in (b"{", b"[") or not following:
            return False
        try:
            value = parse(following)
        except MalformedOtlpError:
            return line.rstrip()[-1:] not in (b",", b":", b"[", b"{")
        return isinstance(value, dict) and bool(value.keys() & (GROUPS | WRAPPERS))

    def _to_next_line(self) -> None:
        while (end := self._buffer.find(b"\n", self._at)) < 0:
            self._advance(len(self._buffer))
            if not self._more():
                return
        self._advance(end + 1)

    def _to_next_document(self) -> None:
        """To the next line that begins with a bracket, as one does at the top."""
        while True:
            self._to_next_line()
            if self._at >= len(self._buffer) and not self._more():
                return
            if self._buffer[self._at] in b"{[":
                return

    def _shown(self) -> str:
        return ascii(self._buffer[self._at : self._at + 20].decode("latin-1"))

    def _advance(self, to: int) -> None:
        self._line += self._buffer.count(b"\n", self._at, to)
        self._at = to

    def _more(self) -> bool:
        """Read on; what lies behind this place is given up. Whether there was more."""
        if self._ended:
            return False
        rest = self._buffer[self._at :]
        # Twice as much each time, so that no byte is copied more than twice.
        more = self._source.read(max(_CHUNK_BYTES, len(rest)))
        self._ended = not more
        self._buffer, self._at = rest + more, 0
        return bool(more)


def _last_word(path: Path) -> str | None:
    """The field in which, or in whose list, a value stands."""
    return next((each for each in reversed(path) if isinstance(each, str)), None)


def _most_bytes(path: Path) -> int:
    last = _last_word(path)
    if last not in CONTEXT and (last is None or isinstance(path[-1], str)):
        return WHOLE_BYTES
    return MOST_GROUP_BYTES if last in GROUPS | _SCOPES else MOST_TRACE_BYTES


def _may_open(path: Path) -> bool:
    """Whether traces may be wrapped in the value at that place."""
    last = _last_word(path)
    if last is None:
        return True
    if isinstance(path[-1], int):
        # A trace of Jaeger's is whole, or none: its spans say their service by a number.
        return last in GROUPS | _SCOPES
    return last in WRAPPERS | GROUPS | _SCOPES or (last == SPANS and bool(_SCOPES & {*path}))


def _parsed(text: bytes) -> Any:
    return parse(text.decode(errors="replace"))


def _key(text: bytes) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return text.decode(errors="replace")
