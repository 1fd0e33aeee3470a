"""An incident beside the healthy shop: the twin of a trace, and the map."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given

from lab.domain.evidence import Evidence, Interval, Sample
from lab.domain.load import Window
from lab.domain.trace import Link, Span, Status, Trace
from lab.investigation.reading.contrast import contrasts
from lab.investigation.reading.healthy_twin import (
    Comparison,
    PairedRow,
    compare,
    healthy_twin,
    pair_rows,
    side_by_side,
    without_repeats,
)
from lab.investigation.reading.service_map import (
    Change,
    Figures,
    MapEdge,
    ServiceMap,
    cells,
    service_map,
)
from lab.investigation.reading.span_words import operation
from tests.support.evidence import db_timeout, slow_shelves
from tests.support.hostile import hostile_traces
from tests.support.recorded_cases import recorded
from tests.support.traces import (
    client,
    declined_checkout,
    evidence,
    healthy_checkout,
    internal,
    page,
    request,
    server,
    silent_login_check,
    trace,
)

ID = f"{0xABC:032x}"


def told(rows: list[PairedRow] | tuple[PairedRow, ...]) -> list[str]:
    """Each row as ``service name`` with − where only the healthy one has it, + where only here."""
    return [
        f"{'-' if row.here is None else '+' if row.healthy is None else ''}"
        f"{row.either.service} {row.either.name}"
        for row in rows
    ]


# --- the twin ---


def test_the_first_row_of_a_comparison_is_what_changed_most_of_itself() -> None:
    """Everybody above it took longer as well, and none of that was their own."""
    run = slow_shelves().evidence()
    affected = run.whole_traces(Sample.AFFECTED)[0]
    comparison = compare(run, affected)
    assert comparison is not None
    assert told(comparison.by_change)[:2] == ["catalog SELECT", "catalog SELECT"]
    assert comparison.by_change[0].change_ms == pytest.approx(148)


@pytest.mark.parametrize("name", ["card-declined", "db-timeout", "one-by-one"])
def test_the_twin_of_a_request_went_well(name: str) -> None:
    """A card that was declined before the incident says nothing of one that is declined in it."""
    found = recorded(name).evidence
    answers = {
        twin.trace_id: found.request_of[twin.trace_id].status
        for each in found.whole_traces(Sample.AFFECTED)
        if (twin := healthy_twin(found, each)) is not None
    }
    assert answers
    assert all(status is not None and status < 400 for status in answers.values())


def test_what_one_side_lacks_stays_in_the_list() -> None:
    """A checkout that died at auth never came to pay; a step that is new is shown as new."""
    died, healthy = silent_login_check(ID, warm=False), healthy_checkout("b" * 32)
    rows = list(pair_rows(died, healthy))
    assert "-payments charge_credit_card" in told(rows)
    assert "+auth db.connect" in told(rows)
    assert {row.here.span_id for row in rows if row.here} == set(died.by_id)
    assert {row.healthy.span_id for row in rows if row.healthy} == set(healthy.by_id)


def test_runs_of_one_operation_are_paired_in_their_order() -> None:
    """The second SELECT with the second, and a third has no counterpart."""
    one = trace(ID, internal("a", "x", 0, 9, *(internal("a", "SELECT", n, 1) for n in range(3))))
    two = trace("b", internal("a", "x", 0, 9, *(internal("a", "SELECT", n, 1) for n in range(2))))
    rows = list(pair_rows(one, two))
    assert told(rows) == ["a x", "a SELECT", "a SELECT", "+a SELECT"]
    assert [row.healthy and row.healthy.start_ns for row in rows[1:]] == [
        *(span.start_ns for span in two.children(two.roots[0])),
        None,
    ]


def test_the_twin_is_the_reference_trace_with_the_same_steps() -> None:
    """A declined checkout among healthy ones is nearest to a declined one."""
    declined, others = declined_checkout("d" * 32), [healthy_checkout(f"{n:032x}") for n in (1, 2)]
    odd = trace("e" * 32, internal("storefront", "POST /checkout", 0, 30))
    reference = [*others, odd]
    found = evidence(
        [
            *(request(each.trace_id, Window.REFERENCE) for each in reference),
            request(declined.trace_id, Window.CRIME, status=400),
        ],
        {Sample.REFERENCE: reference, Sample.AFFECTED: [declined]},
    )
    twin = healthy_twin(found, declined)
    assert twin is not None
    assert twin.trace_id == others[0].trace_id, "of two as near, the lower id"


def test_the_twin_is_looked_for_among_all_that_is_kept_of_before() -> None:
    """Of a route that the proof does not ask, and of what no request began."""
    shelf, healthy = page("c" * 32, query_ms=900.0), page("d" * 32)
    background = trace("e" * 32, internal("notifier", "process", 1, 5))
    sick = trace("f" * 32, internal("notifier", "process", 50, 500))
    found = evidence(
        [
            request(shelf.trace_id, Window.CRIME, route="GET /products"),
            request(healthy.trace_id, Window.REFERENCE, route="GET /products"),
        ],
        {
            Sample.OTHERS: [shelf],
            Sample.OTHERS_BEFORE: [healthy],
            Sample.JOINED: [background, sick],
        },
    )
    assert healthy_twin(found, shelf) is healthy
    start_s = background.spans[0].start_ns / 1e9
    then = {Window.REFERENCE: Interval(start_s - 0.001, start_s + 0.001)}
    assert healthy_twin(dataclasses.replace(found, windows=then), sick) is background


def test_a_trace_is_never_its_own_twin_and_never_one_of_another_route() -> None:
    """Where the reference has no other of its route, there is none."""
    lone = healthy_checkout(ID)
    shelf = page("c" * 32)
    found = evidence(
        [
            request(lone.trace_id, Window.REFERENCE),
            request(shelf.trace_id, Window.REFERENCE, route="GET /products"),
        ],
        {Sample.REFERENCE: [lone, shelf]},
    )
    assert healthy_twin(found, lone) is None
    assert compare(found, lone) is None


def test_the_twin_of_a_trace_that_no_request_began_is_one_of_its_kind() -> None:
    """A worker's is a worker's from before; with none from before there is none."""
    evidence = recorded("late-email").evidence
    late = [
        each
        for each in evidence.traces.values()
        if each.trace_id not in evidence.request_of
        and each.spans[0].start_ns / 1e9 in evidence.windows[Window.CRIME]
    ]
    before = {each.trace_id for each in evidence.background_before()}
    assert late
    for each in late:
        twin = healthy_twin(evidence, each)
        assert twin is not None
        assert twin.trace_id in before
        assert twin.roots[0].name == each.roots[0].name == "process outbox"
    samples = {**evidence.samples, Sample.JOINED: ()}
    assert healthy_twin(dataclasses.replace(evidence, samples=samples), late[0]) is None


@given(hostile_traces, hostile_traces)
def test_every_span_of_both_sides_stands_in_one_row(one: Trace, other: Trace) -> None:
    """Whatever is compared with whatever."""
    rows = [row for row in pair_rows(one, other) if not row.is_wire]
    assert sorted(row.here.span_id for row in rows if row.here) == sorted(one.by_id)
    assert sorted(row.healthy.span_id for row in rows if row.healthy) == sorted(other.by_id)


def _called(took_ms: float, answered_ms: float) -> Trace:
    answer = server("b", "GET /", 1, answered_ms, internal("b", "work", 2, answered_ms - 2))
    return trace(ID, client("a", "GET", 0, took_ms, "b", answer))


def test_the_way_there_and_back_is_a_row_of_its_own() -> None:
    """And the call's own row is without it, so that nothing is counted twice."""
    call, wire, _answer, _work = pair_rows(_called(700, 10), _called(14, 10))
    assert (call.self_ms, call.healthy_self_ms, call.is_wire) == (0.0, 0.0, False)
    assert (wire.self_ms, wire.healthy_self_ms, wire.is_wire) == (690.0, 4.0, True)
    assert wire.depth == 1


