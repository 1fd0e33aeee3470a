"""Whether lost time grows with what is carried, on the edge of a suspect or at the shop's own."""

from __future__ import annotations

from collections.abc import Sequence
from math import log

from lab.detective.charges import Charge
from lab.detective.hurt import middle
from lab.detective.profile import hop_of
from lab.detective.scene import Scene
from lab.domain.reference import Operation
from lab.domain.trace import Kind, Span


def size_of(span: Span) -> float | None:
    """How much it carried, by whichever attribute tells: bytes of a body, or rows."""
    keys = ("http.response.body.size", "db.response.returned_rows")
    told = (span.attributes.get(key) for key in keys)
    numbers = (float(it) for it in told if isinstance(it, int | float) and type(it) is not bool)
    return next(numbers, None)


def scales(scene: Scene, operation: Operation, charges: Sequence[Charge]) -> bool:
    """Whether big messages lost much more time than small ones of the same edge did."""
    for sizes in (_lost_on_hop(scene, operation), _lost_at_edge(scene, charges)):
        if len(sizes) >= 6 and (verdict := _grows(sizes, scene.tuning.small)) is not None:
            return verdict
    return False


def _grows(sizes: Sequence[tuple[float, float]], small: float) -> bool | None:
    """Whether lost time grows with size, from the smallest third to the biggest.

    Nearly in proportion where both are big, and hardly any lost where one is small. None
    where all are of a size.
    """
    ordered = sorted(sizes)
    third = max(2, len(ordered) // 3)
    low, high = ordered[:third], ordered[-third:]
    little, much = (max(1.0, middle([size for size, _ in each])) for each in (low, high))
    if much < 1.5 * little:
        return None
    lost_low, lost_high = (middle([lost for _, lost in each]) for each in (low, high))
    if lost_high <= 0 or lost_low <= small * lost_high * min(1.0, 4 * little / much):
        return lost_high > 0
    return log(lost_high / lost_low) >= (1 - small) * log(much / little)


def _lost_on_hop(scene: Scene, operation: Operation) -> Sequence[tuple[float, float]]:
    """Of each run on the same edge: how much it carried, and what it lost against before.

    A call that names no size carried a little: a statement without rows.
    """
    hop = hop_of(operation)
    alike = [
        (each, scene.usual.typical_ms.get(each, 0.0))
        for each in scene.during.durations_ms
        if each == operation or (hop is not None and hop_of(each) == hop)
    ]
    return [
        (size_of(span) or 0.0, span.duration_ms - usual)
        for victim in scene.victims
        for each, usual in alike
        for span in victim.profile.spans.get(each, ())
    ]


def _lost_at_edge(scene: Scene, charges: Sequence[Charge]) -> Sequence[tuple[float, float]]:
    """Of each request on the hurt routes: the length of its answer, and what it lost."""
    routes = scene.harm.routes
    usual = {
        route: middle([r.latency_ms for r in scene.incident.before.requests if r.route == route])
        for route in routes
    }
    carries = any(each.span.kind is not Kind.CLIENT or size_of(each.span) for each in charges)
    return [
        (float(each.answer_bytes), each.latency_ms - usual[each.route])
        for each in scene.incident.during.requests
        if each.route in routes and each.outcome == "ok" and carries
    ]
