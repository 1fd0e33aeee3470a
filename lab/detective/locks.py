"""What waits for a lock is its holder's: one in another trace, with which the wait ended."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from lab.detective.charges import Charge, Sign
from lab.detective.profile import is_wait_for_slot
from lab.detective.scene import Scene
from lab.domain.reference import Operation
from lab.domain.trace import Span, Trace


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