def test_what_all_but_did_not_change_is_told_apart() -> None:
    """By under 5 %, or slightly beside the greatest change; what failed anew never is."""
    here, healthy = _called(700, 10), _called(14, 10)
    rows = tuple(pair_rows(here, healthy))
    steady = PairedRow(1, here.spans[0], healthy.spans[0], 104.0, 100.0)
    moved = dataclasses.replace(steady, self_ms=108.0)
    failed = dataclasses.replace(
        steady, here=dataclasses.replace(here.spans[0], status=Status.ERROR)
    )
    lone = PairedRow(1, here.spans[0], None, 0.0, None)
    found = Comparison(here, healthy, (*rows, steady, moved, failed, lone))
    changed, same = found.changed(found.rows)
    assert [each for each in changed if each.is_wire] == [rows[1]]
    assert [moved, failed, lone] == list(changed[1:])
    assert steady in same
    assert len(changed) + len(same) == len(found.rows)


def test_what_stands_below_a_missing_call_is_not_said_once_more() -> None:
    """A call that was never made says it all; of what is only here, each row is news."""
    call = client("a", "GET", 1, 9, "b", server("b", "GET /", 2, 7, internal("b", "work", 3, 5)))
    both = trace(ID, internal("a", "page", 0, 20, call)), trace(ID, internal("a", "page", 0, 2))
    found = Comparison(both[1], both[0], tuple(pair_rows(both[1], both[0])))
    changed, same = found.changed(found.rows)
    assert told(list(changed)) == ["a page", "-a GET"]
    assert told(list(same)) == ["-a GET", "-b GET /", "-b work"]
    other = Comparison(both[0], both[1], tuple(pair_rows(*both)))
    assert len(other.changed(other.rows)[0]) == 5


