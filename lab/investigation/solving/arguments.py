"""What the evidence says for and against an accused span, in sentences about it alone. Pure.

They speak of the span and of how it was before, and of no other span by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from statistics import median
from typing import Final

from lab.domain.evidence import Evidence, Sample
from lab.domain.load import Window
from lab.domain.mechanism import Mechanism
from lab.domain.predicate import Predicate
from lab.domain.reference import Operation, OperationStats, ReferenceStats
from lab.domain.rows import OUTLIVES_MS, wire_of
from lab.domain.trace import Kind, Span, Status, Trace
from lab.domain.wording import counted, duration, times_usual
from lab.frozen import dataclass

_HALF: Final = 0.5
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Accused:
    """A span with all that is known of it; ``usual`` is its operation before the incident."""

    span: Span
    trace: Trace
    evidence: Evidence

    @property
    def name(self) -> str:
        """Service and name: ``auth SELECT``."""
        return f"{self.span.service} {self.span.name}"

    @property
    def usual(self) -> OperationStats | None:
        """What its operation took; None where the reference has none."""
        return self.evidence.reference_stats.for_span(self.span)

    @property
    def took(self) -> str:
        """Its duration beside the usual one, as `lab trace` has them."""
        return f"took {duration(self.span.duration_ms)}{_beside_usual(self)}"

    def attribute(self, key: str) -> str | None:
        """An attribute's value, for people; None where it has none."""
        value = self.span.attributes.get(key)
        return None if value is None else str(value)

    @property
    def error(self) -> str:
        """What it failed with, by the last part of the exception's type."""
        return self.span.exceptions[0].rpartition(".")[2] if self.span.exceptions else "an error"


def argument(mechanism: Mechanism, accused: Accused) -> str:
    """The numbers that speak for ``mechanism``: of nobody but the accused span."""
    return f"{accused.name} {_ARGUMENTS[mechanism](accused)}."


def numbers(accused: Accused) -> str:
    """The span's own numbers, which speak for nothing yet."""
    own = duration(accused.trace.self_time_ms(accused.span))
    return f"{accused.name} {accused.took}, {own} of it itself, status {accused.span.status}."


def _beside_usual(accused: Accused) -> str:
    usual = accused.usual
    if usual is None:
        is_new = accused.evidence.reference_stats.is_new(accused.span, accused.trace)
        return ", and is new" if is_new else ""
    times = usual.times(accused.span.duration_ms)
    shown = "" if times is None else f", {times_usual(times)}"
    return f" (usually {duration(usual.p50_ms)}{shown})"


def _broken_propagation(accused: Accused) -> str:
    span = accused.span
    if span.kind is Kind.CLIENT:
        return (
            f"had its answer after {duration(span.duration_ms)}, and no span hangs below it; "
            "somebody's work for it stands in a trace of its own"
        )
    return "was called by somebody, and names no parent; it begins a trace of its own"


def _sampling_loss(accused: Accused) -> str:
    had, calls = _answered_before(accused)
    return (
        f"had its answer, status {accused.attribute('http.response.status_code') or 'ok'}, and no "
        f"other half in any trace; before, {had} of {calls} such calls had one"
    )


def _retry_amplification(accused: Accused) -> str:
    times = accused.trace.repeats(accused.span)
    again = accused.attribute("http.request.resend_count")
    which = f"; this one is repeat {again}" if again else "; this one is the first"
    return f"is one of {times} calls to one place, one after another{_before(accused)}{which}"


def _cache_stampede(accused: Accused) -> str:
    together = _at_once(accused)
    key = accused.attribute("cache.key") or "one key"
    return (
        f"missed {key} at the same moment as {counted(together - 1, 'other')}, and {accused.took}"
    )


def _n_plus_one(accused: Accused) -> str:
    span, trace = accused.span, accused.trace
    inside = [each for each in trace.children(span) if trace.repeats(each) > 1]
    call = inside[0] if inside else span
    usual = accused.evidence.reference_stats.for_span(call)
    parent = trace.parent(call)
    alike = [
        each.duration_ms
        for each in (trace.children(parent) if parent else (call,))
        if Operation.of(each) == Operation.of(call)
    ]
    each = f"each of about {duration(median(alike))}"
    each += f" (usually {duration(usual.p50_ms)})" if usual else ""
    verb = "makes" if inside else "is one of"
    before = _before(Accused(call, trace, accused.evidence))
    return f"{verb} {trace.repeats(call)} calls one after another{before}, {each}"


