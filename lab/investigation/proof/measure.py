"""Numbers out of evidence: shares of requests and traces, and the checks of a case. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from statistics import correlation, fmean, linear_regression, median
from typing import Final

from lab.domain.bound import Unit, parse
from lab.domain.evidence import Evidence, Sample
from lab.domain.load import Request, Window, percentile
from lab.domain.predicate import Predicate
from lab.domain.proof import Finding, Outcome
from lab.domain.record_check import (
    SpanCheck,
    SpanShareCheck,
    SpanTimingCheck,
    SpanValuesCheck,
    Timing,
)
from lab.domain.reference import ReferenceStats
from lab.domain.rows import wire_of
from lab.domain.scenario import (
    Check,
    OccupancyCheck,
    RequestCheck,
    RequestStatistic,
    SpanCountCheck,
    SpanDurationCheck,
    SpanFitCheck,
    SpanGroupsCheck,
    SpanSeenCheck,
    SpanStatistic,
    SpanTime,
)
from lab.domain.trace import Span, Trace
from lab.investigation.proof.grouping import groups_finding, occupancy_finding
from lab.investigation.proof.record_checks import record_finding
from lab.investigation.proof.share import Share

_EVERY: Final = parse("== 100%")
_FEWEST_SIZES: Final = 3
"""Through two points there is always a line."""

_FEWEST_BUNCHES: Final = 3
"""Between two there is one distance, which is no period."""

_OF_TIMES: Final[Mapping[str, Callable[[Sequence[float]], float]]] = {
    "min": min,
    "mean": fmean,
    "p50": lambda values: percentile(values, 0.50),
    "p95": lambda values: percentile(values, 0.95),
}


def check_finding(check: Check, evidence: Evidence, reference: ReferenceStats) -> Finding:
    """Measure one check of a case and judge it."""
    match check:
        case SpanCountCheck():
            return _count_finding(check, evidence, reference)
        case SpanSeenCheck():
            return _seen_finding(check, evidence, reference)
        case SpanDurationCheck():
            return _finding(check, Unit.DURATION, *_span_statistics(check, evidence, reference))
        case SpanFitCheck():
            return _fit_finding(check, evidence, reference)
        case SpanGroupsCheck():
            return groups_finding(check, evidence, reference)
        case OccupancyCheck():
            return occupancy_finding(check, evidence, reference)
        case RequestCheck():
            return _finding(check, check.statistic.unit, *_request_statistics(check, evidence))
        case SpanTimingCheck() | SpanValuesCheck() | SpanShareCheck():
            return _together_finding(check, evidence, reference)
        case _:
            return record_finding(check, evidence, reference)


def _count_finding(check: SpanCountCheck, evidence: Evidence, reference: ReferenceStats) -> Finding:
    traces = evidence.whole_traces(check.sample)
    counts = [len(check.predicate.matching(trace, reference)) for trace in traces]
    obedient = Share.count(
        counts,
        lambda count: check.bound.holds(count) is Outcome.HOLDS,
        f"{check.sample} traces",
    )
    measured = str(obedient) + (f"; {min(counts)} to {max(counts)} spans" if counts else "")
    expected = f"{check.bound} spans in every trace"
    return Finding(check.step, check.label, expected, measured, _EVERY.holds(obedient.value))


def _seen_finding(check: SpanSeenCheck, evidence: Evidence, reference: ReferenceStats) -> Finding:
    seen = Share.count(
        evidence.whole_traces(check.sample),
        lambda trace: bool(check.predicate.matching(trace, reference)),
        f"{check.sample} traces",
    )
    found = seen.value if check.bound.unit is Unit.SHARE else seen.hits
    outcome = check.bound.holds(found) if seen.total else Outcome.UNKNOWN
    return Finding(check.step, check.label, f"{check.bound} {seen.of}", str(seen), outcome)


def measured_duration(
    check: Check, evidence: Evidence, reference: ReferenceStats
) -> tuple[float | None, float | None] | None:
    """What ``check`` measures and the same on a healthy day, in ms; None where it is no time."""
    match check:
        case SpanDurationCheck():
            return _span_statistics(check, evidence, reference)
        case RequestCheck() if check.statistic.unit is Unit.DURATION:
            return _request_statistics(check, evidence)
        case _:
            return None


def _span_statistics(
    check: SpanDurationCheck, evidence: Evidence, reference: ReferenceStats
) -> tuple[float | None, float | None]:
    def statistic(sample: Sample) -> float | None:
        times_ms = [
            _time_ms(check.time, span, trace)
            for whole in evidence.whole_traces(sample)
            for trace in whole.story
            for span in trace
            if check.predicate.matches(span, trace, reference)
        ]
        return _boiled([each for each in times_ms if each is not None], check.statistic)

    usual = statistic(Sample.REFERENCE) if check.bound.needs_reference else None
    return statistic(check.sample), usual


def _time_ms(time: SpanTime, span: Span, trace: Trace) -> float | None:
    match time:
        case SpanTime.DURATION:
            return span.duration_ms
        case SpanTime.SELF_TIME:
            return trace.self_time_ms(span)
        case SpanTime.WIRE_TIME:
            wire = wire_of(trace, span)
            return None if wire is None else wire.length_ms


def _matching(
    predicate: Predicate, evidence: Evidence, sample: Sample, reference: ReferenceStats
) -> list[Span]:
    return [
        span
        for trace in evidence.whole_traces(sample)
        for span in predicate.matching(trace, reference)
    ]


def _fit_finding(check: SpanFitCheck, evidence: Evidence, reference: ReferenceStats) -> Finding:
    numbers: list[float] = []
    durations_ms: list[float] = []
    for span in _matching(check.predicate, evidence, check.sample, reference):
        number = span.attributes.get(check.against)
        if isinstance(number, int | float) and not isinstance(number, bool):
            numbers.append(number)
            durations_ms.append(span.duration_ms)
    expected = f"r² {check.bound} of duration against {check.against}"
    sizes = len(set(numbers))
    if sizes < _FEWEST_SIZES or len(set(durations_ms)) == 1:
        measured = f"{sizes} different values in {len(numbers)} spans: no line to fit"
        return Finding(check.step, check.label, expected, measured, Outcome.UNKNOWN)
    line = linear_regression(numbers, durations_ms)
    fit = correlation(numbers, durations_ms) ** 2
    measured = (
        f"{fit:.3f} over {sizes} different values in {len(numbers)} spans "
        f"({line.intercept:.1f}ms + {line.slope * 1000:.3g}ms per 1,000)"
    )
    return Finding(check.step, check.label, expected, measured, check.bound.holds(fit))


def _request_statistics(
    check: RequestCheck, evidence: Evidence
) -> tuple[float | None, float | None]:
    def statistic(window: Window) -> float | None:
        return _request_statistic(check, evidence.requests_in(window, check.of))

    usual = statistic(Window.REFERENCE) if check.bound.needs_reference else None
    return statistic(check.window), usual


def _request_statistic(check: RequestCheck, requests: Sequence[Request]) -> float | None:
    match check.statistic.unit:
        case Unit.NUMBER:
            return len(requests)
        case Unit.DURATION:
            return _boiled([request.latency_ms for request in requests], check.statistic)
    hits: dict[RequestStatistic, Callable[[Request], bool]] = {
        RequestStatistic.ERROR_RATE: lambda request: request.is_server_error,
        RequestStatistic.REJECTION_RATE: lambda request: request.is_rejected,
        RequestStatistic.SUCCESS_RATE: lambda request: 200 <= request.status < 400,
        RequestStatistic.SLOW_RATE: lambda request: request.latency_ms > check.slower_than_ms,
        RequestStatistic.EMPTY_RATE: lambda request: request.answer_bytes < check.fewer_bytes,
    }
    return Share.count(requests, hits[check.statistic], "requests").value


def _boiled(values: Sequence[float], statistic: SpanStatistic | RequestStatistic) -> float | None:
    return _OF_TIMES[statistic](values) if values else None


def _together_finding(check: SpanCheck, evidence: Evidence, reference: ReferenceStats) -> Finding:
    match check:
        case SpanTimingCheck():
            return _timing_finding(check, evidence, reference)
        case SpanValuesCheck():
            return _values_finding(check, evidence, reference)
        case SpanShareCheck():
            return _share_finding(check, evidence, reference)


def _timing_finding(
    check: SpanTimingCheck, evidence: Evidence, reference: ReferenceStats
) -> Finding:
    spans = _matching(check.predicate, evidence, check.sample, reference)
    starts_ms = sorted(
        span.start_ns / 1e6 for span in {each.span_id: each for each in spans}.values()
    )
    window = evidence.windows.get(check.window)
    expected = f"{check.timing} {check.bound}"
    value, told = None, "nothing to measure"
    if check.timing is Timing.PERIOD:
        bunches = [
            start
            for before, start in pairwise((-math.inf, *starts_ms))
            if start - before >= check.apart_ms
        ]
        if len(bunches) >= _FEWEST_BUNCHES:
            value = median(after - before for before, after in pairwise(bunches))
            told = f"{value:.1f}ms (median of {len(bunches)} bunches)"
    elif starts_ms and window is not None:
        start_ms = starts_ms[0 if check.timing is Timing.FIRST else -1]
        value = start_ms - window.start_s * 1000
        told = f"{value:.1f}ms (of {len(starts_ms)} spans)"
    return Finding(check.step, check.label, expected, told, check.bound.holds(value))


def _values_finding(
    check: SpanValuesCheck, evidence: Evidence, reference: ReferenceStats
) -> Finding:
    spans = _matching(check.predicate, evidence, check.sample, reference)
    values = {span.attributes.get(check.attribute) for span in spans} - {None}
    expected = f"{check.bound} different values of {check.attribute}"
    measured = f"{len(values)} (in {len(spans)} spans)"
    outcome = check.bound.holds(len(values)) if spans else Outcome.UNKNOWN
    return Finding(check.step, check.label, expected, measured, outcome)


def _share_finding(check: SpanShareCheck, evidence: Evidence, reference: ReferenceStats) -> Finding:
    shares = [
        sum(span.duration_ms for span in check.predicate.matching(trace, reference)) / root_ms
        for trace in evidence.whole_traces(check.sample)
        if (root_ms := trace.roots[0].duration_ms)
    ]
    expected = f"{check.bound} of the root's duration, at the median"
    value = median(shares) if shares else None
    measured = _shown(value, Unit.SHARE)
    if shares:
        measured += (
            f" ({min(shares):.1%} to {max(shares):.1%} in {len(shares)} {check.sample} traces)"
        )
    return Finding(check.step, check.label, expected, measured, check.bound.holds(value))


def _finding(
    check: SpanDurationCheck | RequestCheck, unit: Unit, value: float | None, usual: float | None
) -> Finding:
    expected = f"{check.statistic} {check.bound}"
    if check.bound.needs_reference:
        expected += f" (reference {_shown(usual, unit)})"
    outcome = check.bound.holds(value, usual)
    return Finding(check.step, check.label, expected, _shown(value, unit), outcome)


def _shown(value: float | None, unit: Unit) -> str:
    if value is None:
        return "nothing to measure"
    match unit:
        case Unit.DURATION:
            return f"{value:.1f}ms"
        case Unit.SHARE:
            return f"{value:.1%}"
        case Unit.NUMBER:
            return f"{value:.0f}"
