from collections.abc import Sequence
from dataclasses import replace

import pytest

from lab.domain.bound import parse
from lab.domain.predicate import PRESENT, Predicate
from lab.domain.reference import ReferenceStats
from lab.domain.trace import Event, Kind, Status, Trace
from tests.support.traces import (
    Draft,
    client,
    declined_checkout,
    healthy_checkout,
    internal,
    page,
    server,
    silent_login_check,
    trace,
)

EMPTY = ReferenceStats()


def found(predicate: Predicate) -> int:
    """How many spans of a declined checkout match."""
    return len(predicate.matching(declined_checkout("a" * 32), EMPTY))


@pytest.mark.parametrize(
    ("fits", "does_not"),
    [
        (Predicate(service="bank"), Predicate(service="catalog")),
        (Predicate(name="charge_credit_card"), Predicate(name="charge")),
        (Predicate(kind=Kind.SERVER), Predicate(kind=Kind.PRODUCER)),
        (Predicate(status=Status.ERROR), Predicate(status=Status.OK)),
        (Predicate(peer="bank"), Predicate(peer="catalog")),
        (Predicate(exception="lab.CardDeclined"), Predicate(exception="Card")),
        (Predicate(exception="CardDeclined"), Predicate(exception="lab")),
        (
            Predicate(attributes={"decline.reason": "expired_card"}),
            Predicate(attributes={"decline.reason": "insufficient_funds"}),
        ),
        (
            Predicate(attributes={"http.response.status_code": parse(">= 402")}),
            Predicate(attributes={"http.response.status_code": parse("> 402")}),
        ),
        (Predicate(duration=parse(">= 30ms")), Predicate(duration=parse("> 30ms"))),
        (
            Predicate(service="gateway", self_time=parse("<= 5ms")),
            Predicate(service="gateway", self_time=parse("> 5ms")),
        ),
        (
            Predicate(peer="bank", wire_time=parse("<= 1ms")),
            Predicate(peer="bank", wire_time=parse("> 1ms")),
        ),
        (
            Predicate(service="bank", ends_after_parent=parse("< 0ms")),
            Predicate(service="bank", ends_after_parent=parse(">= 0ms")),
        ),
        (Predicate(service="storefront", root=True), Predicate(service="storefront", root=False)),
        (Predicate(service="bank", root=False), Predicate(service="bank", root=True)),
        (Predicate(repeats=parse("== 1")), Predicate(service="bank", repeats=parse(">= 2"))),
        (
            Predicate(service="bank", parent=Predicate(service="payments", kind=Kind.CLIENT)),
            Predicate(service="bank", parent=Predicate(service="gateway")),
        ),
        (
            Predicate(service="bank", ancestor=Predicate(service="gateway")),
            Predicate(service="bank", ancestor=Predicate(service="auth")),
        ),
        (
            Predicate(peer="bank", child=Predicate(service="bank")),
            Predicate(peer="bank", child=Predicate(service="payments")),
        ),
        (
            Predicate(peer="users_db", no_child=Predicate()),
            Predicate(peer="bank", no_child=Predicate()),
        ),
    ],
)
def test_each_clause_accepts_and_rejects(fits: Predicate, does_not: Predicate) -> None:
    assert found(fits) > 0
    assert found(does_not) == 0


def test_clauses_are_joined_by_and() -> None:
    assert found(Predicate(service="payments", kind=Kind.CLIENT, status=Status.ERROR)) == 1


def test_a_number_is_no_truth_value_and_a_text_no_number() -> None:
    assert found(Predicate(attributes={"http.response.status_code": "402"})) == 0
    assert found(Predicate(attributes={"decline.reason": parse(">= 0")})) == 0


def test_an_attribute_that_is_missing_does_not_match() -> None:
    assert found(Predicate(attributes={"pool.waiting": parse(">= 0")})) == 0


def test_an_attribute_that_must_be_missing_and_is_there_does_not_match() -> None:
    """By its name alone, whatever its value is."""
    bank = Predicate(service="bank")
    assert found(replace(bank, no_attributes=("http.response.status_code",))) == 0
    assert found(replace(bank, no_attributes=("http.request.resend_count",))) == found(bank) == 1


