"""What a claim may be measured by: each statistic holds where it is so, and rejects elsewhere."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from lab.domain.bound import parse
from lab.domain.evidence import Evidence, Sample
from lab.domain.load import RequestFilter, Window
from lab.domain.predicate import Predicate
from lab.domain.proof import Finding, Outcome
from lab.domain.record_check import SpanShareCheck, SpanTimingCheck, SpanValuesCheck, Timing
from lab.domain.reference import ReferenceStats
from lab.domain.scenario import (
    RequestCheck,
    RequestStatistic,
    SpanDurationCheck,
    SpanStatistic,
    SpanTime,
)
from lab.domain.trace import Kind, Span, Trace
from lab.investigation.proof.measure import check_finding
from tests.support.traces import WINDOWS, evidence, request

START_MS = WINDOWS[Window.CRIME].start_s * 1000
NUMBERS = count(1)


def span(
    trace_id: str, start_ms: float, length_ms: float, parent: Span | None = None, **more: Any
) -> Span:
    """A span that starts so long after the window began."""
    start_ns = round((START_MS + start_ms) * 1e6)
    return Span(
        trace_id,
        f"{next(NUMBERS):016x}",
        parent.span_id if parent else None,
        more.pop("name", "work"),
        more.pop("kind", Kind.INTERNAL),
        "shop",
        start_ns,
        start_ns + round(length_ms * 1e6),
        **more,
    )


def story(*spans: tuple[Span, ...]) -> Evidence:
    """Affected traces of these spans, each with its request."""
    traces = [Trace(each[0].trace_id, each) for each in spans]
    requests = [request(each.trace_id, Window.CRIME) for each in traces]
    return evidence(requests, {Sample.AFFECTED: traces})


def judged(check: Any, found: Evidence) -> Finding:
    return check_finding(check, found, ReferenceStats())


# --- requests ---

ANSWERED = replace(
    evidence([], {}),
    requests=tuple(
        replace(
            request(f"{n:032x}", Window.CRIME, latency_ms=latency_ms), answer_bytes=answer_bytes
        )
        for n, (latency_ms, answer_bytes) in enumerate([(10, 0), (20, 21), (30, 500), (340, 9000)])
    ),
)


def asked(statistic: RequestStatistic, bound: str) -> RequestCheck:
    return RequestCheck(
        "r", RequestFilter(), statistic, parse(bound), slower_than_ms=30, fewer_bytes=100
    )


@pytest.mark.parametrize(
    ("statistic", "holds", "fails", "measured"),
    [
        (RequestStatistic.SLOW_RATE, "== 25%", ">= 26%", "25.0%"),
        (RequestStatistic.EMPTY_RATE, "== 50%", "<= 49%", "50.0%"),
        (RequestStatistic.MIN, ">= 10ms", "> 10ms", "10.0ms"),
        (RequestStatistic.MEAN, "== 100ms", "<= 99ms", "100.0ms"),
        (RequestStatistic.COUNT, "== 4", ">= 5", "4"),
    ],
)
def test_a_statistic_of_requests(
    statistic: RequestStatistic, holds: str, fails: str, measured: str
) -> None:
    """It holds and fails by what was measured; of no requests nothing is known but their number."""
    assert judged(asked(statistic, holds), ANSWERED).outcome is Outcome.HOLDS
    found = judged(asked(statistic, fails), ANSWERED)
    assert (found.outcome, found.measured) == (Outcome.FAILS, measured)
    nothing = judged(asked(statistic, holds), replace(ANSWERED, requests=()))
    counts = statistic is RequestStatistic.COUNT
    assert nothing.outcome is (Outcome.FAILS if counts else Outcome.UNKNOWN)


# --- one span ---


def called(wire_ms: float) -> tuple[Span, ...]:
    """A call of 100 ms and its answer, so much less, which works half of that itself."""
    call = span("1" * 32, 0, 100, kind=Kind.CLIENT, name="call")
    answer = span("1" * 32, wire_ms / 2, 100 - wire_ms, call, kind=Kind.SERVER, name="answer")
    inside = span("1" * 32, wire_ms / 2, (100 - wire_ms) / 2, answer)
    return call, answer, inside


@pytest.mark.parametrize(
    ("time", "name", "measured"),
    [
        (SpanTime.DURATION, "answer", "60.0ms"),
        (SpanTime.SELF_TIME, "answer", "30.0ms"),
        (SpanTime.WIRE_TIME, "call", "40.0ms"),
        (SpanTime.WIRE_TIME, "answer", "nothing to measure"),
    ],
)
def test_which_time_of_a_span_is_meant(time: SpanTime, name: str, measured: str) -> None:
    """Its own or all of it; only a call with an answer has time on the wire."""
    check = SpanDurationCheck(
        "s", Predicate(name=name), SpanStatistic.P50, parse("<= 20ms"), time=time
    )
    found = judged(check, story(called(40)))
    assert found.measured == measured
    assert found.outcome is (Outcome.UNKNOWN if "nothing" in measured else Outcome.FAILS)


# --- many spans ---


def at(*starts_ms: float) -> Evidence:
    return story(*((span(f"{n:032x}", start, 5),) for n, start in enumerate(starts_ms, start=1)))


@pytest.mark.parametrize(
    ("timing", "bound", "outcome"),
    [
        (Timing.FIRST, "200ms..300ms", Outcome.HOLDS),
        (Timing.FIRST, "== 0ms", Outcome.FAILS),
        (Timing.LAST, "8s ±50ms", Outcome.HOLDS),
        (Timing.LAST, "<= 7s", Outcome.FAILS),
        (Timing.PERIOD, "4s ±5%", Outcome.HOLDS),
        (Timing.PERIOD, "2s ±5%", Outcome.FAILS),
    ],
)
def test_when_spans_start(timing: Timing, bound: str, outcome: Outcome) -> None:
    """From the window's start, and from bunch to bunch; those close together are one bunch."""
    found = at(250, 260, 900, 4000, 4100, 8000, 8050)
    check = SpanTimingCheck("t", Predicate(name="work"), timing, parse(bound))
    assert judged(check, found).outcome is outcome


