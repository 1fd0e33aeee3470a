"""A file, or what comes through a pipe, as the bytes it means: unpacked, and text as UTF-8.

What is packed is bounded as a case file is: a few packed bytes can become gigabytes.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Callable
from typing import Final, cast

import zstandard

from lab.adapters.formats.unpacking import Ahead, Counted, Readable, Zstd
from lab.errors import CaseError

MOST_BYTES: Final = 4 * 2**30
"""Of one file, unpacked."""

MOST_RATIO: Final = 200
"""Unpacked to packed; traces as JSON come to about 40, a bomb to a thousand."""

FREE_BYTES: Final = 4 * 2**20
"""Below this no ratio is looked at: what is read ahead is counted as packed, too."""

SAMPLE_BYTES: Final = 4096

_GZIP: Final = b"\x1f\x8b"
ZSTD: Final = b"\x28\xb5\x2f\xfd"
_TORN: Final = (OSError, EOFError, zlib.error, zstandard.ZstdError)


class Content:
    """The bytes of one source, which can be looked at before they are read.

    ``torn`` says, once all was read, why there was less than there should have been.
    """

    def __init__(self, name: str, source: Readable) -> None:
        self.name = name
        self.torn = ""
        self._packed = Counted(source)
        self._source: Readable = self._packed
        self._ahead = b""
        self._total = 0
        self._is_packed = False
        self._recode: Callable[[bytes, bool], bytes] | None = None
        self._unwrap()

    def peek(self, size: int = SAMPLE_BYTES) -> bytes:
        """What comes next, at least ``size`` bytes where there are so many."""
        while len(self._ahead) < size:
            more = self._next(max(size, io.DEFAULT_BUFFER_SIZE))
            if not more:
                break
            self._ahead += more
        return self._ahead

    def read(self, size: int = -1, /) -> bytes:
        """About ``size`` bytes; CaseError where it is more than one file may hold."""
        content, self._ahead = self._ahead, b""
        return content or self._next(size)

    def exactly(self, size: int) -> bytes:
        """``size`` bytes, or as many as there are."""
        content = self.peek(size)
        self._ahead = content[size:]
        return content[:size]

    def _unwrap(self) -> None:
        start = self.peek(8)
        if start.startswith(_GZIP):
            self._unpack(lambda under: gzip.GzipFile(fileobj=cast("io.BytesIO", under)))
        elif start.startswith(ZSTD):
            self._unpack(Zstd)
        start = self.peek(8)
        if encoding := _encoding(start):
            decoder = codecs.getincrementaldecoder(encoding)(errors="replace")
            self._recode = lambda content, final: decoder.decode(content, final).encode()
            self._ahead = self._recode(self._ahead, False)
            start = self.peek(8)
        self._ahead = self._ahead.removeprefix(codecs.BOM_UTF8)

    def _unpack(self, opened: Callable[[Readable], object]) -> None:
        self._source = cast("Readable", opened(Ahead(self._ahead, self._packed)))
        self._ahead = b""
        self._is_packed = True

    def _next(self, size: int) -> bytes:
        try:
            content = self._source.read(size)
        except _TORN as error:
            self.torn = f"ends early or is damaged ({_words(error)})"
            content = b""
        self._total += len(content)
        if self._total > MOST_BYTES:
            raise CaseError(
                f"{self.name}: expected at most {MOST_BYTES // 2**30} GiB, found more; split it, "
                "and import its parts together"
            )
        if self._is_packed and self._total > max(FREE_BYTES, MOST_RATIO * self._packed.count):
            raise CaseError(
                f"{self.name}: expected at most {MOST_RATIO} times as much as it has packed, found "
                "more; unpack it yourself if you trust it"
            )
        return content if self._recode is None else self._recoded(content)

    def _recoded(self, content: bytes) -> bytes:
        assert self._recode is not None
        found = self._recode(content, not content)
        # Half a character is no end.
        return found or (self._next(2) if content else b"")


def _encoding(start: bytes) -> str:
    """UTF-16 by its mark, or by a bracket that is two bytes wide; empty for what is none."""
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if len(start) >= 4 and start[0] in b"{[" and start[1] == 0 and start[2] and not start[3]:
        return "utf-16-le"
    if len(start) >= 4 and start[0] == 0 and start[1] in b"{[" and not start[2] and start[3]:
        return "utf-16-be"
    return ""


def _words(error: BaseException) -> str:
    return ascii(str(error).partition("\n")[0] or type(error).__name__)[1:-1][:120]