def test_what_must_be_in_nothing_that_is_joined_is_looked_for_there_alone() -> None:
    """The same span in the trace itself does not count, and a joined one has joined none."""
    alone = healthy_checkout("a" * 32)
    lonely = Predicate(service="storefront", no_joined=Predicate(service="bank"))
    assert len(lonely.matching(alone, EMPTY)) == 1
    joined = replace(alone, joined=(page("b" * 32), healthy_checkout("c" * 32)))
    assert [span.trace_id[0] for span in lonely.matching(joined, EMPTY)] == ["b", "c"]
    missed = lonely.nearest_misses(joined, EMPTY)[0]
    assert missed.failed[0].name == "no_joined"


def test_a_relative_duration_compares_with_the_same_operation_in_the_reference() -> None:
    slow, reference = page("a" * 32, 250), ReferenceStats.of([page("b" * 32, 3)])
    predicate = Predicate(name="SELECT", duration=parse(">= 10x reference"))
    assert [span.service for span in predicate.matching(slow, reference)] == ["catalog"] * 2


def test_what_the_reference_never_saw_is_not_claimed_to_be_slower() -> None:
    dead, reference = silent_login_check("a" * 32, warm=False), ReferenceStats.of([page("b" * 32)])
    predicate = Predicate(name="db.connect", duration=parse(">= 10x reference"))
    assert predicate.matching(dead, reference) == ()
    [clause] = predicate.nearest_misses(dead, reference)[0].failed
    assert clause.found == "400.0ms (reference none)"


def test_the_nearest_miss_says_which_clause_failed_with_both_numbers() -> None:
    predicate = Predicate(service="catalog", name="SELECT", duration=parse(">= 225ms"))
    misses = predicate.nearest_misses(page("a" * 32, 3), EMPTY)
    assert misses[0].span.name == "SELECT"
    assert [str(clause) for clause in misses[0].failed] == [
        "duration: expected >= 225ms, found 3.0ms"
    ]


def test_a_span_that_matches_is_no_near_miss() -> None:
    predicate = Predicate(service="bank")
    misses = predicate.nearest_misses(healthy_checkout("a" * 32), EMPTY, limit=99)
    assert all(miss.span.service != "bank" for miss in misses)


def test_what_has_no_other_half_has_no_time_on_the_wire_and_no_parent_to_outlive() -> None:
    assert found(Predicate(peer="users_db", wire_time=parse(">= 0ms"))) == 0
    assert found(Predicate(service="storefront", ends_after_parent=parse(">= 0ms"))) == 0


def calls(*starts_ms: float, others: Sequence[Draft] = ()) -> Trace:
    """A cart priced by calls of 10 ms each."""
    prices = [client("checkout", "GET", start_ms, 10, "catalog") for start_ms in starts_ms]
    return trace("a" * 32, internal("checkout", "price_cart", 0, 100, *prices, *others))


def test_calls_one_after_another_repeat_and_calls_at_once_do_not() -> None:
    """Three in a row are three, whatever overlaps with them; three at once are one."""
    price = Predicate(kind=Kind.CLIENT, repeats=parse("== 3"))
    assert len(price.matching(calls(0, 10, 20), EMPTY)) == 3
    assert len(price.matching(calls(0, 5, 10, 15, 20), EMPTY)) == 5
    once = Predicate(kind=Kind.CLIENT, repeats=parse("== 1"))
    assert len(once.matching(calls(0, 1, 2), EMPTY)) == 3


def test_another_operation_does_not_add_to_the_repeats() -> None:
    others = [client("checkout", "POST", 20, 10, "catalog"), client("checkout", "GET", 30, 1, "x")]
    thrice = Predicate(name="GET", repeats=parse(">= 3"))
    assert thrice.matching(calls(0, 10, others=others), EMPTY) == ()


