"""The map's drawing: whatever calls whatever, nothing lies on anything else."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from lab.desk.layered import BOX, LINE
from lab.desk.map_layout import LETTER, Call, Layout
from lab.desk.map_page import drawing
from lab.investigation.reading.service_map import service_map
from tests.support.recorded_cases import RECORDINGS, recorded

Rect = tuple[float, float, float, float]
"""Left, top, right, bottom."""


@st.composite
def maps(draw: Any) -> tuple[dict[str, int], list[Call]]:
    """Up to 20 services in any columns, with calls there and back, to themselves, and twice."""
    names = [f"service {n}" for n in range(draw(st.integers(1, 20)))]
    layers = {name: draw(st.integers(0, 6)) for name in names}
    words = st.lists(st.text("mw ▲", min_size=1, max_size=24), min_size=1, max_size=4)
    calls = draw(
        st.lists(
            st.tuples(st.sampled_from(names), st.sampled_from(names), words).filter(
                lambda call: call[0] == call[1] or layers[call[0]] != layers[call[1]]
            ),
            max_size=40,
        )
    )
    return layers, calls


def boxes(layout: Layout) -> dict[str, Rect]:
    return {
        name: (layout.x(name), slot.top, layout.x(name) + BOX[0], slot.top + slot.height)
        for name, slot in layout.slots.items()
    }


def words_of(layout: Layout, calls: list[Call]) -> Iterator[Rect]:
    """Where the words of each call stand: the first line on it, the others below it."""
    for arrow, (_, _, lines) in zip(layout.arrows, calls, strict=True):
        left = arrow.x - LETTER * max(map(len, lines))
        yield left, arrow.y - LINE, arrow.x, arrow.y - 1
        if lines[1:]:
            yield left, arrow.y + 7, arrow.x, arrow.y + 6 + LINE * (len(lines) - 1)


def touch(one: Rect, other: Rect) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def straight(points: Any) -> Iterator[Rect]:
    """The straight parts of a line, a pixel thick; the rest are curves in a channel."""
    for (x, y), (to_x, to_y) in pairwise(points):
        if y == to_y:
            yield min(x, to_x), y - 0.5, max(x, to_x), y + 0.5


def curved(points: Any) -> Iterator[tuple[float, float]]:
    """From where to where each curve goes, across."""
    for (x, y), (to_x, to_y) in pairwise(points):
        if y != to_y and x != to_x:
            yield x, to_x


def check(layout: Layout, calls: list[Call]) -> None:
    """Nothing of it lies on anything else, and all of it is inside the drawing."""
    placed, words = boxes(layout), list(words_of(layout, calls))
    solid = [*placed.values(), *words]
    assert [pair for pair in combinations(solid, 2) if touch(*pair)] == []
    assert all(left >= 0 and right <= layout.width for left, _, right, _ in solid)
    assert all(top >= 0 and bottom <= layout.height for _, top, _, bottom in solid)
    for arrow in layout.arrows:
        for part in straight(arrow.points):
            assert not any(touch(part, each) for each in placed.values()), arrow
            assert not any(touch(part, each) for each in words), arrow
        for start, end in curved(arrow.points):
            assert start < end
            assert not any(touch((start, 0, end, layout.height), each) for each in solid), arrow


@settings(max_examples=60, deadline=None)
@given(maps())
def test_nothing_lies_on_anything_else(drawn: tuple[dict[str, int], list[Call]]) -> None:
    """Boxes, words and lines, of up to 20 services; lines cross in channels alone."""
    layers, calls = drawn
    check(Layout(layers, calls), calls)


def test_a_drawing_that_overlaps_is_found() -> None:
    """The check above can fail."""
    calls: list[Call] = [("a", "b", ["3ms"]), ("c", "b", ["4ms"])]
    layout = Layout({"a": 0, "b": 1, "c": 0}, calls)
    check(layout, calls)
    layout.slots["a"].top = layout.slots["c"].top + 1
    try:
        check(layout, calls)
    except AssertionError:
        return
    raise AssertionError("two boxes lie on each other, and nobody said so")


def test_the_callee_is_where_the_arrow_points() -> None:
    """Right of its caller, or left of it where a circle is closed; a box may call itself."""
    layout = Layout({"a": 0, "b": 1}, [("a", "b", ["x"]), ("b", "a", ["x"]), ("b", "b", ["x"])])
    assert [arrow.is_back for arrow in layout.arrows] == [False, True, False]
    assert layout.x("a") + BOX[0] < layout.x("b")


def test_every_recorded_map_is_drawn_without_an_overlap() -> None:
    """With the words that stand on its arrows."""
    for name in RECORDINGS:
        found = service_map(recorded(name).evidence)
        layout, words = drawing(found)
        calls: list[Call] = [
            (edge.caller, edge.callee, told) for edge, told in zip(found.edges, words, strict=True)
        ]
        check(layout, calls)


def test_the_words_of_two_calls_to_one_box_stand_apart() -> None:
    """By half a line at least, or a reader takes them for those of one."""
    calls: list[Call] = [("a", "c", ["x"] * 3), ("b", "c", ["x"] * 2), ("d", "c", ["x"])]
    layout = Layout({"a": 0, "b": 0, "d": 0, "c": 1}, calls)
    own = [(arrow.y, len(lines)) for arrow, (_, _, lines) in zip(layout.arrows, calls, strict=True)]
    for (y, lines), (next_y, _) in pairwise(sorted(own)):
        below_words = y + 6 + LINE * (lines - 1) if lines > 1 else y
        assert next_y - LINE - below_words >= LINE / 2


def test_what_changed_is_told_from_before_to_now() -> None:
    """Of a figure alone nobody could say by how much; only a new or a lost call has one side."""
    counted = 0
    for name in RECORDINGS:
        found = service_map(recorded(name).evidence)
        for edge, told in zip(found.edges, drawing(found)[1], strict=True):
            signs = {each.sign for each in edge.changes}
            changed = [line for line in told if line[0] in signs]
            counted += len(changed)
            if edge.reference and edge.crime:
                assert [line for line in changed if " → " not in line] == [], (name, edge)
    assert counted > len(RECORDINGS)


def test_a_map_of_nothing_is_empty() -> None:
    layout = Layout({}, [])
    assert (layout.slots, layout.arrows) == ({}, [])
