"""What a tool answers: rows with their number, and never more than an agent can take."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeVar

from lab.errors import UsageError

MOST_BYTES: Final = 64 * 1024
"""Of an answer as it is sent: the same JSON as text and as structure."""

_ROOM_FOR_THE_REST: Final = 2_048
"""Of an answer, for the envelope around it."""

Arguments = Mapping[str, Any]
Answer = dict[str, Any]

T = TypeVar("T")


def rows_of(
    key: str,
    found: Sequence[T],
    most: int,
    row: Callable[[T], Any] = lambda each: each,
    /,
    **more: Any,
) -> Answer:
    """The first ``most`` of what was found, each as its row, with how many there are."""
    shown = [row(each) for each in found[:most]]
    counts = {"total": len(found), "returned": len(shown), "truncated": len(shown) < len(found)}
    return {**more, **counts, key: shown}


def text_of(answer: Answer) -> str:
    """The answer as the one text of it that is sent."""
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False)


def size_of(answer: Answer) -> int:
    """Bytes that the answer takes when it is sent, as text and as structure."""
    text = text_of(answer)
    return len(text.encode()) + len(json.dumps(text, ensure_ascii=False).encode())


def fitted(answer: Answer, key: str | None) -> Answer:
    """The same with as many of its rows as fit; UsageError where there are none to leave out."""
    most = MOST_BYTES - _ROOM_FOR_THE_REST
    if size_of(answer) <= most:
        return answer
    if key is None or not answer.get(key):
        raise UsageError("expected an answer of at most 64 KiB, found a longer one; ask for less")
    rows, low, high = answer[key], 0, len(answer[key])
    while low < high:  # The most rows with which it fits.
        middle = (low + high + 1) // 2
        shorter = answer | {key: rows[:middle]}
        low, high = (middle, high) if size_of(shorter) <= most else (low, middle - 1)
    return answer | {key: rows[:low], "returned": low, "truncated": True}
