"""What a waterfall says of each span: rows, wire, ghosts, the critical path, marks and the seal."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest
from hypothesis import given

from lab.domain.critical_path import critical_path
from lab.domain.marks import Seal, clocks_apart_ms, cut_by, is_wire_or_callee, seal_of, why
from lab.domain.reference import ReferenceStats
from lab.domain.rows import Gap, Wire, rows
from lab.domain.trace import Kind, Span, Trace
from lab.investigation.reading.waterfall import flame_graph, waterfall
from tests.support.hostile import hostile_traces
from tests.support.traces import (
    EPOCH_NS,
    ERROR,
    Draft,
    client,
    healthy_checkout,
    internal,
    select,
    server,
    silent_login_check,
    trace,
)

NOTHING = ReferenceStats()


def path_of(found: Trace) -> list[tuple[str, float]]:
    """Who was waited for and how long, in ms, earliest first."""
    by_id = found.by_id
    return [(by_id[each.span_id].name, each.length_ms) for each in reversed(critical_path(found))]


def named(found: Trace, name: str) -> Span:
    return next(span for span in found if span.name == name)


def a(name: str, at: float, took: float, *children: Draft) -> Draft:
    return internal("auth", name, at, took, *children)


# --- rows ---


def test_time_on_the_wire_is_a_row_of_its_own_before_the_answer() -> None:
    """A call of 10 ms whose answer took 6 spent 4 on the wire: 1 there, 3 back."""
    found = trace("t", client("gateway", "GET", 0, 10, "auth", server("auth", "GET /", 1, 6)))
    call, wire, answer = rows(found, wires=True)
    assert isinstance(wire.item, Wire)
    assert wire.item.length_ms == 4
    assert wire.item.stretches_ns == (
        (EPOCH_NS, EPOCH_NS + 1_000_000),
        (EPOCH_NS + 7_000_000, EPOCH_NS + 10_000_000),
    )
    assert [
        (row.depth, row.parent, row.position, row.siblings) for row in (call, wire, answer)
    ] == [
        (0, None, 1, 1),
        (1, 0, 1, 2),
        (1, 0, 2, 2),
    ]


def test_an_answer_that_outlasts_its_call_leaves_no_wire() -> None:
    """The caller hung up, so that nothing can be said of the way back."""
    found = trace("t", client("gateway", "GET", 0, 5, "auth", server("auth", "GET /", 1, 9)))
    assert not any(isinstance(row.item, Wire) for row in rows(found, wires=True))
    spans = [row for row in rows(found) if isinstance(row.item, Span)]
    assert [row.outlives_parent_ms for row in spans] == [0.0, 5.0]


def test_the_wire_is_right_although_the_clocks_are_not() -> None:
    """The callee's clock is a minute ahead; two durations do not care."""
    found = trace("t", client("gateway", "GET", 0, 10, "auth", server("auth", "GET /", 60_000, 6)))
    wire = next(row.item for row in rows(found, wires=True) if isinstance(row.item, Wire))
    assert wire.length_ms == 4
    assert all(0 <= end - start <= 10_000_000 for start, end in wire.stretches_ns)


def test_a_call_whose_callee_sends_no_spans_is_wire_or_callee() -> None:
    """Nobody can tell how long a database worked and how long its answer travelled."""
    found = trace(
        "t",
        server(
            "auth", "GET /", 0, 10, select("auth", "users_db", 1, 5),
            client("auth", "GET", 7, 2, "bank", server("bank", "GET /", 7.5, 1)),
        ),
    )  # fmt: skip
    assert [span.name for span in found if is_wire_or_callee(found, span)] == ["SELECT"]


@given(hostile_traces)
def test_every_span_of_a_hostile_trace_has_exactly_one_row(hostile: Trace) -> None:
    """With a parent that stands above it, and a place among its siblings."""
    for wires in (False, True):
        found = list(rows(hostile, wires=wires))
        spans = [row.item.span_id for row in found if isinstance(row.item, Span)]
        assert sorted(spans) == sorted(hostile.by_id)
        for n, row in enumerate(found):
            assert 1 <= row.position <= row.siblings
            assert row.depth == (0 if row.parent is None else found[row.parent].depth + 1)
            assert row.parent is None or row.parent < n


# --- the critical path ---


def test_the_critical_path_leaves_out_what_ran_beside_it() -> None:
    """Of two at once the one that ended last was waited for."""
    found = trace("t", a("root", 0, 10, a("short", 1, 3), a("long", 1, 8)))
    assert path_of(found) == [("root", 1), ("long", 8), ("root", 1)]


