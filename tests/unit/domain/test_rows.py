"""Rows folded: what repeats is one row with a number, and nothing that differs is hidden."""

from __future__ import annotations

import dataclasses

from hypothesis import given

from lab.domain.rows import FOLDED_FROM, FoldedRow, folded, rows
from lab.domain.trace import Span, Status, Trace
from tests.support.hostile import hostile_traces
from tests.support.traces import client, internal, server, trace

ID = "a" * 32


def told(found: Trace) -> list[str]:
    """Each row that is left, indented, with how many it stands for."""
    return [
        f"{'  ' * each.row.depth}{name(each)}{f' x{len(each.alike)}' if each.alike else ''}"
        for each in folded(list(rows(found)))
    ]


def name(each: FoldedRow) -> str:
    return each.row.item.name if isinstance(each.row.item, Span) else "-"


def loop(times: int, *, slow: int = -1, between: bool = False) -> Trace:
    calls = []
    for n in range(times):
        took = 8 if n == slow else 2
        answer = server("b", "GET /x", n * 10 + 1, took, internal("b", "SELECT", n * 10 + 1, 1))
        calls.append(client("a", "GET", n * 10, took + 2, "b", answer))
        if between:
            calls.append(internal("a", "count", n * 10 + 9, 0.5))
    return trace(ID, internal("a", "loop", 0, times * 10, *calls))


def test_many_that_are_alike_are_one_row_that_is_the_slowest_of_them() -> None:
    """With what is below it."""
    found = loop(40, slow=7)
    assert told(found) == ["loop", "  GET x40", "    GET /x", "      SELECT"]
    (row,) = [each for each in folded(list(rows(found))) if each.alike]
    assert isinstance(row.row.item, Span)
    assert row.row.item.duration_ms == max(each.duration_ms for each in row.alike) == 10
    assert (row.row.position, row.row.siblings, row.row.parent) == (1, 1, 0)


def test_a_few_are_shown_each() -> None:
    """One fewer than are folded."""
    assert told(loop(FOLDED_FROM - 1)).count("  GET") == FOLDED_FROM - 1
    assert told(loop(FOLDED_FROM)).count(f"  GET x{FOLDED_FROM}") == 1


def test_what_takes_turns_is_folded_as_well() -> None:
    """Each kind for itself, in the order in which the first of each stands."""
    assert told(loop(9, between=True)) == [
        "loop", "  GET x9", "    GET /x", "      SELECT", "  count x9",
    ]  # fmt: skip


def test_one_that_failed_or_did_something_else_stands_for_itself() -> None:
    """However many others there are."""
    whole = loop(10)
    first, *others = (span for span in whole if span.name == "GET")
    deep = next(span for span in whole if span.name == "SELECT")
    red = dataclasses.replace(first, status=Status.ERROR)
    found = Trace(ID, tuple(red if each is first else each for each in whole.spans))
    assert told(found).count("  GET") == 1
    assert "  GET x9" in told(found)
    renamed = dataclasses.replace(deep, name="UPDATE")
    found = Trace(ID, tuple(renamed if each is deep else each for each in whole.spans))
    assert "  GET x9" in told(found)
    assert "      UPDATE" in told(found)
    assert others


@given(hostile_traces)
def test_no_span_of_a_hostile_trace_is_lost(hostile: Trace) -> None:
    """It is shown, or stood for by one that is, or below one that is stood for."""
    found = list(rows(hostile))
    left = list(folded(found))
    assert len(left) <= len(found)
    assert [each.row.depth for each in left][:1] in ([], [0])
    for n, each in enumerate(left):
        assert each.row.parent is None or each.row.parent < n
        assert not each.alike or len(each.alike) >= FOLDED_FROM
    if not any(each.alike for each in left):
        assert [each.row.item for each in left] == [row.item for row in found]