def test_what_runs_at_once_is_counted_across_joined_traces() -> None:
    """Itself, and whoever is like it and overlaps with it; no other value and no other time.

    How long the others took is not asked.
    """

    def lookup(trace_id: str, at: float, took: float = 10, *, hit: bool = False) -> Trace:
        found = {"cache.key": "k", "cache.hit": hit}
        return trace(trace_id, internal("catalog", "cache.lookup", at, took, attributes=found))

    others = (lookup("b" * 32, 9, took=5), lookup("c" * 32, 10), lookup("d" * 32, 5, hit=True))
    seen = replace(lookup("a" * 32, 0), joined=others)
    miss = Predicate(
        name="cache.lookup", attributes={"cache.hit": False}, duration=parse(">= 10ms")
    )
    assert replace(miss, at_once=parse("== 2")).matches(seen.spans[0], seen, EMPTY)
    assert not replace(miss, at_once=parse(">= 3")).matches(seen.spans[0], seen, EMPTY)
    assert replace(miss, at_once=parse("== 1")).matches(others[1].spans[0], others[1], EMPTY)
    [clause] = replace(miss, at_once=parse(">= 3")).nearest_misses(seen, EMPTY)[0].failed
    assert str(clause) == "at_once: expected >= 3, found 2"


def test_a_callee_that_outlives_its_caller_is_told_by_how_much() -> None:
    late = server("checkout", "POST /checkout", 1, 900)
    seen = trace("a" * 32, client("gateway", "POST", 0, 800, "checkout", late))
    assert len(Predicate(ends_after_parent=parse("101ms ±0ms")).matching(seen, EMPTY)) == 1
    assert Predicate(ends_after_parent=parse("> 101ms")).matching(seen, EMPTY) == ()


def test_a_predicate_reads_like_a_sentence() -> None:
    predicate = Predicate(
        service="auth",
        name="SELECT",
        status=Status.ERROR,
        duration=parse("1s ±20%"),
        no_child=Predicate(kind=Kind.SERVER),
    )
    assert str(predicate) == "auth SELECT error 1s ±20% no child (server)"
    positions = Predicate(
        self_time=parse(">= 1ms"),
        wire_time=parse(">= 2ms"),
        ends_after_parent=parse(">= 3ms"),
        repeats=parse(">= 4"),
        at_once=parse(">= 5"),
    )
    assert str(positions) == (
        "self >= 1ms wire >= 2ms ends after parent >= 3ms repeats >= 4 at once >= 5"
    )


def test_an_attribute_that_must_be_there_may_say_anything() -> None:
    """Where it is missing the clause says so."""
    bank = Predicate(service="bank")
    assert (
        found(replace(bank, attributes={"http.response.status_code": PRESENT})) == found(bank) == 1
    )
    lacking = replace(bank, attributes={"http.request.resend_count": PRESENT})
    assert found(lacking) == 0
    (miss,) = lacking.nearest_misses(healthy_checkout("a" * 32), EMPTY, limit=1)
    assert str(miss.failed[0]) == "http.request.resend_count: expected present, found none"


@pytest.mark.parametrize(
    ("asked", "matches"),
    [
        ({"event": "cancelled"}, True),
        ({"event": "cancel"}, False),
        ({"message": "received 4000 bytes"}, True),
        ({"message": "charge failed"}, True),
        ({"message": "received 9 bytes"}, False),
    ],
)
def test_what_was_written_on_a_span_is_looked_for(asked: dict[str, str], matches: bool) -> None:
    """An event by its whole name; words in the status message or in an exception's."""
    (plain,) = (each for each in healthy_checkout("a" * 32) if each.service == "bank")
    events = (
        Event("cancelled", 0),
        Event("exception", 0, {"exception.message": "received 4000 bytes, expected 9000"}),
    )
    told = replace(plain, events=events, status_message="charge failed")
    assert Predicate(**asked).matches(told, Trace("a" * 32, (told,)), EMPTY) is matches  # type: ignore[arg-type]
    assert not Predicate(**asked).matches(plain, Trace("a" * 32, (plain,)), EMPTY)  # type: ignore[arg-type]
