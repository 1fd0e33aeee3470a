"""Numbers out of evidence: shares of requests and traces, and the checks of a case. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import correlation, linear_regression
from typing import Final

from lab.domain.bound import Unit, parse
from lab.domain.evidence import Evidence, Sample
from lab.domain.load import Request, Window, percentile
from lab.domain.predicate import Predicate
from lab.domain.proof import Finding, Outcome
from lab.domain.reference import ReferenceStats
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
)
from lab.domain.trace import Span
from lab.investigation.proof.grouping import groups_finding, occupancy_finding
from lab.investigation.proof.record_checks import record_finding
from lab.investigation.proof.share import Share

_EVERY: Final = parse("== 100%")
_FEWEST_SIZES: Final = 3
"""Through two points there is always a line."""

_QUANTILES: Final = {"p50": 0.50, "p95": 0.95}


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
            unit = Unit.DURATION if check.statistic in _QUANTILES else Unit.SHARE
            return _finding(check, unit, *_request_statistics(check, evidence))
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
        case RequestCheck() if check.statistic in _QUANTILES:
            return _request_statistics(check, evidence)
        case _:
            return None


def _span_statistics(
    check: SpanDurationCheck, evidence: Evidence, reference: ReferenceStats
) -> tuple[float | None, float | None]:
    def statistic(sample: Sample) -> float | None:
        spans = _matching(check.predicate, evidence, sample, reference)
        return _quantile([span.duration_ms for span in spans], check.statistic)

    usual = statistic(Sample.REFERENCE) if check.bound.needs_reference else None
    return statistic(check.sample), usual


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
        return _request_statistic(check.statistic, evidence.requests_in(window, check.of))

    usual = statistic(Window.REFERENCE) if check.bound.needs_reference else None
    return statistic(check.window), usual


def _request_statistic(statistic: RequestStatistic, requests: Sequence[Request]) -> float | None:
    if statistic in _QUANTILES:
        return _quantile([request.latency_ms for request in requests], statistic)
    hits = {
        RequestStatistic.ERROR_RATE: lambda request: request.is_server_error,
        RequestStatistic.REJECTION_RATE: lambda request: request.is_rejected,
        RequestStatistic.SUCCESS_RATE: lambda request: 200 <= request.status < 400,
    }
    return Share.count(requests, hits[statistic], "requests").value


def _quantile(values: Sequence[float], statistic: SpanStatistic | RequestStatistic) -> float | None:
    return percentile(values, _QUANTILES[statistic]) if values else None


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
    return f"{value:.1f}ms" if unit is Unit.DURATION else f"{value:.1%}"
