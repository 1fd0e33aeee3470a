"""What one trace says of each operation: its spans, and how long the request waited for them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from statistics import fmean

from lab.detective.hurt import middle
from lab.domain.critical_path import critical_path
from lab.domain.load import percentile
from lab.domain.reference import Operation
from lab.domain.trace import Kind, Span, Trace
from lab.frozen import dataclass


@dataclass(frozen=True)
class Profile:
    """One trace by operations. ``own_ms`` is what the end of the request waited for them alone.

    Summed over all operations it is the request's duration, so a change of it can be
    handed out without counting anything twice.
    """

    trace: Trace
    spans: Mapping[Operation, Sequence[Span]]
    own_ms: Mapping[Operation, float]

    @cached_property
    def failed_at(self) -> Mapping[Operation, Sequence[Span]]:
        """The error spans under which no other is one, by operation."""
        found: dict[Operation, list[Span]] = defaultdict(list)
        for span in self.trace.deepest_errors():
            found[operation_of(span)].append(span)
        return found


@lru_cache(maxsize=65_536)
def _operation(service: str, name: str, kind: Kind, peer: str | None) -> Operation:
    return Operation(service, name, kind, peer)


def operation_of(span: Span) -> Operation:
    """The operation ``span`` is one run of: one object for all runs, so that it is found fast."""
    return _operation(span.service, span.name, span.kind, span.peer)


def profile_of(given: Trace) -> Profile:
    """Walk the trace once. Where it has not one root, a span's own time is its self time."""
    trace = adopted(given) if given.missing_parents else given
    spans: dict[Operation, list[Span]] = defaultdict(list)
    operations: dict[str, Operation] = {}
    for span in trace:
        operation = operations[span.span_id] = operation_of(span)
        spans[operation].append(span)
    own_ms: dict[Operation, float] = defaultdict(float)
    stretches = critical_path(trace)
    for each in stretches:
        own_ms[operations[each.span_id]] += (each.end_ns - each.start_ns) / 1e6
    if not stretches:
        for span in trace:
            own_ms[operations[span.span_id]] += trace.self_time_ms(span)
    return Profile(trace, spans, own_ms)


def adopted(trace: Trace) -> Trace:
    """The same with spans whose parent never came below the call that was waiting for them.

    That is the shortest call which ran as long as they did and has no other half: what a
    service did that sends no spans was done for whoever called it.
    """
    orphans = {each.span_id for each in trace if each.parent_id in trace.missing_parents}
    hollow = sorted(
        (each for each in trace if each.kind is Kind.CLIENT and not trace.children(each)),
        key=lambda each: each.duration_ms,
    )

    def placed(span: Span) -> Span:
        if span.span_id not in orphans:
            return span
        above = next((c for c in hollow if c is not span and _holds(c, span)), None)
        return span if above is None else replace(span, parent_id=above.span_id)

    return Trace(trace.trace_id, tuple(map(placed, trace.spans)), trace.joined)


def _holds(call: Span, span: Span) -> bool:
    return call.start_ns <= span.start_ns and span.end_ns <= call.end_ns


@dataclass(frozen=True)
class Usual:
    """What traces of a calm time show, of one route or of all."""

    profiles: Sequence[Profile]

    @cached_property
    def own_ms(self) -> Mapping[Operation, float]:
        """The median over traces of what a request waited for an operation; none for most is 0."""
        values: dict[Operation, list[float]] = defaultdict(list)
        for each in self.profiles:
            for operation, own_ms in each.own_ms.items():
                values[operation].append(own_ms)
        count = len(self.profiles)
        return {
            operation: middle([*found, *[0.0] * (count - len(found))])
            for operation, found in values.items()
        }

    @cached_property
    def durations_ms(self) -> Mapping[Operation, Sequence[float]]:
        """How long each run of an operation took."""
        values: dict[Operation, list[float]] = defaultdict(list)
        for each in self.profiles:
            for operation, spans in each.spans.items():
                values[operation].extend(span.duration_ms for span in spans)
        return values

    @cached_property
    def self_ms(self) -> Mapping[Operation, float]:
        """The median self time of one run of each operation."""
        values: dict[Operation, list[float]] = defaultdict(list)
        for each in self.profiles:
            for operation, spans in each.spans.items():
                values[operation].extend(map(each.trace.self_time_ms, spans))
        return {operation: middle(found) for operation, found in values.items()}

    @cached_property
    def typical_ms(self) -> Mapping[Operation, float]:
        """The median run of each operation."""
        return {each: middle(found) for each, found in self.durations_ms.items()}

    @cached_property
    def long_ms(self) -> Mapping[Operation, float]:
        """The upper quartile's run of each operation."""
        return {each: percentile(found, 0.75) for each, found in self.durations_ms.items()}

    @cached_property
    def mean_ms(self) -> Mapping[Operation, float]:
        """The mean run of each operation."""
        return {each: fmean(found) for each, found in self.durations_ms.items()}

    @cached_property
    def failing(self) -> Mapping[Operation, int]:
        """In how many of the traces an operation is the deepest to fail."""
        return Counter(each for profile in self.profiles for each in profile.failed_at)

    @cached_property
    def present(self) -> Mapping[Operation, int]:
        """In how many of the traces an operation runs."""
        return Counter(each for profile in self.profiles for each in profile.spans)


def is_wait_for_slot(span: Span) -> bool:
    """Whether it says of itself that it waited for a slot of a pool."""
    return "pool.waiting" in span.attributes or "pool.size" in span.attributes


def hop_of(operation: Operation) -> tuple[str, str] | None:
    """Caller and callee, where it is a call to somebody who is named."""
    if operation.kind is not Kind.CLIENT or operation.peer is None:
        return None
    return operation.service, operation.peer


def is_timed_out(span: Span) -> bool:
    """Whether it gave up because its time was over."""
    return any("timeout" in each.rpartition(".")[2].lower() for each in span.exceptions)


def answer_to(trace: Trace, span: Span) -> Span | None:
    """The callee's half of a call; None where it is not there."""
    return next((each for each in trace.children(span) if each.kind is Kind.SERVER), None)