def _timeout_inversion(accused: Accused) -> str:
    late = max((each.end_ns for each in accused.trace.children(accused.span)), default=0)
    after = duration((late - accused.span.end_ns) / 1e6)
    gave_up = duration(accused.span.duration_ms)
    return f"gave up after {gave_up}; what it had asked for ended {after} later"


def _queue_lag(accused: Accused) -> str:
    key = "messaging.message.age_ms"
    age = accused.span.attributes.get(key)
    old = duration(float(age)) if isinstance(age, int | float) else "of unknown age"
    usual = _usual_number(accused, key)
    before = "" if usual is None else f" (usually {duration(usual)})"
    quick = duration(accused.span.duration_ms)
    return f"took up a message that was {old} old{before}, and had done with it in {quick}"


def _pool_exhaustion(accused: Accused) -> str:
    size, line = accused.attribute("pool.size"), accused.attribute("pool.waiting")
    return (
        f"waited {duration(accused.span.duration_ms)} for one of {size or 'a few'} connections, "
        f"with {line or 'some'} in line"
    )


def _connection_churn(accused: Accused) -> str:
    same = Predicate(service=accused.span.service, name=accused.span.name, peer=accused.span.peer)
    opened = len(same.matching(accused.trace, ReferenceStats()))
    return (
        f"opened a connection in {duration(accused.span.duration_ms)}, {counted(opened, 'time')} "
        "in this trace; nobody stood in line for one"
    )


def _stale_connection(accused: Accused) -> str:
    return (
        f"spoke into a connection that was used before (`http.connection.reused` is "
        f"{accused.attribute('http.connection.reused')}), and ended in {accused.error} after "
        f"{duration(accused.span.duration_ms)}"
    )


def _connection_refused(accused: Accused) -> str:
    return f"ended in {accused.error} after {duration(accused.span.duration_ms)}"


def _connection_reset(accused: Accused) -> str:
    after = duration(accused.span.duration_ms)
    return f"ended in {accused.error} after {after}, with no status to its name"


def _truncated_response(accused: Accused) -> str:
    codes = [
        each.attributes["http.response.status_code"]
        for each in (accused.span, *accused.trace.children(accused.span))
        if "http.response.status_code" in each.attributes
    ]
    answered = f"although the call had been answered with {codes[0]}" if codes else "in the body"
    return f"ended in {accused.error}, {answered}"


def _lock_contention(accused: Accused) -> str:
    waiting = len(accused.evidence.joined_to(accused.trace.trace_id))
    root = accused.trace.roots[0] if accused.trace.roots else accused.span
    return (
        f"belongs to a transaction of {duration(root.duration_ms)}; {counted(waiting, 'request')} "
        "that wanted the same row ended with it"
    )


def _bandwidth(accused: Accused) -> str:
    for key, unit in (("db.response.returned_rows", "rows"), ("http.response.body.size", "bytes")):
        if (carried := accused.attribute(key)) is not None:
            return f"{accused.took}, for {carried} {unit}"
    return f"{accused.took}: it ends with the headers of an answer{_body_behind(accused)}"


def _body_behind(accused: Accused) -> str:
    """How long its caller went on to read, and how much, where the caller says so."""
    parent = accused.trace.parent(accused.span)
    if parent is None:
        return ""
    size = parent.attributes.get("http.response.body.size")
    behind = duration((parent.end_ns - accused.span.end_ns) / 1e6)
    return f", whose {size or 'many'} bytes took another {behind}"


def _timeout(accused: Accused) -> str:
    told = f"ended in {accused.error}" if accused.span.exceptions else "was cut short"
    return (
        f"{told} after {duration(accused.span.duration_ms)}, without an answer{_usually(accused)}"
    )


def _latency(accused: Accused) -> str:
    wire = wire_of(accused.trace, accused.span)
    if wire is None:
        return f"{accused.took}, and had its answer"
    return f"{accused.took}, {duration(wire.length_ms)} of it on the wire, and had its answer"


def _business_rejection(accused: Accused) -> str:
    return accused.took


_ARGUMENTS: Final[Mapping[Mechanism, Callable[[Accused], str]]] = {
    Mechanism.BROKEN_PROPAGATION: _broken_propagation,
    Mechanism.SAMPLING_LOSS: _sampling_loss,
    Mechanism.RETRY_AMPLIFICATION: _retry_amplification,
    Mechanism.CACHE_STAMPEDE: _cache_stampede,
    Mechanism.N_PLUS_ONE: _n_plus_one,
    Mechanism.TIMEOUT_INVERSION: _timeout_inversion,
    Mechanism.QUEUE_LAG: _queue_lag,
    Mechanism.POOL_EXHAUSTION: _pool_exhaustion,
    Mechanism.CONNECTION_CHURN: _connection_churn,
    Mechanism.STALE_CONNECTION: _stale_connection,
    Mechanism.CONNECTION_REFUSED: _connection_refused,
    Mechanism.CONNECTION_RESET: _connection_reset,
    Mechanism.TRUNCATED_RESPONSE: _truncated_response,
    Mechanism.LOCK_CONTENTION: _lock_contention,
    Mechanism.BANDWIDTH: _bandwidth,
    Mechanism.TIMEOUT: _timeout,
    Mechanism.LATENCY: _latency,
    Mechanism.BUSINESS_REJECTION: _business_rejection,
}


