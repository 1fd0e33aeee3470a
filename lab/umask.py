"""Whose eyes a new file is for: the lab's own their owner's, what a user asks for as they say."""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator
from typing import Final

_OWNER_ALONE: Final = 0o077


@functools.cache
def of_the_user() -> int:
    """What the user's shell takes from a new file's mode; from the first call on, all but theirs.

    Cached, since every further look would only find what the first one left.
    """
    return os.umask(_OWNER_ALONE)


@contextlib.contextmanager
def asked_for() -> Iterator[None]:
    """Inside, files and programs are the user's: as open to others as their shell makes them."""
    os.umask(of_the_user())
    try:
        yield
    finally:
        os.umask(_OWNER_ALONE)
