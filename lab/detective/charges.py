"""What one hurt request holds against whom: shares of its harm, in sum at most 1."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum

from lab.detective.profile import Profile, Usual, answer_to, is_timed_out, operation_of
from lab.detective.tuning import Tuning
from lab.domain.marks import cut_by
from lab.domain.reference import Operation
from lab.domain.trace import Span, Status, Trace
from lab.frozen import dataclass


class Sign(StrEnum):
    """By what a span is charged."""

    ERROR = "the failure begins there"
    CUT = "it was still running when its caller's time was up"
    TIME = "it took longer than before"
    WAIT = "it waited for a slot"
    REPEATS = "it was repeated"
    ABSENCE = "what it called left no span"
    LAG = "it began late"
    HOLDER = "others ended when it let go"


@dataclass(frozen=True, slots=True)
class Charge:
    """A share of one request's harm, held against one span."""

    share: float
    span: Span
    trace: Trace
    sign: Sign

    @property
    def operation(self) -> Operation:
        """What the span is one run of."""
        return operation_of(self.span)


def charges_of_failure(
    profile: Profile, lifts: Mapping[Operation, float], usual: Usual, tuning: Tuning
) -> Sequence[Charge]:
    """Where the failure began: the deepest errors that are new, and what they waited for.

    Of several, those from which an unbroken line of errors leads to the top; what fails
    elsewhere was caught, and did not matter to this request.
    """
    found = [
        span
        for operation, spans in profile.failed_at.items()
        if lifts.get(operation, 0.0) > 0
        for span in spans
    ]
    on_line = [span for span in found if _reaches_the_top(profile.trace, span)]
    origins = on_line or found
    total = sum(lifts[operation_of(each)] for each in origins)
    return [
        Charge(
            charge.share * lifts[operation_of(span)] / total,
            charge.span,
            profile.trace,
            charge.sign,
        )
        for span in origins
        for charge in _followed(profile, span, usual, tuning)
    ]


def _reaches_the_top(trace: Trace, span: Span) -> bool:
    return all(each.status is Status.ERROR for each in trace.ancestors(span))


def _followed(profile: Profile, span: Span, usual: Usual, tuning: Tuning) -> Iterator[Charge]:
    """The failure itself; or, where time was up, what was being waited for at that moment."""
    trace = profile.trace
    if is_timed_out(span):
        cut = [key for key, by in cut_by(trace).items() if by.span_id == span.span_id]
        deepest = [
            each
            for key in cut
            if (each := trace.by_id[key])
            and not any(child.span_id in cut for child in trace.children(each))
        ]
        if deepest:
            yield from (Charge(1 / len(deepest), each, trace, Sign.CUT) for each in deepest)
            return
        answer = answer_to(trace, span)
        if answer is not None and is_slower(answer, usual, tuning):
            below = charges_of_time(trace, _below(trace, answer), usual)
            if below:
                yield from below
                return
    yield Charge(1.0, span, trace, Sign.ERROR)


def is_slower(span: Span, usual: Usual, tuning: Tuning) -> bool:
    """Whether it took longer than it usually does."""
    before = usual.long_ms.get(operation_of(span))
    if before is None:
        return False
    return span.duration_ms > max(tuning.slower * before, before + tuning.least_slower_ms)


def _below(trace: Trace, top: Span) -> Sequence[Span]:
    found = [top]
    for span in found:  # It grows while it is read, until nobody has children any more.
        found.extend(trace.children(span))
    return found


def charges_of_time(trace: Trace, spans: Sequence[Span], usual: Usual) -> Sequence[Charge]:
    """By how much the self times of ``spans`` exceed what they usually are, as shares."""
    excess: list[tuple[float, Span]] = []
    for span in spans:
        more_ms = trace.self_time_ms(span) - usual.self_ms.get(operation_of(span), 0.0)
        if more_ms > 0:
            excess.append((more_ms, span))
    total = sum(more_ms for more_ms, _ in excess)
    return [Charge(more_ms / total, span, trace, Sign.TIME) for more_ms, span in excess]


def charges_of_delay(profile: Profile, usual: Usual) -> Sequence[Charge]:
    """How the request's delay is made up: what it waited for each operation beyond the usual.

    A what-if on the critical path: give the operation its usual time, and the request is
    shorter by so much. Within an operation the span that lasted longest answers for it.
    """
    excess = {
        operation: own_ms - usual.own_ms.get(operation, 0.0)
        for operation, own_ms in profile.own_ms.items()
    }
    late = {operation: more_ms for operation, more_ms in excess.items() if more_ms > 0}
    total = sum(late.values())
    return [
        Charge(
            more_ms / total,
            max(profile.spans[operation], key=profile.trace.self_time_ms),
            profile.trace,
            Sign.TIME,
        )
        for operation, more_ms in late.items()
    ]


def summed(charges: Sequence[Charge]) -> Mapping[Operation, float]:
    """Operation → the sum of the shares held against it."""
    found: dict[Operation, float] = defaultdict(float)
    for each in charges:
        found[each.operation] += each.share
    return found


def outermost(charge: Charge, is_cause: Callable[[Trace, Span], bool]) -> Span | None:
    """The span farthest above it, or itself, of which ``is_cause`` holds."""
    line = (charge.span, *charge.trace.ancestors(charge.span))
    return next((each for each in reversed(line) if is_cause(charge.trace, each)), None)
