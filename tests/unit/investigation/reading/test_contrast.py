"""How long, how much and how often: what separates the hurt from the healthy, and what does not."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.domain.evidence import Evidence, Sample
from lab.domain.load import Window
from lab.domain.trace import Trace
from lab.investigation.reading.contrast import Amount, _cliffs_delta, contrasts
from tests.support.recorded_cases import recorded
from tests.support.traces import evidence, internal, page, request, trace

weighed = st.lists(st.tuples(st.integers(0, 9).map(float), st.just(1.0)), min_size=1, max_size=8)


@given(weighed, weighed)
def test_the_measure_is_the_share_of_pairs_won_less_that_of_pairs_lost(
    ones: list[tuple[float, float]], others: list[tuple[float, float]]
) -> None:
    """As Cliff defines it, counted one by one."""
    pairs = [(a > b) - (a < b) for a, _ in ones for b, _ in others]
    found = _cliffs_delta(ones, others) / (len(ones) * len(others))
    assert found == pytest.approx(mean(pairs))


def told(found: tuple[Amount, ...]) -> list[tuple[str, str, str]]:
    return [(each.where, each.operation, each.quantity) for each in found]


@pytest.mark.parametrize(
    ("name", "amount"),
    [
        ("slow-shelves", ("catalog", "SELECT (catalog_db)", "self")),
        ("gray-line", ("catalog", "SELECT (catalog_db)", "self")),
        ("pool-starvation", ("checkout", "pool.acquire (orders_db)", "self")),
        ("pool-starvation", ("checkout", "", "pool.waiting")),
        ("hang-up", ("gateway", "GET (catalog)", "wire")),
        ("every-other-minute", ("gateway", "GET (auth)", "wire")),
        ("one-by-one", ("checkout", "GET (catalog)", "calls")),
        ("slow-drip", ("gateway", "", "http.response.body.size")),
        ("late-email", ("notifier", "", "messaging.message.age_ms")),
    ],
)
def test_an_amount_names_what_no_attribute_says(name: str, amount: tuple[str, str, str]) -> None:
    """On cases that really happened, among the first rows: each kind of amount."""
    assert amount in told(contrasts(recorded(name).evidence).amounts[:6])


def _slow(hurt: list[Trace], healthy: list[Trace]) -> Evidence:
    return evidence(
        [
            *(request(each.trace_id, Window.CRIME, latency_ms=9000.0) for each in hurt),
            *(request(each.trace_id, Window.REFERENCE) for each in healthy),
        ],
        {Sample.AFFECTED: hurt, Sample.REFERENCE: healthy},
    )


def _traces(first: int, count: int, *, took: float, calls: int = 1) -> list[Trace]:
    """As many traces of work whose calls follow each other and fill it."""
    each = took / calls
    return [
        trace(
            f"{first + number:032x}",
            internal("a", "work", 0, took, *(internal("a", "step", n * each, each)
                                             for n in range(calls))),
        )
        for number in range(count)
    ]  # fmt: skip


def test_of_what_separates_alike_the_greater_factor_comes_first() -> None:
    """Both are 1: every hurt one has more than any healthy one; ten calls are more than twice."""
    found = contrasts(_slow(_traces(1, 8, took=60, calls=10), _traces(100, 8, took=30))).amounts
    assert told(found)[0] == ("a", "step", "calls")
    assert found[0].separation == 1.0
    assert (found[0].hurt, found[0].healthy, found[0].unhurt) == (10.0, 1.0, None)


def test_what_chance_would_do_is_left_out() -> None:
    """Two against two say nothing, however far apart; nor does what hardly changed."""
    assert contrasts(_slow(_traces(1, 2, took=600), _traces(100, 2, took=3))).amounts == ()
    assert contrasts(_slow(_traces(1, 40, took=33), _traces(100, 40, took=30))).amounts == ()


def _bearing(found: Evidence, key: str, values: Sequence[int | str]) -> Evidence:
    traces = {
        trace_id: Trace(
            trace_id,
            (dataclasses.replace(each.spans[0], attributes={key: value}), *each.spans[1:]),
        )
        for (trace_id, each), value in zip(found.traces.items(), values, strict=True)
    }
    return dataclasses.replace(found, traces=traces)


def test_an_identifier_is_no_lead() -> None:
    """One that is another in every trace says nothing; one of few values does."""
    base = _slow(_traces(1, 9, took=60), _traces(100, 9, took=60))
    unique = _bearing(base, "job.name", [f"job-{n}" for n in range(18)])
    assert "job.name" not in {row.key for row in contrasts(unique, limit=999).rows}
    shared = _bearing(base, "job.name", ["night"] * 9 + ["day"] * 9)
    assert "job.name" in {row.key for row in contrasts(shared, limit=999).rows}


def test_a_number_of_many_values_is_an_amount_and_no_value() -> None:
    """A port and a connection's id are names, however many there are."""
    base = _slow(_traces(1, 9, took=60), _traces(100, 9, took=60))
    sizes = [*range(1000, 1018, 2), *range(100, 118, 2)]
    measured = contrasts(_bearing(base, "queue.size", sizes), limit=999)
    assert ("a", "", "queue.size") in told(measured.amounts)
    assert "queue.size" not in {row.key for row in measured.rows}
    ports = contrasts(_bearing(base, "network.peer.port", sizes), limit=999)
    assert ("a", "", "network.peer.port") not in told(ports.amounts)


def test_where_nothing_is_kept_nothing_is_compared() -> None:
    """No trace of before, or none at all."""
    shelf = page("a" * 32)
    lone = evidence([request(shelf.trace_id, Window.CRIME)], {Sample.AFFECTED: [shelf]})
    assert contrasts(lone).amounts == ()
    assert contrasts(evidence([], {})).amounts == ()
