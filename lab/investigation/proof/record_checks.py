"""The checks of a case on what was recorded beside spans. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from lab.domain.bound import Unit
from lab.domain.evidence import Evidence, Interval
from lab.domain.load import RequestFilter, Window
from lab.domain.proof import Finding, Outcome
from lab.domain.record import Record
from lab.domain.record_check import (
    LogCheck,
    RecordCheck,
    RecordCountCheck,
    RecordRatioCheck,
    RecordShareCheck,
    SpanRecordedCheck,
)
from lab.domain.reference import ReferenceStats
from lab.investigation.proof.share import Share


def record_finding(check: RecordCheck, evidence: Evidence, reference: ReferenceStats) -> Finding:
    """Count for one check of a case, and judge it; what was never looked for is unknown."""
    if isinstance(check, LogCheck):
        return _lines(check, evidence)
    if check.records not in evidence.records:
        expected = f"{check.bound} by {check.records}"
        return Finding(check.step, check.label, expected, "no records", Outcome.UNKNOWN)
    match check:
        case RecordShareCheck():
            return _share(check, evidence)
        case RecordCountCheck():
            return _count(check, evidence)
        case RecordRatioCheck():
            return _ratio(check, evidence)
        case SpanRecordedCheck():
            return _span_recorded(check, evidence, reference)


def _lines(check: LogCheck, evidence: Evidence) -> Finding:
    """Of a case without one log line nothing is known: its source may not have been there."""
    lines = check.lines(evidence)
    expected = f"{check.bound} lines"
    if check.sample is None:
        found: float | None = len(lines)
        measured = f"{len(lines)} (of {len(evidence.log_lines)} lines of the case)"
    else:
        with_one = {line.trace_id for line in lines}
        share = Share.count(
            evidence.whole_traces(check.sample),
            lambda trace: trace.trace_id in with_one,
            f"{check.sample} traces",
        )
        of_traces = check.bound.unit is Unit.SHARE
        found = share.value if of_traces else len(lines)
        expected = f"{check.bound} {share.of} with a line" if of_traces else expected
        measured = (
            str(share) if of_traces else f"{len(lines)} ({share.hits} of {share.total} {share.of})"
        )
    outcome = check.bound.holds(found) if evidence.log_lines else Outcome.UNKNOWN
    return Finding(check.step, check.label, expected, measured, outcome)


def _share(check: RecordShareCheck, evidence: Evidence) -> Finding:
    counts = evidence.counts[check.records]
    requests = [
        request
        for request in evidence.requests_in(check.window, check.of)
        if check.answered.covers(request)
    ]
    share = Share.count(
        requests,
        lambda request: check.each.holds(counts.get(request.trace_id, 0)) is Outcome.HOLDS,
        f"{check.window} requests",
    )
    expected = f"{check.bound} with {check.each} {check.records}"
    return Finding(check.step, check.label, expected, str(share), check.bound.holds(share.value))


def _count(check: RecordCountCheck, evidence: Evidence) -> Finding:
    count = len(evidence.records[check.records])
    expected = f"{check.bound} {check.records}"
    return Finding(check.step, check.label, expected, str(count), check.bound.holds(count))


def _ratio(check: RecordRatioCheck, evidence: Evidence) -> Finding:
    amount = _amount(evidence, check.records, check.window, check.of)
    base: float | None = len(evidence.requests_in(check.window, check.of))
    if check.to is not None:
        base = _amount(evidence, check.to, check.window, check.of)
    to = check.to or str(check.of)
    expected = f"{check.bound} {check.records} to one of {to}"
    if amount is None or not base:
        return Finding(check.step, check.label, expected, "nothing to count", Outcome.UNKNOWN)
    measured = f"{amount / base:.2f} ({amount:g} to {base:g})"
    return Finding(check.step, check.label, expected, measured, check.bound.holds(amount / base))


def _amount(evidence: Evidence, name: str, window: Window, of: RequestFilter) -> float | None:
    """By how much a counter grew in a window, or how many records its requests have."""
    found = evidence.records.get(name, ())
    if any(each.value is not None for each in found):
        interval = evidence.windows.get(window)
        return None if interval is None else growth(found, interval)
    counts = evidence.counts.get(name, {})
    return sum(counts.get(request.trace_id, 0) for request in evidence.requests_in(window, of))


def growth(points: Sequence[Record], interval: Interval) -> float | None:
    """How much a counter grew over ``interval``; None where it began anew meanwhile.

    Counted from the last point before its start to the first after its end, where nothing
    is counted any more because the load pauses. A counter that began in between began at 0.
    """
    timed = [each for each in points if each.time_unix_s is not None and each.value is not None]
    before = [each for each in timed if (each.time_unix_s or 0.0) <= interval.start_s]
    after = [each for each in timed if (each.time_unix_s or 0.0) >= interval.end_s]
    if not after:
        return None
    last, first = after[0], before[-1] if before else None
    if first is None:
        began_s = last.since_unix_s
        is_new = began_s is not None and began_s in interval
        return last.value if is_new else None
    if first.since_unix_s != last.since_unix_s:
        return None
    return (last.value or 0.0) - (first.value or 0.0)


def _span_recorded(
    check: SpanRecordedCheck, evidence: Evidence, reference: ReferenceStats
) -> Finding:
    known = {each.attributes.get(check.entry) for each in evidence.records[check.records]}
    share = Share.count(
        evidence.whole_traces(check.sample),
        lambda trace: any(
            span.attributes.get(check.attribute) in known - {None}
            for span in check.predicate.matching(trace, reference)
        ),
        f"{check.sample} traces",
    )
    expected = f"{check.bound} with {check.attribute} as {check.entry} of {check.records}"
    return Finding(check.step, check.label, expected, str(share), check.bound.holds(share.value))
