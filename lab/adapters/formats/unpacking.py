"""Streams over streams: counted, looked at ahead, unpacked by zstd."""

from __future__ import annotations

from typing import Final, Protocol

import zstandard

MOST_WINDOW_BYTES: Final = 128 * 2**20
"""Of zstd: what ``zstd --ultra`` asks of whoever unpacks at most, without ``--long``."""

_PACKED_BYTES: Final = 1024
"""Of zstd, at once: they become 32 MiB at most, for a block of 128 KiB takes four of them."""


class Readable(Protocol):
    """Something with bytes to read."""

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        ...


class Counted:
    """Counts what is taken from a stream."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        """The same bytes."""
        content = self._source.read(size)
        self.count += len(content)
        return content


class Zstd:
    """Unpacks frame after frame, and raises EOFError where the last one is torn."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._unpacker = zstandard.ZstdDecompressor(max_window_size=MOST_WINDOW_BYTES)
        self._frame = self._unpacker.decompressobj()
        self._is_begun = False

    def read(self, size: int = -1, /) -> bytes:
        """Some bytes, more than ``size`` where they came out of one piece; none at the end."""
        found, enough = bytearray(), max(size, 1)
        while len(found) < enough:
            packed = self._source.read(_PACKED_BYTES)
            if not packed:
                if self._is_begun and not found:
                    raise EOFError("the last frame has no end")
                break
            while packed:
                self._is_begun = True
                found += self._frame.decompress(packed)
                if not self._frame.eof:
                    break
                packed = self._frame.unused_data
                self._frame, self._is_begun = self._unpacker.decompressobj(), False
        return bytes(found)


class Ahead:
    """What was looked at already, and then the rest."""

    def __init__(self, ahead: bytes, rest: Readable) -> None:
        self._ahead = ahead
        self._rest = rest

    def read(self, size: int = -1, /) -> bytes:
        """At most ``size`` bytes; none at the end."""
        if not self._ahead:
            return self._rest.read(size)
        if size < 0:
            size = len(self._ahead)
        content, self._ahead = self._ahead[:size], self._ahead[size:]
        return content