def _usually(accused: Accused) -> str:
    usual = accused.usual
    return "" if usual is None else f"; usually it has one after {duration(usual.p50_ms)}"


def _before(accused: Accused) -> str:
    """How often the call ran in one trace before, in the words of a comparison."""
    operation = Operation.of(accused.span)
    found = [
        trace.repeats(each)
        for trace in accused.evidence.whole_traces(Sample.REFERENCE)
        for each in trace
        if Operation.of(each) == operation
    ]
    return f", where it was {median(found):g} before" if found else ""


def _answered_before(accused: Accused) -> tuple[int, int]:
    operation = Operation.of(accused.span)
    answers = [
        any(child.kind is Kind.SERVER for child in trace.children(each))
        for trace in accused.evidence.whole_traces(Sample.REFERENCE)
        for each in trace
        if Operation.of(each) == operation
    ]
    return sum(answers), len(answers)


def _at_once(accused: Accused) -> int:
    key = accused.span.attributes.get("cache.key")
    alike = Predicate(
        name=accused.span.name,
        attributes={"cache.hit": False} | ({} if key is None else {"cache.key": key}),
    )
    story = (accused.trace, *accused.trace.joined)
    found = [span for each in story for span in each if alike.matches(span, each, ReferenceStats())]
    return sum(each is accused.span or each.overlaps(accused.span) for each in found)


def _usual_number(accused: Accused, key: str) -> float | None:
    """The median of a number of the same operation before the incident, in whatever trace."""
    before = accused.evidence.windows.get(Window.REFERENCE)
    operation = Operation.of(accused.span)
    found = [
        value
        for trace in accused.evidence.traces.values()
        for span in trace
        if before is not None
        and span.start_ns / 1e9 in before
        and Operation.of(span) == operation
        and isinstance(value := span.attributes.get(key), int | float)
    ]
    return median(found) if found else None


def alibi(accused: Accused) -> str:
    """Why it looks guilty and is not, as the evidence shows it; the strongest reason there is."""
    span, trace, evidence = accused.span, accused.trace, accused.evidence
    if span.status is Status.ERROR and _failed_by_what_is_inside(span, trace):
        return "It failed with what had failed inside it."
    if span.status is Status.ERROR and (before := _errors_before(span, evidence)):
        return f"It failed just so before the incident, in {before}."
    code = span.attributes.get("http.response.status_code")
    if span.status is Status.ERROR and isinstance(code, int) and code < _SERVER_ERROR:
        return f"It is red for an answer, a {code}, that came in time: the call itself worked."
    return _of_time(span, trace, evidence)


def _of_time(span: Span, trace: Trace, evidence: Evidence) -> str:
    usual = evidence.reference_stats.for_span(span)
    usual_ms = usual.p50_ms if usual else 0.0
    more_ms = span.duration_ms - usual_ms
    if usual is not None and more_ms <= max(15.0, 0.15 * usual_ms):
        took = duration(span.duration_ms)
        return f"It took {took}, and takes {duration(usual_ms)} on a healthy day."
    own_ms = trace.self_time_ms(span)
    if own_ms < _HALF * span.duration_ms:
        return (
            f"Of its {duration(span.duration_ms)} only {duration(own_ms)} are its own; the rest it "
            "spent waiting for what it had called."
        )
    return "It took longer because something else did, beside it or before it."


def _failed_by_what_is_inside(span: Span, trace: Trace) -> bool:
    """Whether a child failed before it did; one that outlived it came too late for that."""
    return any(
        child.status is Status.ERROR and child.end_ns - span.end_ns < OUTLIVES_MS * 1e6
        for child in trace.children(span)
    )


def _errors_before(span: Span, evidence: Evidence) -> str:
    """In how many reference traces its operation failed as well; empty where in none."""
    operation = Operation.of(span)
    traces = evidence.whole_traces(Sample.REFERENCE)
    failed = sum(
        any(each.status is Status.ERROR and Operation.of(each) == operation for each in trace)
        for trace in traces
    )
    return f"{failed} of {len(traces)} traces" if failed else ""
