"""What happens inside repeats after a failure is the repetition's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from lab.detective.charges import Charge, Sign, outermost
from lab.detective.profile import answer_to, operation_of
from lab.detective.scene import Scene
from lab.domain.reference import Operation
from lab.domain.trace import Span, Status, Trace

MOST: Final = 0.5
"""A pattern counts where it shows in this share of what it is to explain."""


def inside_retries(scene: Scene, charges: Sequence[Charge]) -> tuple[Charge, ...]:
    """Repeats after a failure, where what fails is their own number or was done already.

    A call that never got an answer is not explained by its repeats. One whose callee did
    the work, or let it stand in line at a healthy resource, is.
    """
    waiting = {each.span.span_id for each in charges if each.sign is Sign.WAIT}
    repeating: dict[Operation, int] = defaultdict(int)

    def is_retry(trace: Trace, span: Span) -> bool:
        before = earlier_failures(trace, span)
        return bool(before) and (
            any(_was_done(trace, each) for each in before)
            or any(_stands_in_line(trace, each, waiting) for each in before)
        )

    for victim in scene.victims:
        for operation, spans in victim.profile.spans.items():
            tried = _failed_and_tried(spans)
            if tried and any(is_retry(victim.profile.trace, each) for each in spans):
                repeating[operation] += 1
    usual = {
        operation
        for profile in scene.usual.profiles
        for operation, spans in profile.spans.items()
        if _failed_and_tried(spans) and any(earlier_failures(profile.trace, s) for s in spans)
    }
    enough = {
        operation
        for operation, count in repeating.items()
        if count >= MOST * len(scene.victims) and operation not in usual
    }
    if not enough:
        return tuple(charges)
    moved = []
    for charge in charges:
        above = outermost(charge, lambda _, span: operation_of(span) in enough)
        if above is None:
            moved.append(charge)
            continue
        tries = attempts(charge.trace, above)
        repeat = next((each for each in tries if is_retry(charge.trace, each)), above)
        moved.append(replace(charge, span=repeat, sign=Sign.REPEATS))
    return tuple(moved)


def attempts(trace: Trace, span: Span) -> Sequence[Span]:
    """The runs of the span's operation under its parent, itself among them, earliest first."""
    parent, operation = trace.parent(span), operation_of(span)
    if parent is None:
        return (span,)
    return [each for each in trace.children(parent) if operation_of(each) == operation]


def earlier_failures(trace: Trace, span: Span) -> Sequence[Span]:
    """The attempts at the same that had failed before it began."""
    tries = attempts(trace, span)
    return [e for e in tries if e.status is Status.ERROR and e.end_ns <= span.start_ns]


def _failed_and_tried(spans: Sequence[Span]) -> bool:
    """Whether some failed and there are others: a glance that saves the look at siblings."""
    return len(spans) > 1 and any(each.status is Status.ERROR for each in spans)


def _was_done(trace: Trace, attempt: Span) -> bool:
    """Whether the callee did what the failed attempt asked for."""
    answer = answer_to(trace, attempt)
    return answer is not None and answer.status is not Status.ERROR


def _stands_in_line(trace: Trace, attempt: Span, waiting: frozenset[str] | set[str]) -> bool:
    found = [attempt]
    while found:
        span = found.pop()
        if span.span_id in waiting:
            return True
        found.extend(trace.children(span))
    return False
