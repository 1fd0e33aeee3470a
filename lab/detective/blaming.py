"""Whoever suffers is no culprit: rules that hand a charge on to whoever made the span suffer.

Each rule is the definition of a mechanism: a wait for a slot is its holder's, where what
lies behind is slow; what happens inside a repeated call is the repetition's; what waits
for a lock is its holder's. A rule moves charges and never makes any.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from lab.detective.charges import Charge, Sign, outermost
from lab.detective.profile import hop_of, is_wait_for_slot, operation_of
from lab.detective.retries import inside_retries
from lab.detective.scene import Scene
from lab.domain.reference import Operation
from lab.domain.trace import AttributeValue, Span, Status, Trace


def blamed(scene: Scene) -> tuple[Charge, ...]:
    """The charges as they stand after every rule, in the order of the closed list."""
    charges = scene.charges
    for rule in (waits_of_the_slow, inside_retries, inside_stampedes, inside_loops, behind_locks):
        charges = rule(scene, charges)
    return charges


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
    found = ((it.profile.trace, it.profile.spans.get(operation, ())) for it in scene.victims)
    runs = ((trace, span) for trace, spans in found for span in spans)
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


def behind_locks(scene: Scene, charges: Sequence[Charge]) -> tuple[Charge, ...]:
    """Spans that end when one of another trace lets go of what both name are its victims."""
    held: dict[Operation, list[Charge]] = defaultdict(list)
    for charge in charges:
        if charge.sign is Sign.TIME and not is_wait_for_slot(charge.span):
            held[charge.operation].append(charge)
    moved: dict[str, tuple[Trace, Span]] = {}
    for found in held.values():
        holders = _holders(scene, found)
        if len(holders) > len(found) / 2:
            moved.update(holders)
    return tuple(
        replace(charge, span=there[1], trace=there[0], sign=Sign.HOLDER)
        if charge.sign is Sign.TIME and (there := moved.get(charge.span.span_id))
        else charge
        for charge in charges
    )


def _holders(scene: Scene, victims: Sequence[Charge]) -> Mapping[str, tuple[Trace, Span]]:
    """Span id of each victim → who let go just before it ended, or before whom it queued."""
    release_ns = scene.tuning.release_ms * 1e6
    hurt = {each.profile.trace.trace_id for each in scene.victims}
    others = sorted(
        (
            (root, trace)
            for trace in scene.incident.during.background
            for root in trace.roots
            if trace.trace_id not in hurt
        ),
        key=lambda each: each[0].end_ns,
    )
    found: dict[str, tuple[Trace, Span]] = {}
    last: tuple[int, tuple[Trace, Span]] | None = None
    for charge in sorted(victims, key=lambda each: each.span.end_ns):
        end_ns = charge.span.end_ns
        direct = next(_let_go(charge.span, others, release_ns), None)
        if direct is not None:
            found[charge.span.span_id] = direct
        elif last is not None and end_ns - last[0] <= release_ns:
            found[charge.span.span_id] = last[1]
        if charge.span.span_id in found:
            last = end_ns, found[charge.span.span_id]
    return found


def _let_go(
    span: Span, others: Sequence[tuple[Span, Trace]], release_ns: float
) -> Iterator[tuple[Trace, Span]]:
    first = bisect_left(others, span.end_ns - release_ns, key=lambda each: each[0].end_ns)
    last = bisect_right(others, span.end_ns + release_ns, key=lambda each: each[0].end_ns)
    for root, trace in others[first:last]:
        if (
            root.start_ns < span.end_ns
            and root.end_ns - max(root.start_ns, span.start_ns) >= release_ns
            and _share_a_value(root, span)
        ):
            yield trace, root


_OF_THE_TRADE = (
    "http.",
    "db.",
    "url.",
    "net",
    "server.",
    "client.",
    "service.",
    "pool.",
    "user_agent.",
    "messaging.",
    "telemetry.",
    "thread.",
    "code.",
    "error.",
)
"""Attributes that say how a span travelled; what it worked on stands under names of its own."""


def _share_a_value(one: Span, other: Span) -> bool:
    return any(
        other.attributes.get(key) == value
        for key, value in one.attributes.items()
        if not key.startswith(_OF_THE_TRADE)
    )