def test_what_only_one_side_has_is_one_row_of_each_operation() -> None:
    """Forty calls where there was one: one pair, and thirty-nine together."""
    many = internal("a", "cart", 0, 90, *(client("a", "GET", n, 2, "b") for n in range(40)))
    one = internal("a", "cart", 0, 9, client("a", "GET", 1, 2, "b"))
    rows = without_repeats(list(pair_rows(trace(ID, many), trace(ID, one))))
    assert [row.count for row in rows] == [1, 1, 39]
    assert (rows[2].self_ms, rows[2].healthy_self_ms) == (78.0, None)


def test_what_failed_is_never_folded_into_what_did_not() -> None:
    """Whichever came first: a row of both would hide the one or the other."""
    ends = (Status.UNSET, Status.ERROR, Status.ERROR, Status.UNSET)
    calls = (client("a", "GET", n, 2, "b", status=each) for n, each in enumerate(ends))
    many, none = internal("a", "cart", 0, 9, *calls), internal("a", "cart", 0, 9)
    rows = without_repeats(list(pair_rows(trace(ID, many), trace(ID, none))))
    assert [(row.either.status, row.count) for row in rows[1:]] == [
        (Status.UNSET, 2),
        (Status.ERROR, 2),
    ]


def test_a_wire_that_one_side_does_not_tell_apart_is_no_row() -> None:
    """A callee that sent no span here: the time on the wire stays in the calls of both."""
    silent = trace(ID, client("a", "GET", 0, 700, "b"))
    call, *answered = pair_rows(silent, _called(14, 10))
    assert (call.self_ms, call.healthy_self_ms) == (700.0, 4.0)
    assert [row.is_wire for row in answered] == [False, False]


@pytest.mark.parametrize(
    ("paths", "says"), [(("/prices", "/prices"), "GET /prices"), (("/a", "/b"), "GET")]
)
def test_rows_told_as_one_say_what_they_have_in_common(paths: tuple[str, str], says: str) -> None:
    """Their route if it is one; whichever side has them, and beside other traces as well."""
    calls = (
        client("a", "GET", n, 2, "b", attributes={"url.path": path}) for n, path in enumerate(paths)
    )
    many, none = (
        trace(ID, internal("a", "cart", 0, 9, *calls)),
        trace(ID, internal("a", "cart", 0, 9)),
    )
    for here, healthy in ((many, none), (none, many)):
        found = Comparison(here, healthy, tuple(pair_rows(here, healthy)))
        _, calls_row = found.folded(in_tree_order=True)
        assert (calls_row.count, found.says(calls_row, operation)) == (2, says)
        assert [each.says for each in side_by_side((here, healthy))] == ["cart", says]


# --- the map ---


def edges(found: ServiceMap) -> set[str]:
    return {f"{edge.caller}{'~' if edge.is_link else '-'}{edge.callee}" for edge in found.edges}


def test_the_map_is_drawn_from_spans_alone() -> None:
    """Who answers is asked first; of whom no span came, the caller's word is taken."""
    found = service_map(db_timeout().evidence())
    assert {"storefront-gateway", "gateway-auth", "auth-users_db", "payments-bank"} <= edges(found)
    speaks = {each.name: each.speaks for each in found.services}
    assert speaks["bank"]
    assert not speaks["users_db"]


def test_an_edge_shows_the_incident_beside_the_healthy_shop() -> None:
    """Every call of auth's database failed, and checkout was never asked."""
    found = service_map(db_timeout().evidence())
    by_name = {(edge.caller, edge.callee): edge for edge in found.edges}
    sick = by_name["auth", "users_db"]
    assert sick.reference is not None
    assert sick.crime is not None
    assert (sick.reference.error_share, sick.crime.error_share) == (0.0, 1.0)
    assert sick.reference.per_trace == 2.0
    assert sick.crime.p50_ms >= 400
    assert by_name["gateway", "checkout"].crime is None


