"""Who is hurt at the edge: by outcomes that became more frequent, and by answers that came late.

Shares are those of all requests, never of the traces that were kept, which are a sample
taken by outcome.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from statistics import median
from typing import Final

from lab.detective.incident import EdgeRequest, Incident
from lab.detective.tuning import Tuning
from lab.domain.load import percentile
from lab.frozen import dataclass

FEWEST: Final = 3
"""Fewer requests than these are nobody's pattern."""


@dataclass(frozen=True, slots=True)
class Hurt:
    """One hurt request: what is wrong with it (*failed*, *rejected* or *slow*)."""

    request: EdgeRequest
    how: str


@dataclass(frozen=True)
class Harm:
    """All hurt requests of the incident, and which share of it they are."""

    hurt: Mapping[str, Hurt]
    share: float
    routes: frozenset[str]


def harm_at_edge(incident: Incident, tuning: Tuning) -> Harm:
    """The hurt requests by trace id, none where nothing changed beyond chance."""
    before = _by_route(incident.before.requests)
    hurt: dict[str, Hurt] = {}
    for route, now in _by_route(incident.during.requests).items():
        past = before.get(route, [])
        for outcome in ("failed", "rejected"):
            found = [each for each in now if each.outcome == outcome]
            usual = sum(each.outcome == outcome for each in past)
            if is_more(len(found), len(now), usual, len(past), tuning):
                hurt.update({each.trace_id: Hurt(each, outcome) for each in found})
        for late_ms in late_from_ms(past, tuning):
            slow, usual = _later(now, late_ms), len(_later(past, late_ms))
            if past and is_more(len(slow), len(now), usual, len(past), tuning):
                hurt.update({each.trace_id: Hurt(each, "slow") for each in slow})
                break
    total = len(incident.during.requests)
    if len(hurt) < max(FEWEST, tuning.least_share * total):
        return Harm({}, 0.0, frozenset())
    routes = frozenset(each.request.route for each in hurt.values())
    return Harm(hurt, len(hurt) / total, routes)


def late_from_ms(past: Sequence[EdgeRequest], tuning: Tuning) -> tuple[float, ...]:
    """From which latencies on an answer is late: beyond the usual, and beyond all there was.

    The usual is the middle half of the past answers, because the reference may be sick in a
    fifth of them. Where some were always slow, only what is slower than nearly all tells.
    """
    usual = [each.latency_ms for each in past if each.outcome == "ok"]
    if not usual:
        return ()
    low, half, high, most = (percentile(usual, share) for share in (0.25, 0.5, 0.75, 0.99))
    spread = max(high - low, tuning.least_spread * half, tuning.least_spread_ms)
    return high + tuning.spreads * spread, tuning.slower * most


def _later(requests: Iterable[EdgeRequest], late_ms: float) -> list[EdgeRequest]:
    return [each for each in requests if each.outcome == "ok" and each.latency_ms > late_ms]


def is_more(found: int, of: int, usual: int, of_usual: int, tuning: Tuning) -> bool:
    """Whether a share grew by more than chance, and by enough to matter.

    Two proportions, pooled, with half a request of continuity on either side.
    """
    if found < FEWEST or not of:
        return False
    if not of_usual:
        return found / of >= tuning.least_lift
    share, past = found / of, (usual + 0.5) / (of_usual + 1)
    pooled = (found + usual + 1) / (of + of_usual + 2)
    chance = sqrt(pooled * (1 - pooled) * (1 / of + 1 / of_usual))
    by_far = share - past > tuning.gross_lift and share - past > tuning.gross_sigmas * chance
    return by_far or share - past > max(tuning.least_lift, tuning.sigmas * chance)


def weights(harm: Harm, kept: Iterable[EdgeRequest]) -> Mapping[str, float]:
    """Trace id of each kept hurt request → for how many hurt requests it stands.

    One stratum is a route and what is wrong with it.
    """
    there = [each for each in kept if each.trace_id in harm.hurt]
    strata = Counter(_stratum(harm.hurt[each.trace_id]) for each in there)
    all_of = Counter(_stratum(each) for each in harm.hurt.values())
    return {
        each.trace_id: all_of[key] / strata[key]
        for each in there
        for key in (_stratum(harm.hurt[each.trace_id]),)
    }


def _stratum(hurt: Hurt) -> tuple[str, str]:
    return hurt.request.route, hurt.how


def _by_route(requests: Iterable[EdgeRequest]) -> Mapping[str, list[EdgeRequest]]:
    routes: dict[str, list[EdgeRequest]] = defaultdict(list)
    for each in requests:
        routes[each.route].append(each)
    return routes


def middle(values: Sequence[float], default: float = 0.0) -> float:
    """The median, or ``default`` of none."""
    return median(values) if values else default
