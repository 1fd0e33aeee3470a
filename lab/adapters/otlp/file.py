"""A stranger's OTLP/JSON on disk, read piece by piece: a file may be larger than memory.

Read are one ``TracesData`` document, many of them one after another (as the Collector's
file exporter writes: a batch a line), and Tempo's ``{"trace": …}`` round one.
"""

from __future__ import annotations

import gzip
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import ijson

from lab.adapters.bounds import LONGEST_STRING_BYTES
from lab.errors import CaseError

MOST_GROUP_BYTES: Final = 32 * 2**20
"""Of one ``resourceSpans``; each is held in memory as a whole."""

MOST_BYTES: Final = 4 * 2**30
"""Of one file, unpacked."""

DEEPEST: Final = 120
"""Brackets inside each other: OTLP has 13 round an attribute, and 4 for each map in it."""

_CHUNK_BYTES: Final = 2**18
MOST_GROUPS: Final = 500_000
"""Of one file: as many as a case may have spans; more are mostly empty."""

_REST: Final = rb'[^"\\]*+(?:\\.[^"\\]*+)*+'
"""Of a string, up to the quote that ends it; possessive, so that no byte is looked at twice."""

_STRING: Final = re.compile(rb'"' + _REST + rb'"|(?P<open>"' + _REST + rb"\\?\Z)", re.DOTALL)
_END_OF_STRING: Final = re.compile(_REST + rb'(?P<end>")?', re.DOTALL)
_NO_BRACKETS: Final = bytes(each for each in range(256) if each not in b"[]{}")

_GROUPS: Final = frozenset(
    f"{outer}{field}.item" for outer in ("", "trace.") for field in ("resourceSpans", "batches")
)
_GZIP: Final = b"\x1f\x8b"
_HOW: Final = (
    "expected OTLP/JSON (a `resourceSpans` document, or one a line as the Collector's file "
    "exporter writes them)"
)


class _Bounded:
    """A stream of JSON that is bounded in length and in depth before anybody parses it.

    A parser that tells where it is pays for each bracket with the length of its path, and
    for each piece of a string with all that it has read of it; so brackets or a string
    without end would keep it busy for ever.
    """

    def __init__(self, path: Path, source: IO[bytes]) -> None:
        self._path = path
        self._source = source
        self._in_string = False
        self._escaped = False
        self._string_bytes = 0
        self._depth = 0
        self._total = 0
        self.since_group = 0

    def read(self, size: int = -1) -> bytes:
        """What `ijson` asks for; CaseError where it is more than a file may hold."""
        content = self._source.read(size)
        self._total += len(content)
        self.since_group += len(content)
        if self._total > MOST_BYTES:
            raise CaseError(
                f"{self._path}: expected at most {MOST_BYTES // 2**30} GiB, found more; split it"
            )
        if self.since_group > MOST_GROUP_BYTES:
            raise CaseError(
                f"{self._path}: expected at most {MOST_GROUP_BYTES // 2**20} MiB in one "
                "`resourceSpans`, found more; have it written in batches, as the Collector's "
                "batch processor makes them"
            )
        self._look_for_depth(content)
        return content

    def _look_for_depth(self, content: bytes) -> None:
        bare = _STRING.sub(rb"\g<open>", content[self._behind_string(content) :])
        if (start := bare.find(b'"')) >= 0:
            self._in_string, self._escaped = True, _ends_escaping(bare)
            self._string_bytes = len(bare) - start
            bare = bare[:start]
        for bracket in bare.translate(None, _NO_BRACKETS):
            self._depth += 1 if bracket in b"[{" else -1
            if self._depth > DEEPEST:
                raise CaseError(
                    f"{self._path}: {_HOW}, found JSON nested more than {DEEPEST} levels deep"
                )

    def _behind_string(self, content: bytes) -> int:
        """Where the string that an earlier piece began ends; 0 where none did."""
        if not self._in_string or not content:
            return 0
        found = _END_OF_STRING.match(content, 1 if self._escaped else 0)
        assert found is not None
        self._string_bytes += found.end()
        if self._string_bytes > LONGEST_STRING_BYTES:
            raise CaseError(
                f"{self._path}: {_HOW}, found a string of more than "
                f"{LONGEST_STRING_BYTES // 2**20} MiB"
            )
        if found["end"]:
            self._in_string = self._escaped = False
            return found.end()
        self._escaped = _ends_escaping(content[1 if self._escaped else 0 :])
        return len(content)


def _ends_escaping(piece: bytes) -> bool:
    """Whether the next byte is escaped by a backslash at the end of ``piece``."""
    return (len(piece) - len(piece.rstrip(b"\\"))) % 2 == 1


def span_groups(path: Path) -> Iterator[Mapping[str, Any]]:
    """Every ``resourceSpans`` of the file, one at a time; CaseError where it is no OTLP/JSON."""
    prefix = _prefix(path)
    found = 0
    with _opened(path) as source:
        stream = _Bounded(path, source)
        try:
            for group in ijson.items(
                stream, prefix, multiple_values=True, use_float=True, buf_size=_CHUNK_BYTES
            ):
                if not isinstance(group, dict):
                    raise CaseError(f"{path}: {_HOW}, found {str(group)[:40]!r} in {prefix}")
                stream.since_group = 0
                found += 1
                if found > MOST_GROUPS:
                    raise CaseError(
                        f"{path}: expected at most {MOST_GROUPS} `resourceSpans`, found more; "
                        "split the file, or have it written in larger batches"
                    )
                yield group
        except (ijson.JSONError, OSError, EOFError, ValueError) as error:
            raise CaseError(
                f"{path}: {_HOW}, found after {found} of them: {_words(error)}"
            ) from error
    if not found:
        raise CaseError(f"{path}: {_HOW}, found no span in it")


def _prefix(path: Path) -> str:
    """Where in this file the groups are."""
    if not path.is_file():
        raise CaseError(f"{path}: expected a file, found {'none' if not path.exists() else 'else'}")
    with _opened(path) as source:
        stream = _Bounded(path, source)
        try:
            for prefix, _, _ in ijson.parse(stream, multiple_values=True):
                if prefix in _GROUPS:
                    return str(prefix)
        except (ijson.JSONError, OSError, EOFError, ValueError) as error:
            raise CaseError(f"{path}: {_HOW}, found {_words(error)}") from error
    raise CaseError(
        f"{path}: {_HOW}, found JSON of another kind; Jaeger's and Zipkin's formats are not read: "
        "send them through a Collector with the file exporter"
    )


def _opened(path: Path) -> IO[bytes]:
    file = path.open("rb")
    packed = file.peek(2)[:2] == _GZIP
    return gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[return-value]


def _words(error: BaseException) -> str:
    return ascii(str(error).partition("\n")[0] or type(error).__name__)[1:-1][:120]
