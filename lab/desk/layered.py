"""Columns of slots in which nothing touches, after Sugiyama, Tagawa and Toda (1981). Pure.

A line that skips columns has a slot in each; slots follow their neighbours' mean, first in order,
then in height, by pooling adjacent violators: the least squares under a fixed order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import fmean
from typing import Final

BOX: Final = (124, 44)
"""Width and least height of a box, in pixels."""

LINE: Final = 14
"""Pixels from one line of words to the next."""

GAP: Final = 20
"""Pixels between two slots of a column."""

ROUNDS: Final = 6


@dataclass(eq=False)
class Slot:
    """Room for a box, or for a line that passes, in one column; pixels from the top."""

    column: int
    height: float
    name: str
    top: float = 0.0
    left: list[Slot] = field(default_factory=list)
    right: list[Slot] = field(default_factory=list)

    @property
    def middle(self) -> float:
        """Where lines leave it."""
        return self.top + self.height / 2


def chain(one: Slot, other: Slot, height: float) -> tuple[Slot, ...]:
    """Join two slots of different columns by slots ``height`` high in all columns between."""
    ways = [
        Slot(column, height, f"{one.name} {other.name}")
        for column in range(one.column + 1, other.column)
    ]
    whole = (one, *ways, other)
    for here, there in pairwise(whole):
        here.right.append(there)
        there.left.append(here)
    return whole


def settle(slots: Sequence[Slot], top: float) -> None:
    """Order and place all slots from ``top`` on; ``GAP`` stays between two of a column."""
    columns = list(_columns(slots))
    for column in columns:
        _place(column, [0.0] * len(column))
    for n in range(2 * ROUNDS):
        for column in columns if n % 2 == 0 else columns[::-1]:
            near = {id(each): _wanted(each, by_left=n % 2 == 0) for each in column}
            # Order first; in the later rounds it stands, and heights alone move.
            if n < ROUNDS:
                column.sort(key=lambda each: (near[id(each)], each.name))
            _place(column, [near[id(each)] for each in column])
    highest = min((each.top for each in slots), default=0.0)
    for each in slots:
        each.top += top - highest


def _columns(slots: Sequence[Slot]) -> Iterator[list[Slot]]:
    for column in sorted({each.column for each in slots}):
        yield sorted((each for each in slots if each.column == column), key=lambda each: each.name)


def _wanted(slot: Slot, *, by_left: bool) -> float:
    """Where its middle would be nearest to its neighbours'."""
    near = (slot.left or slot.right) if by_left else (slot.right or slot.left)
    return fmean(each.middle for each in near) if near else slot.middle


def _place(column: Sequence[Slot], middles: Sequence[float]) -> None:
    """As near to ``middles`` as order and gaps allow."""
    stacked, pools = 0.0, list[tuple[float, int]]()
    offsets = []
    for slot, middle in zip(column, middles, strict=True):
        offsets.append(stacked)
        pool = middle - slot.height / 2 - stacked, 1
        while pools and pools[-1][0] > pool[0]:
            (one, n), (other, m) = pools.pop(), pool
            pool = (one * n + other * m) / (n + m), n + m
        pools.append(pool)
        stacked += slot.height + GAP
    tops = [top for top, number in pools for _ in range(number)]
    for slot, top, offset in zip(column, tops, offsets, strict=True):
        slot.top = top + offset