def test_two_bunches_have_no_period_and_no_span_no_time() -> None:
    """There is nothing to hold against a bound."""
    period = SpanTimingCheck("t", Predicate(name="work"), Timing.PERIOD, parse("== 4s"))
    first = SpanTimingCheck("t", Predicate(name="else"), Timing.FIRST, parse(">= 0ms"))
    assert judged(period, at(0, 4000)).outcome is Outcome.UNKNOWN
    assert judged(first, at(0, 4000)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("bound", "name", "outcome"),
    [
        ("== 2", "work", Outcome.HOLDS),
        ("== 3", "work", Outcome.FAILS),
        ("== 0", "else", Outcome.UNKNOWN),
    ],
)
def test_how_many_values_an_attribute_has(bound: str, name: str, outcome: Outcome) -> None:
    """A span without it counts as none."""
    values: list[dict[str, Any]] = [{"k": "a"}, {"k": "b"}, {"k": "a"}, {}]
    found = story(*((span(f"{n:032x}", 0, 5, attributes=each),) for n, each in enumerate(values)))
    check = SpanValuesCheck("v", Predicate(name=name), "k", parse(bound))
    assert judged(check, found).outcome is outcome


@pytest.mark.parametrize(
    ("bound", "outcome"), [("60% ±1%", Outcome.HOLDS), (">= 61%", Outcome.FAILS)]
)
def test_what_share_of_the_root_spans_take(bound: str, outcome: Outcome) -> None:
    """Added up in each trace, and the median of all traces."""

    def trace(n: int, *lengths_ms: float) -> tuple[Span, ...]:
        root = span(f"{n:032x}", 0, 100, name="root")
        return root, *(span(root.trace_id, 0, each, root) for each in lengths_ms)

    check = SpanShareCheck("s", Predicate(name="work"), parse(bound))
    finding = judged(check, story(trace(1, 20, 40), trace(2, 60), trace(3, 5)))
    assert finding.outcome is outcome
    assert finding.measured == "60.0% (5.0% to 60.0% in 3 affected traces)"
    assert judged(check, story()).outcome is Outcome.UNKNOWN
