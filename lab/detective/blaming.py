"""Whoever suffers is no culprit: rules that hand a charge on to whoever made the span suffer.

Each rule is the definition of a mechanism: a wait for a slot is its holder's, where what
lies behind is slow; what happens inside a repeated call is the repetition's; what waits
for a lock is its holder's. A rule moves charges and never makes any.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from lab.detective.charges import Charge, Sign, outermost
from lab.detective.locks import behind_locks
from lab.detective.profile import hop_of, operation_of
from lab.detective.retries import inside_retries
from lab.detective.scene import Scene
from lab.domain.reference import Operation
from lab.domain.trace import AttributeValue, Span, Status, Trace


def blamed(scene: Scene) -> tuple[Charge, ...]:
    """The charges as they stand after every rule, in the order of the closed list."""
    charges = waits_of_the_slow(scene, scene.charges)
    charges = inside_retries(scene, charges)
    charges = inside_stampedes(scene, charges)
    charges = inside_loops(scene, charges)
    return behind_locks(scene, charges)


def waits_of_the_slow(scene: Scene, charges: Sequence[Charge]) -> tuple[Charge, ...]:
    """A wait for a slot is the resource's, where the resource is slower than before."""
    slow: dict[tuple[str, str], tuple[float, Operation]] = {}
    for operation in scene.callers:
        hop = hop_of(operation)
        now, past = (of.mean_ms.get(operation, 0.0) for of in (scene.during, scene.usual))
        limit = max(scene.tuning.slower * past, past + scene.tuning.least_slower_ms)
        if hop is not None and past and now > limit:
            slow[hop] = max(
                slow.get(hop, (0.0, operation)), (now - past, operation), key=lambda e: e[0]
            )
    longest = {operation: _longest(scene, operation) for _, operation in slow.values()}
    moved = []
    for charge in charges:
        hop = charge.span.service, charge.span.peer or ""
        if charge.sign is Sign.WAIT and hop in slow and (there := longest[slow[hop][1]]):
            sign = Sign.ERROR if there[1].status is Status.ERROR else Sign.TIME
            moved.append(Charge(charge.share, there[1], there[0], sign))
        else:
            moved.append(charge)
    return tuple(moved)


def _longest(scene: Scene, operation: Operation) -> tuple[Trace, Span] | None:
    runs = [
        (victim.profile.trace, span)
        for victim in scene.victims
        for span in victim.profile.spans.get(operation, ())
    ]
    return max(runs, key=lambda run: run[1].duration_ms, default=None)


def inside_loops(scene: Scene, charges: Sequence[Charge]) -> tuple[Charge, ...]:
    """A first-time call per item: more of them than before, one after another, each as usual."""
    usual = _usual_repeats(scene)
    many = {
        operation
        for victim in scene.victims
        for operation, spans in victim.profile.spans.items()
        if len(spans) - usual.get(operation, 1.0) >= scene.tuning.fewest_repeats
    }
    if not many:
        return tuple(charges)

    def is_loop(trace: Trace, span: Span) -> bool:
        operation = operation_of(span)
        if operation not in many:
            return False
        before = scene.usual.long_ms.get(operation)
        return (
            span.status is not Status.ERROR
            and trace.repeats(span) - usual.get(operation, 1.0) >= scene.tuning.fewest_repeats
            and (before is None or span.duration_ms <= 2 * scene.tuning.slower * before + 5.0)
        )

    return _handed_up(charges, is_loop)


def _usual_repeats(scene: Scene) -> Mapping[Operation, float]:
    most: dict[Operation, int] = defaultdict(int)
    for profile in scene.usual.profiles:
        for operation, spans in profile.spans.items():
            if len(spans) > most[operation]:
                most[operation] = max(most[operation], *map(profile.trace.repeats, spans))
    return {operation: float(count) for operation, count in most.items()}


def inside_stampedes(scene: Scene, charges: Sequence[Charge]) -> tuple[Charge, ...]:
    """Many requests that miss one key at once: all but the first are too many."""
    crowds = _crowds(scene)
    if not crowds:
        return tuple(charges)

    def is_in_crowd(_: Trace, span: Span) -> bool:
        return span.span_id in crowds

    return _handed_up(charges, is_in_crowd)


def _crowds(scene: Scene) -> frozenset[str]:
    """Span ids of the misses that ran beside others of their key, where that is new."""
    now, past = (
        [(span, key) for each in usual.profiles for span in each.trace if (key := _missed(span))]
        for usual in (scene.during, scene.usual)
    )
    crowded = _beside(now)
    if not crowded or _mean(_beside(past)) >= scene.tuning.crowd:
        return frozenset()
    return frozenset(key for key, count in crowded.items() if count >= scene.tuning.crowd)


def _missed(span: Span) -> AttributeValue | None:
    return span.attributes.get("cache.key") if span.attributes.get("cache.hit") is False else None


def _beside(misses: Sequence[tuple[Span, AttributeValue]]) -> Mapping[str, int]:
    """Span id of each miss → how many of its key, itself among them, were running with it."""
    by_key: dict[AttributeValue, list[Span]] = defaultdict(list)
    for span, key in misses:
        by_key[key].append(span)
    found = {}
    for spans in by_key.values():
        starts = sorted(each.start_ns for each in spans)
        ends = sorted(each.end_ns for each in spans)
        for each in spans:
            found[each.span_id] = bisect_left(starts, each.end_ns) - bisect_right(
                ends, each.start_ns
            )
    return found


def _mean(counts: Mapping[str, int]) -> float:
    return sum(counts.values()) / len(counts) if counts else 0.0


def _handed_up(
    charges: Sequence[Charge], is_cause: Callable[[Trace, Span], bool]
) -> tuple[Charge, ...]:
    """Charges inside a span of which ``is_cause`` holds are that span's, the outermost's."""
    return tuple(
        replace(charge, span=above, sign=Sign.REPEATS)
        if (above := outermost(charge, is_cause)) is not None
        else charge
        for charge in charges
    )
