"""Where the boxes, arrows and words of a map stand: no box, word or line lies on another's.

Each arrow ends in a lane of its own before its right-hand box, its words above and below it;
between a column's boxes and the next one's lanes is a channel, and only there lines may cross.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple

from lab.desk.layered import BOX, LINE, Slot, chain, settle

LETTER: Final = 6.9
"""Pixels that a letter of an arrow's words takes at most, on average."""

TIP: Final = 9
MARGIN: Final = 14
_CHANNEL: Final = 40
_APART: Final = 18

Call = tuple[str, str, Sequence[str]]
"""Who calls, who is called, and the lines of words that belong to it."""


class Arrow(NamedTuple):
    """A call from left to right, or ``is_back``; its words end at ``x``, above ``y`` and below."""

    points: Sequence[tuple[float, float]]
    is_back: bool
    x: float
    y: float


class Layout:
    """Boxes in the columns of ``layers``; a caller's and a callee's differ, or they are one."""

    def __init__(self, layers: Mapping[str, int], calls: Sequence[Call]) -> None:
        self._calls = calls
        ends = [sorted(call[:2], key=layers.__getitem__) for call in calls]
        self._held = {name: [n for n, (_, to) in enumerate(ends) if to == name] for name in layers}
        column = {layer: n for n, layer in enumerate(sorted(set(layers.values())))}
        self.slots = {
            name: Slot(column[layer], max(BOX[1], sum(map(self._tall, self._held[name]))), name)
            for name, layer in layers.items()
        }
        self._ways = [chain(self.slots[one], self.slots[to], LINE) for one, to in ends]
        every = [*self.slots.values(), *(each for way in self._ways for each in way[1:-1])]
        settle(every, MARGIN)
        self._lanes, self._boxes = self._across(len(column))
        self.height = max((each.top + each.height for each in every), default=0.0) + MARGIN
        self.width = max(self._boxes, default=0.0) + BOX[0] + MARGIN
        self.arrows = [self._arrow(n, way) for n, way in enumerate(self._ways)]

    def x(self, name: str) -> float:
        """Where the service's box begins."""
        return self._boxes[self.slots[name].column]

    def _tall(self, n: int) -> float:
        return LINE * max(1, len(self._calls[n][2])) + _APART

    def _across(self, number: int) -> tuple[Sequence[float], Sequence[float]]:
        """Where the lanes, and where the boxes of each column begin."""
        words = [0.0] * number
        for name, held in self._held.items():
            longest = max((len(line) for n in held for line in self._calls[n][2]), default=0)
            at = self.slots[name].column
            words[at] = max(words[at], longest * LETTER + 3 * TIP if held else 0.0)
        steps = (each + BOX[0] + _CHANNEL for each in words[:-1])
        lanes = list(accumulate(steps, initial=float(MARGIN))) if words else []
        return lanes, [lane + room for lane, room in zip(lanes, words, strict=True)]

    def _arrow(self, n: int, way: Sequence[Slot]) -> Arrow:
        start, end = way[0], way[-1]
        is_back = self._calls[n][0] != start.name
        lane, box, y = self._lanes[end.column], self._boxes[end.column], self._arrives(n, way)
        if start is end:
            loop = ((box, y), (lane + TIP, y), (lane + TIP, y + 5), (box - TIP, y + 5))
            return Arrow(loop, is_back, box - TIP, y)
        points = [(self._boxes[start.column] + BOX[0] + TIP * is_back, self._leaves(n, way))]
        for each in way[1:-1]:
            points.append((self._lanes[each.column], each.middle))
            points.append((self._boxes[each.column] + BOX[0], each.middle))
        points += [(lane, y), (box - TIP * (not is_back), y)]
        return Arrow(points, is_back, box - TIP - 4, y)

    def _arrives(self, n: int, way: Sequence[Slot]) -> float:
        """Lanes of a box lie in the order in which their lines come."""
        end = way[-1]
        held = sorted(self._held[end.name], key=lambda each: (self._ways[each][-2].middle, each))
        above = sum(map(self._tall, held[: held.index(n)]))
        return end.middle - sum(map(self._tall, held)) / 2 + above + LINE + _APART / 2 - 2

    def _leaves(self, n: int, way: Sequence[Slot]) -> float:
        """Lines leave a box in the order in which they part."""
        start = way[0]
        going = [
            k for k, each in enumerate(self._ways) if each[0] is start and each[-1] is not start
        ]
        going.sort(key=lambda each: (self._ways[each][1].middle, each))
        return start.top + start.height * (going.index(n) + 1) / (len(going) + 1)
