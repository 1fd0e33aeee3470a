"""Whom it hit: all, certain tenants, certain connections, or only those of bad moments."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence

from lab.detective.hurt import FEWEST
from lab.detective.incident import EdgeRequest
from lab.detective.scene import Scene
from lab.domain.mechanism import Scope
from lab.domain.reference import Operation

SICK, WELL = 0.6, 0.15
"""A group is hit where so many of it are hurt, and spared where at most so many are."""

Trait = Callable[[EdgeRequest], Hashable]

MOMENTS = 16
"""Into so many stretches the incident is cut."""


def scope_of(scene: Scene, operations: Sequence[Operation]) -> Scope:
    """The scope of what was done, by whom it spared."""
    if _splits_by_connection(scene, operations):
        return Scope.SOME_CONNECTIONS
    asked = [each for each in scene.incident.during.requests if each.route in scene.harm.routes]
    if _splits(scene, asked, lambda each: each.tenant):
        return Scope.SOME_TENANTS
    if asked and _comes_and_goes(scene, asked):
        return Scope.SOME_TIMES
    return Scope.ALL


def _splits(scene: Scene, asked: Iterable[EdgeRequest], by: Trait) -> bool:
    groups: dict[Hashable, list[bool]] = defaultdict(list)
    for each in asked:
        groups[by(each)].append(each.trace_id in scene.harm.hurt)
    return is_divided(groups.values())


def is_divided(groups: Iterable[Sequence[bool]]) -> bool:
    """Whether each group is either hit or spared, and there are some of both."""
    shares = [(sum(each) / len(each), len(each)) for each in groups if len(each) >= FEWEST]
    hit = [n for share, n in shares if share >= SICK]
    spared = [n for share, n in shares if share <= WELL]
    return bool(hit and spared) and sum(hit + spared) >= 0.9 * sum(n for _, n in shares)


def _comes_and_goes(scene: Scene, asked: Sequence[EdgeRequest]) -> bool:
    """Whether stretches that are hit lie between stretches that are spared."""
    start, end = min(each.start_s for each in asked), max(each.start_s for each in asked)
    length = max(end - start, 1e-9) / MOMENTS
    bins: list[list[bool]] = [[] for _ in range(MOMENTS)]
    for each in asked:
        place = min(MOMENTS - 1, int((each.start_s - start) / length))
        bins[place].append(each.trace_id in scene.harm.hurt)
    shares = [sum(each) / len(each) for each in bins if len(each) >= FEWEST]
    hit = [place for place, share in enumerate(shares) if share >= SICK]
    spared = [place for place, share in enumerate(shares) if share <= WELL]
    if not hit or len(spared) < len(shares) / 4:
        return False
    return any(hit[0] < place for place in spared) and len(hit) + len(spared) >= len(shares) / 2


def _splits_by_connection(scene: Scene, operations: Sequence[Operation]) -> bool:
    """Whether the suspect is slow or fails on some connections and on others never."""
    groups: dict[Hashable, list[bool]] = defaultdict(list)
    for operation in operations:
        usual = scene.usual.long_ms.get(operation) or 0.0
        limit = max(scene.tuning.slower * usual, usual + scene.tuning.least_slower_ms)
        for profile in scene.during.profiles:
            for span in profile.spans.get(operation, ()):
                connection = span.attributes.get("db.connection.id")
                if connection is not None:
                    groups[(operation.service, connection)].append(span.duration_ms > limit)
    return is_divided(groups.values())
