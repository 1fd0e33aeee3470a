"""Spans in groups by an attribute: who is hit, and whether that explains who suffers."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.domain.bound import parse
from lab.domain.evidence import Evidence, Sample
from lab.domain.load import RequestFilter, Window
from lab.domain.predicate import Predicate
from lab.domain.proof import Outcome
from lab.domain.scenario import Check, OccupancyCheck, SpanGroupsCheck
from lab.domain.trace import Trace
from lab.investigation.proof.measure import check_finding
from tests.support.evidence import SLOW_SHELVES, Run
from tests.support.traces import client, trace

SELECT, LATE = Predicate(name="SELECT"), Predicate(duration=parse(">= 550ms"))
GROUPS = SpanGroupsCheck("l", SELECT, "db.connection.id", LATE, parse("2..5"), parse(">= 98%"))
OCCUPANCY = OccupancyCheck(
    "l",
    SELECT,
    "db.connection.id",
    LATE,
    RequestFilter("GET /products"),
    slower_than_ms=500,
    held_s=1.2,
    bound=parse("70%..130%"),
)


def searched(trace_id: str, connection: int, took: float) -> Trace:
    """One statement through one connection."""
    number = {"db.connection.id": connection}
    return trace(trace_id, client("catalog", "SELECT", 0, took, "catalog_db", attributes=number))


def crime(sick: range, healthy: range, each: int = 10, *, mixed: int = 0) -> Evidence:
    """So many requests through each connection; ``mixed`` more come fast through a sick one."""
    run = Run(SLOW_SHELVES)
    for number in sick:
        run.add(Sample.AFFECTED, each, lambda key, n=number: searched(key, n, 600), latency_ms=1210)  # type: ignore[misc]
    for number in healthy:
        run.add(Sample.UNAFFECTED, each, lambda key, n=number: searched(key, n, 1))  # type: ignore[misc]
    run.add(Sample.UNAFFECTED, mixed, lambda key: searched(key, sick[0], 1))
    return run.evidence()


def outcome(check: Check, evidence: Evidence) -> Outcome:
    return check_finding(check, evidence, evidence.reference_stats).outcome


def test_connections_that_are_always_slow_or_always_fast_are_sick_or_healthy() -> None:
    seen = crime(range(3), range(3, 10))
    finding = check_finding(GROUPS, seen, seen.reference_stats)
    assert finding.outcome is Outcome.HOLDS
    assert (
        finding.measured == "3 of 10 values; 100.0% of their spans hit, 100.0% of the others' not"
    )


@pytest.mark.parametrize(
    "seen",
    [
        crime(range(1), range(1, 10)),
        crime(range(6), range(6, 10)),
        crime(range(3), range(3, 10), mixed=4),
    ],
    ids=["too few", "too many", "fast through a sick one"],
)  # fmt: skip
def test_another_number_of_sick_ones_or_a_mixture_is_refused(seen: Evidence) -> None:
    assert outcome(GROUPS, seen) is Outcome.FAILS


@pytest.mark.parametrize(
    "seen",
    [crime(range(0), range(0)), crime(range(3), range(0)), crime(range(0), range(3))],
    ids=["no spans", "all sick", "all healthy"],
)
def test_where_there_is_nothing_to_compare_nothing_is_known(seen: Evidence) -> None:
    assert outcome(GROUPS, seen) is Outcome.UNKNOWN


def test_as_many_suffer_as_the_sick_ones_can_serve() -> None:
    """3 ÷ (1.2 s × 12/s) of the requests of twelve seconds, 30 of 144."""
    seen = crime(range(3), range(3, 9), each=10)
    window = seen.windows[Window.CRIME]
    assert window.length_s == 12
    seen = replace(
        seen, requests=(*seen.requests, *Run(SLOW_SHELVES).add(Sample.UNAFFECTED, 54).requests)
    )
    finding = check_finding(OCCUPANCY, seen, seen.reference_stats)
    assert finding.outcome is Outcome.HOLDS
    assert finding.measured == ("100%: 20.8% of 144 requests against 3 ÷ (1.2 s × 12.0/s) = 20.8%")


def test_more_or_fewer_than_they_can_serve_are_refused() -> None:
    """Ten of a hundred suffered; one sick connection explains eight, and ten sick ones all."""
    assert outcome(OCCUPANCY, crime(range(1), range(1, 2), each=100)) is Outcome.FAILS
    assert outcome(OCCUPANCY, crime(range(10), range(10, 19), each=1)) is Outcome.FAILS


def test_without_a_sick_one_nothing_is_explained() -> None:
    assert outcome(OCCUPANCY, crime(range(0), range(3))) is Outcome.UNKNOWN