def _lopsided() -> Evidence:
    """120 of 200 purchases are declined, and ten of each kind are kept."""
    declined = [declined_checkout(f"{n:032x}") for n in range(10)]
    well = [healthy_checkout(f"{n:032x}") for n in range(200, 210)]
    return evidence(
        [
            *(request(f"{n:032x}", Window.CRIME, status=400) for n in range(120)),
            *(request(f"{n:032x}", Window.CRIME, status=201) for n in range(200, 280)),
            *(request(f"{n:032x}", Window.CRIME, route="GET /home") for n in range(300, 325)),
            *(request(f"{n:032x}", Window.REFERENCE) for n in range(400, 440)),
        ],
        {
            Sample.AFFECTED: declined,
            Sample.UNAFFECTED: well,
            Sample.REFERENCE: [healthy_checkout(f"{n:032x}") for n in range(400, 404)],
        },
    )


def test_on_the_map_a_trace_counts_for_as_many_requests_as_it_stands_for() -> None:
    """Of the kept ones half are declined, of all three in five; none is of the front page."""
    found = service_map(_lopsided())
    to_bank = next(each for each in found.edges if each.callee == "bank")
    assert to_bank.crime is not None
    assert to_bank.crime.error_share == pytest.approx(0.6)
    assert to_bank.crime.per_trace == pytest.approx(1.0)
    assert to_bank.crime.count == 20
    assert str(found.crime) == "20 kept traces, which stand for 200 of 225 requests"
    assert str(found.reference) == "4 kept traces, which stand for all of 40 requests"


def test_in_a_contrast_a_trace_counts_for_as_many_requests_as_it_stands_for() -> None:
    """Of the hurt three in four were declined, and half of the hurt that are kept."""
    base = _lopsided()
    failed = [silent_login_check(f"{n:032x}", warm=True) for n in range(500, 510)]
    found = dataclasses.replace(
        base,
        requests=(
            *base.requests,
            *(request(f"{n:032x}", Window.CRIME, status=504) for n in range(500, 540)),
        ),
        samples={**base.samples, Sample.OTHERS: tuple(each.trace_id for each in failed)},
        traces={**base.traces, **{each.trace_id: each for each in failed}},
    )
    compared = contrasts(found, limit=999)
    rows = {(each.where, each.key, each.value): each for each in compared.rows}
    declined = rows["bank", "http.response.status_code", "402"]
    assert declined.hurt == 10
    assert declined.hurt_share == pytest.approx(0.75)
    assert (compared.hurt, compared.healthy, compared.unhurt) == (20, 4, 10)
    assert declined.unhurt_share == 0.0
    asked = rows["request", "status", "400"]
    assert asked.hurt == 120, "requests are all counted"
    assert asked.hurt_share == pytest.approx(0.75)


def test_what_waited_for_another_request_does_not_make_its_calls() -> None:
    """A joined trace that is some request's own is counted once, as that request's."""
    mine, other = page("a" * 32), page("b" * 32)
    both = evidence(
        [request(each.trace_id, Window.CRIME, route="GET /products") for each in (mine, other)],
        {Sample.AFFECTED: [mine, other]},
    )
    joined = dataclasses.replace(mine, joined=(other,))
    found = service_map(_with(both, joined, other))
    first = next(each for each in found.edges if each.caller == "storefront")
    assert first.crime is not None
    assert (first.crime.count, first.crime.per_trace) == (2, 1.0)


def test_callers_stand_left_of_whom_they_call() -> None:
    """Also where two services call each other, of which none is first."""
    found = service_map(db_timeout().evidence())
    layer = {each.name: each.layer for each in found.services}
    assert layer["storefront"] < layer["gateway"] < layer["auth"] < layer["users_db"]
    ring = trace(
        ID,
        client("a", "GET", 0, 9, "b", server("b", "GET /", 1, 7, client("b", "GET", 2, 5, "a",
               server("a", "GET /", 3, 3)))),
    )  # fmt: skip
    both = service_map(evidence([], {Sample.REFERENCE: [ring]}))
    assert edges(both) == {"a-b", "b-a"}


