import pytest

from lab.domain.bound import parse
from lab.domain.predicate import Predicate
from lab.domain.reference import ReferenceStats
from lab.domain.trace import Kind, Status
from tests.unit.traces import declined_checkout, healthy_checkout, page, silent_login_check

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


def test_a_predicate_reads_like_a_sentence() -> None:
    predicate = Predicate(
        service="auth",
        name="SELECT",
        status=Status.ERROR,
        duration=parse("1s ±20%"),
        no_child=Predicate(kind=Kind.SERVER),
    )
    assert str(predicate) == "auth SELECT error 1s ±20% no child (server)"
