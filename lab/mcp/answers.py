"""What a tool answers: rows with their number, and never more than an agent can take."""

from __future__ import annotations

import json
import math
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
    """The answer as the one text of it that is sent; ValueError for a number that JSON lacks."""
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def size_of(answer: Answer) -> int:
    """Bytes that the answer takes when it is sent, as text and as structure.

    ValueError where it cannot be sent as it is.
    """
    text = text_of(answer)
    return len(text.encode()) + len(json.dumps(text, ensure_ascii=False).encode())


def fitted(answer: Answer, key: str | None) -> Answer:
    """The same with as many of its rows as fit; what is long within a row is cut if none does."""
    for longest, most_items in _STAGES:
        try:
            found = _with_rows_that_fit(answer, key)
        except ValueError:  # Half a letter, or no number: somebody's telemetry may hold it.
            found = None
        if found is not None:
            return found
        rest = {name: _cut(each, longest, most_items) for name, each in answer.items()}
        rows = {} if key is None else {key: [_cut(e, longest, most_items) for e in answer[key]]}
        answer = rest | rows
    raise UsageError("expected an answer of at most 64 KiB, found a longer one; ask for less")


_STAGES: Final = ((MOST_BYTES, MOST_BYTES), (4_000, 100), (400, 40), (100, 10), (0, 0))
"""How long a text and a list or an object within an answer may be, tried one after the other."""


def _with_rows_that_fit(answer: Answer, key: str | None) -> Answer | None:
    rows = answer.get(key, ()) if key is not None else ()
    rest = answer | {key: []} if rows and key is not None else answer
    left = MOST_BYTES - _ROOM_FOR_THE_REST - size_of(rest)
    fit = 0
    for row in rows:
        left -= size_of(row)
        if left < 0:
            break
        fit += 1
    if left < 0 and fit == 0:
        return None
    if fit == len(rows):
        return answer
    return answer | {str(key): rows[:fit], "returned": fit, "truncated": True}


def _cut(value: Any, longest: int, most_items: int) -> Any:
    """The same where it is short; else its beginning, and how much there is."""
    if isinstance(value, str):
        text = value.encode("utf-8", "replace").decode()
        return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        within = list(value.items())[:most_items]
        found = {_cut(key, longest, most_items): _cut(e, longest, most_items) for key, e in within}
        return found | ({"…": f"{len(value)} in all"} if len(value) > most_items else {})
    if isinstance(value, list | tuple):
        items = [_cut(each, longest, most_items) for each in value[:most_items]]
        return items + ([f"… ({len(value)} in all)"] if len(value) > most_items else [])
    return value
