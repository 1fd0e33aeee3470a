"""Ids of traces and spans as people and backends write them, and of cases."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

_LOW_DIGITS: Final = 16
"""Hex digits of 64 bits: all of a span's id, the lower half of a trace's."""


def meant(typed: str, ids: Iterable[str]) -> tuple[str, ...]:
    """Which of ``ids`` (whole, lower-case hex) ``typed`` stands for, in their order.

    A whole id means itself alone, others what begins so, also without leading zeros: Tempo's
    search leaves them out. Where that is none, a decimal number means the 64 lower bits,
    which is how Datadog writes ids.
    """
    known = tuple(ids)
    if typed in known:
        return (typed,)
    return tuple(each for each in known if _is_meant(typed, each)) or _by_number(typed, known)


def is_whole(typed: str, each: str) -> bool:
    """Whether ``typed`` is all of ``each``, be it without leading zeros or as a number."""
    return each.lstrip("0") == typed.lstrip("0") != "" or bool(_by_number(typed, (each,)))


def _is_meant(typed: str, each: str) -> bool:
    bare = each.lstrip("0")
    return each.startswith(typed) or bare.startswith(typed) or bare == typed.lstrip("0") != ""


def _by_number(typed: str, known: tuple[str, ...]) -> tuple[str, ...]:
    if not typed.isdecimal() or not typed.isascii() or len(typed) > 20:
        return ()
    number = int(typed)
    low = f"{number:0{_LOW_DIGITS}x}"
    return tuple(each for each in known if each[-_LOW_DIGITS:] == low) if number else ()


NUMBERED: Final = "case"
"""What a case is called, with a number, whose scenario's name would say too much."""


def is_numbered(case_id: str) -> bool:
    """Whether its id keeps to itself which scenario the case is of."""
    return case_id.rpartition("-")[0] == NUMBERED
