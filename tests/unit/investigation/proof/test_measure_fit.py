"""A straight line through durations: how much of them it explains, and when nobody can say."""

from collections.abc import Sequence

import pytest

from lab.domain.bound import parse
from lab.domain.evidence import Sample
from lab.domain.load import Window
from lab.domain.predicate import Predicate
from lab.domain.proof import Finding, Outcome
from lab.domain.reference import ReferenceStats
from lab.domain.scenario import SpanFitCheck
from lab.domain.trace import AttributeValue
from lab.investigation.proof.measure import check_finding
from tests.support.traces import client, evidence, request, trace

ROWS = "db.response.returned_rows"


def fitted(points: Sequence[tuple[AttributeValue, float]], r2: str = ">= 0.9") -> Finding:
    """The finding over queries of so many rows that took so many ms."""
    found = [
        trace(
            f"{n:032x}",
            client("catalog", "SELECT", 0, took_ms, "catalog_db", attributes={ROWS: rows}),
        )
        for n, (rows, took_ms) in enumerate(points, start=1)
    ]
    requests = [request(each.trace_id, Window.CRIME) for each in found]
    check = SpanFitCheck("c", Predicate(service="catalog"), ROWS, parse(r2))
    return check_finding(check, evidence(requests, {Sample.AFFECTED: found}), ReferenceStats())


def test_time_that_follows_from_the_rows_fits_a_line() -> None:
    """2 ms a query and 1 ms a row."""
    finding = fitted([(20, 22), (100, 102), (1500, 1502), (1500, 1502)])
    assert finding.outcome is Outcome.HOLDS
    assert finding.measured == (
        "1.000 over 3 different values in 4 spans (2.0ms + 1e+03ms per 1,000)"
    )


def test_time_that_does_not_follow_from_the_rows_fits_none() -> None:
    """A latency is the same for few rows and for many."""
    finding = fitted([(20, 150), (100, 149), (1500, 150), (1000, 152), (700, 149)])
    assert finding.outcome is Outcome.FAILS


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(20, 22), (1500, 1502)],
        [(20, 22), (20, 30), (1500, 1502), (1500, 1400)],
        [(20, 9), (100, 9), (1500, 9)],
        [("20", 22), ("100", 102), ("1500", 1502)],
        [(True, 22), (100, 102), (1500, 1502)],
    ],
    ids=["none", "two points", "two sizes", "one duration", "text", "no number"],
)
def test_without_three_sizes_nothing_is_known(
    points: Sequence[tuple[AttributeValue, float]],
) -> None:
    assert fitted(points).outcome is Outcome.UNKNOWN