def test_the_critical_path_goes_through_a_sequence() -> None:
    """And what lies between two children is their parent's own."""
    found = trace("t", a("root", 0, 10, a("first", 1, 3), a("second", 5, 4)))
    assert path_of(found) == [("root", 1), ("first", 3), ("root", 1), ("second", 4), ("root", 1)]


def test_who_outlives_a_parent_is_waited_for_until_its_end() -> None:
    """After that nobody waits any more."""
    found = trace("t", a("root", 0, 10, a("endless", 2, 90)))
    assert path_of(found) == [("root", 2), ("endless", 8)]


def test_a_trace_without_one_root_has_no_critical_path() -> None:
    """Nobody could say of which request."""
    whole = healthy_checkout("t")
    assert critical_path(Trace("t", tuple(s for s in whole if s.parent_id is not None))) == ()


@given(hostile_traces)
def test_the_critical_path_is_as_long_as_the_root_whatever_comes(hostile: Trace) -> None:
    """Its stretches never overlap and leave nothing of the root out."""
    path = critical_path(hostile)
    if len(hostile.roots) != 1 or hostile.roots[0].is_undated:
        assert path == ()
        return
    root = hostile.roots[0]
    assert sum(each.end_ns - each.start_ns for each in path) == max(0, root.end_ns - root.start_ns)
    for later, earlier in pairwise(path):
        assert earlier.end_ns <= later.start_ns


# --- marks ---


def cancelled(
    *, service: str = "checkout", ends: float = 800.0, error: str = "TimeoutError"
) -> Trace:
    """A step whose deadline of 800 ms passes while it opens a connection."""
    connect = client(service, "db.connect", 2, ends - 2, "orders_db")
    return trace(
        "t",
        internal(
            "checkout", "place_order", 0, 800, a("quick", 0, 1), connect,
            status=ERROR, exception=error,
        ),
    )  # fmt: skip


def test_what_a_deadline_cancelled_is_told_from_what_ended_by_itself() -> None:
    """It ends with the step whose time was up, and says nothing of a failure."""
    found = cancelled()
    assert {found.by_id[each].name: above.name for each, above in cut_by(found).items()} == {
        "db.connect": "place_order"
    }


def test_what_ended_earlier_or_elsewhere_or_without_a_timeout_was_not_cut() -> None:
    """Each of the three conditions can say no."""
    assert cut_by(cancelled(ends=700)) == {}
    assert cut_by(cancelled(service="payments")) == {}
    assert cut_by(cancelled(error="ValueError")) == {}


def test_a_child_that_starts_before_its_caller_shows_how_far_the_clocks_are_apart() -> None:
    """Inside one service it does not: there is but one clock."""
    found = trace(
        "t", client("gateway", "GET", 5, 10, "auth", server("auth", "GET /", 2, 6, a("x", 1, 1)))
    )
    apart = {span.name: clocks_apart_ms(found, span) for span in found}
    assert apart == {"GET": 0.0, "GET /": 3.0, "x": 0.0}


def test_an_own_error_is_told_from_one_that_a_child_handed_up() -> None:
    """Of a chain of red the deepest failed itself."""
    found = silent_login_check("t", warm=True)
    marks = waterfall(found, NOTHING).marks
    assert [span.name for span in found if marks[span.span_id].fails_itself] == ["SELECT"]


# --- the ghost ---


def test_the_ghost_of_a_span_is_what_its_operation_takes_on_a_healthy_day() -> None:
    """And an operation that the reference has not, has none."""
    reference = ReferenceStats.of([healthy_checkout(f"{n:032x}") for n in range(5)])
    found = silent_login_check("t", warm=True)
    drawn = waterfall(found, reference)
    mark = drawn.marks[named(found, "SELECT").span_id]
    assert mark.usual is not None
    assert mark.usual.p50_ms <= mark.usual.p95_ms <= 1.0
    assert mark.times is not None
    assert mark.times == 1000 / mark.usual.p50_ms
    unheard = trace("t", a("never seen before", 0, 1))
    assert waterfall(unheard, reference).marks[f"{1:016x}"].usual is None


# --- the seal ---


def test_the_seal_says_why_a_trace_cannot_be_trusted() -> None:
    """A root that never came, two roots, a cycle, and nothing at all."""
    whole = healthy_checkout("t")
    assert seal_of(whole) is Seal.SEALED
    assert why(whole, Seal.SEALED).startswith(f"All {len(whole.spans)} spans")
    headless = Trace("t", tuple(span for span in whole if span.parent_id is not None))
    assert seal_of(headless) is Seal.PARENT_NEVER_CAME
    assert f"{1:016x}" in why(headless, seal_of(headless))
    twice = Trace("t", (*whole, *trace("t", a("other", 0, 1)).spans))
    assert seal_of(twice) is Seal.SEALED, "a duplicate of an id is the same span"
    assert seal_of(whole, is_growing=True) is Seal.ARRIVING
    assert seal_of(None) is Seal.ARRIVING
    assert "come yet" in why(None, Seal.ARRIVING)


