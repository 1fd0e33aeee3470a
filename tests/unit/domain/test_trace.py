from hypothesis import given

from lab.domain.reference import ReferenceStats
from lab.domain.trace import Kind, Span, Status, Trace
from tests.support.hostile import hostile_traces
from tests.support.traces import client, internal, server, trace


@given(hostile_traces)
def test_no_question_asked_of_a_hostile_trace_raises_or_runs_for_ever(hostile: Trace) -> None:
    for span in hostile:
        assert 0 <= hostile.self_time_ms(span) <= span.duration_ms
        assert span not in hostile.ancestors(span)
        assert span not in hostile.children(span)
        hostile.wire_time_ms(span)
    assert all(span.status is Status.ERROR for span in hostile.deepest_errors())
    ReferenceStats.of([hostile])


@given(hostile_traces)
def test_every_span_is_a_root_a_child_or_an_orphan(hostile: Trace) -> None:
    for span in hostile:
        parent = hostile.parent(span)
        orphan = span.parent_id in hostile.missing_parents
        assert (span in hostile.roots) + (parent is not None) + orphan == 1
        if parent is not None:
            assert span in hostile.children(parent)


def test_duplicates_of_a_span_id_keep_the_first() -> None:
    first = _span("a", None, name="first")
    assert list(Trace("t", (first, _span("a", None, name="second")))) == [first]


def test_the_members_of_a_cycle_lose_their_parents_and_nobody_else_does() -> None:
    spans = (_span("a", "b"), _span("b", "a"), _span("c", "b"))
    looped = Trace("t", spans)
    assert [span.span_id for span in looped.roots] == ["a", "b"]
    assert looped.parent(spans[2]) is spans[1]
    assert not looped.is_whole


def test_a_trace_is_whole_with_one_root_and_no_missing_parent() -> None:
    assert Trace("t", (_span("a", None), _span("b", "a"))).is_whole
    assert not Trace("t", (_span("a", None), _span("b", None))).is_whole
    assert not Trace("t", (_span("a", None), _span("b", "gone"))).is_whole
    assert not Trace("t", ()).is_whole


def test_children_that_overlap_or_outlive_their_parent_are_taken_off_once() -> None:
    drawn = trace(
        "t",
        server(
            "gateway", "GET", 0, 100,
            internal("gateway", "one", 10, 30),
            internal("gateway", "two", 20, 30),
            internal("gateway", "three", 90, 50),
        ),
    )  # fmt: skip
    assert drawn.self_time_ms(drawn.roots[0]) == 50


def test_the_deepest_errors_have_no_error_below_them() -> None:
    error = Status.ERROR
    drawn = trace(
        "t",
        server(
            "gateway", "GET", 0, 9,
            client("gateway", "GET", 1, 5, "auth", status=error),
            status=error,
        ),
    )  # fmt: skip
    assert [span.kind for span in drawn.deepest_errors()] == [Kind.CLIENT]


def test_wire_time_needs_both_halves_of_a_call() -> None:
    drawn = trace(
        "t",
        client(
            "gateway", "GET", 0, 10, "auth",
            server("auth", "GET", 1, 7, client("auth", "SELECT", 2, 3, "users_db")),
        ),
    )  # fmt: skip
    call, served, query = drawn
    assert drawn.wire_time_ms(call) == 3
    assert drawn.wire_time_ms(served) is None
    assert drawn.wire_time_ms(query) is None


def _span(span_id: str, parent_id: str | None, name: str = "x") -> Span:
    return Span("t", span_id, parent_id, name, Kind.INTERNAL, "auth", 0, 10)