def test_no_arrow_leads_back_but_one_that_closes_a_circle() -> None:
    """A drawing can rely on it: both ends of an arrow stand in columns of their own."""
    ring = trace(
        ID,
        client("a", "GET", 0, 9, "b", server("b", "GET /", 1, 7, client("b", "GET", 2, 5, "c",
               server("c", "GET /", 3, 3, client("c", "GET", 4, 1, "a"))))),
    )  # fmt: skip
    found = service_map(evidence([], {Sample.REFERENCE: [ring]}))
    layer = {each.name: each.layer for each in found.services}
    assert sorted(layer.values()) == [0, 1, 2]
    back = [each for each in found.edges if layer[each.callee] <= layer[each.caller]]
    assert len(back) == 1


def test_of_each_call_is_told_whether_its_callee_sent_spans() -> None:
    """Two of three calls have their other half; a message and a service have no such share."""
    calls = [_called(9, 5), _called(9, 5), trace(ID, client("a", "GET", 0, 9, "b"))]
    named = [dataclasses.replace(each, trace_id=f"{n:032x}") for n, each in enumerate(calls)]
    found = service_map(evidence([], {Sample.REFERENCE: named}))
    [edge] = found.edges
    assert edge.reference is not None
    assert edge.reference.joined_share == pytest.approx(2 / 3)
    assert all(each.reference is None or each.reference.joined_share is None
               for each in found.services)  # fmt: skip


FIGURES = Figures(10, 1.0, 0.1, 10.0, 20.0, 1.0)


@pytest.mark.parametrize(
    ("now", "said"),
    [
        ({}, []),
        ({"error_share": 0.5}, [Change.MORE_ERRORS]),
        ({"error_share": 0.0}, [Change.FEWER_ERRORS]),
        ({"per_trace": 4.0}, [Change.MORE_CALLS]),
        ({"per_trace": 0.5}, [Change.FEWER_CALLS]),
        ({"p50_ms": 16.0, "p95_ms": 90.0}, [Change.SLOWER, Change.SLOW_TAIL]),
        ({"p50_ms": 5.0, "p95_ms": 8.0}, [Change.FASTER, Change.FAST_TAIL]),
        ({"joined_share": 0.1}, [Change.FEWER_SPANS]),
        ({"per_trace": 1.1, "p50_ms": 14.0, "p95_ms": 39.0, "joined_share": 0.97}, []),
    ],
)
def test_every_figure_that_moved_is_marked_up_or_down(
    now: dict[str, float], said: list[Change]
) -> None:
    """And what moved by little is not."""
    edge = MapEdge("a", "b", False, FIGURES, dataclasses.replace(FIGURES, **now))  # type: ignore[arg-type]
    assert list(edge.changes) == said
    back = dataclasses.replace(edge, reference=edge.crime, crime=edge.reference)
    assert len(back.changes) == len(said)
    marked = [cell.sign for cell in cells(edge) if cell.sign]
    assert sorted(marked) == sorted(each.sign for each in said)


def test_a_call_of_one_window_alone_is_new_or_gone() -> None:
    assert MapEdge("a", "b", False, None, FIGURES).changes == (Change.NEW,)
    assert MapEdge("a", "b", False, FIGURES, None).changes == (Change.GONE,)
    assert cells(MapEdge("a", "b", False, FIGURES, None))[0].text == "1.00 → none"


def test_who_took_up_later_what_another_left_is_an_edge_as_well() -> None:
    """A message waits in no span; the link says from whom it came."""
    left = trace(ID, internal("checkout", "outbox", 0, 1))
    taken = trace("b" * 32, internal("notifier", "process", 50, 5))
    linked = dataclasses.replace(taken.spans[0], links=(Link(ID, left.spans[0].span_id),))
    linked = dataclasses.replace(linked, span_id="99" * 8)
    joined = dataclasses.replace(left, joined=(Trace("b" * 32, (linked,)),))
    base = evidence([], {Sample.REFERENCE: [left]})
    found = service_map(_with(base, joined))
    assert edges(found) == {"checkout~notifier"}


def _with(base: Evidence, *traces: Trace) -> Evidence:
    return dataclasses.replace(base, traces={each.trace_id: each for each in traces})


def test_a_case_without_traces_has_an_empty_map() -> None:
    """And nothing is divided by nothing."""
    found = service_map(evidence([], {}))
    assert (found.services, found.edges) == ((), ())


@given(hostile_traces)
def test_a_hostile_trace_makes_a_map_all_the_same(hostile: Trace) -> None:
    """Shares stay shares."""
    found = service_map(evidence([], {Sample.REFERENCE: [hostile]}))
    for edge in found.edges:
        assert edge.reference is not None
        assert 0 <= edge.reference.error_share <= 1
    assert all(isinstance(span, Span) for span in hostile)