@given(hostile_traces)
def test_what_is_sealed_is_what_proof_and_judge_count(hostile: Trace) -> None:
    """One definition: a learner sees the seal that the judge goes by."""
    assert (seal_of(hostile) is Seal.SEALED) == hostile.is_whole
    assert why(hostile, seal_of(hostile))


# --- all of it ---


def test_numbers_are_summed_over_everything_below_a_row() -> None:
    """As the counts of log lines are: this span, its subtree, the trace."""
    found = silent_login_check("t", warm=True)
    drawn = waterfall(found, NOTHING)
    query = named(found, "SELECT").span_id
    sums = drawn.below({query: 3, found.roots[0].span_id: 1})
    assert sums[0] == 4
    assert [
        n for row, n in zip(drawn.rows, sums, strict=True) if row.item == found.by_id[query]
    ] == [3]


@given(hostile_traces)
def test_a_waterfall_of_a_hostile_trace_is_complete(hostile: Trace) -> None:
    """Whoever is below a row follows it directly, and each span has its marks."""
    drawn = waterfall(hostile, ReferenceStats.of([hostile]))
    assert set(drawn.marks) == set(hostile.by_id)
    for n, count in enumerate(drawn.descendants):
        below = drawn.rows[n + 1 : n + 1 + count]
        assert all(row.depth > drawn.rows[n].depth for row in below)


def _chain(spans: int, depth: int) -> Trace:
    """``spans`` spans, at most ``depth`` below each other."""
    made = []
    for n in range(spans):
        parent = None if n == 0 else f"{(n - 1 if n % depth else 0):016x}"
        start = EPOCH_NS + n * 1000
        made.append(
            Span(
                "t", f"{n:016x}", parent, f"op {n % 7}", Kind.INTERNAL, "auth", start, start + 10**9
            )
        )
    return Trace("t", tuple(made))


MOST_OF_PLAIN_WORK = 80
"""Times as long as 200,000 squares take, which is 12 ms on an idle machine of 2026."""


@pytest.mark.parametrize("depth", [150, 10_000])
def test_ten_thousand_spans_are_ready_to_be_drawn_in_well_under_a_second(depth: int) -> None:
    """Also where they stand 150 below each other, or all in one line.

    By the best of a few tries, of the processor, beside work that a slow machine slows as well.
    """
    chain = _chain(10_000, depth)
    took_s, plain_s = [], []
    for _ in range(4):
        began_s = time.process_time()
        assert sum(number * number for number in range(200_000))
        plain_s.append(time.process_time() - began_s)
        found = Trace(chain.trace_id, chain.spans)  # One that has worked out nothing yet.
        began_s = time.process_time()
        drawn = waterfall(found, NOTHING)
        took_s.append(time.process_time() - began_s)
        assert len([row for row in drawn.rows if not isinstance(row.item, Gap)]) == 10_000
    assert min(took_s) <= MOST_OF_PLAIN_WORK * min(plain_s), (took_s, plain_s)


# --- the flame graph ---


def test_equal_calls_below_the_same_callers_are_one_box() -> None:
    """Its width is self time: what ran at once does not make it wider than the box above."""
    calls = [a("SELECT", 1, 10) for _ in range(3)]
    found = trace("t", a("root", 0, 20, *calls, a("other", 12, 4)))
    root, select, other = flame_graph(found)
    assert (root.depth, len(root.spans), root.self_ms) == (0, 1, 6.0)
    assert (select.depth, len(select.spans), select.self_ms) == (1, 3, 30.0)
    assert (other.begins_ms, other.total_ms) == (30.0, 4.0)
    assert root.total_ms == 40.0


@given(hostile_traces)
def test_no_box_is_wider_than_the_one_above_it(hostile: Trace) -> None:
    """And every span stands in one box, whatever the trace."""
    boxes = flame_graph(hostile)
    assert sorted(span.span_id for box in boxes for span in box.spans) == sorted(hostile.by_id)
    for box in boxes:
        if box.parent is not None:
            above = boxes[box.parent]
            assert box.depth == above.depth + 1
            assert above.begins_ms - 1e-6 <= box.begins_ms
            assert box.begins_ms + box.total_ms <= above.begins_ms + above.total_ms + 1e-6
