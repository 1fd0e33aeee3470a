"""Whom the incident hurt, by what anybody at the edge can see; nothing of the scenario. Pure.

A learner may use this to choose whom to look at, so it must not know more than they do: a
request of the incident is hurt where it went as no request of its route did before.
"""

from __future__ import annotations

from lab.domain.evidence import Evidence
from lab.domain.load import Request, Window, percentile
from lab.frozen import dataclass
from lab.investigation.reading.requests import outcome_of

UNUSUAL_SHARE = 0.99
"""A request is slow where it took longer than this share of its route's did before."""

SMALL_SHARE = 0.5
"""An answer is empty where it has less than this share of the smallest one before."""


@dataclass(frozen=True, slots=True)
class _Usual:
    outcomes: frozenset[str]
    slow_ms: float
    least_bytes: int


def hurt_requests(evidence: Evidence) -> tuple[Request, ...]:
    """Failed, refused, slow or all but empty as none of the same route was before."""
    usual = _usual(evidence)
    return tuple(
        request
        for request in evidence.requests
        if request.window is Window.CRIME and _is_hurt(request, usual.get(request.route))
    )


def nearly_all_before_ms(evidence: Evidence) -> dict[str, float]:
    """Route → what nearly all (`UNUSUAL_SHARE`) of its requests took at most before, in ms."""
    return {
        route: percentile([each.latency_ms for each in requests], UNUSUAL_SHARE)
        for route, requests in _before(evidence).items()
    }


def _usual(evidence: Evidence) -> dict[str, _Usual]:
    return {
        route: _Usual(
            outcomes=_common_outcomes(requests),
            slow_ms=1.5 * percentile([each.latency_ms for each in requests], UNUSUAL_SHARE),
            least_bytes=min(each.answer_bytes for each in requests),
        )
        for route, requests in _before(evidence).items()
    }


def _before(evidence: Evidence) -> dict[str, list[Request]]:
    by_route: dict[str, list[Request]] = {}
    for request in evidence.requests:
        if request.window is Window.REFERENCE:
            by_route.setdefault(request.route, []).append(request)
    return by_route


def _common_outcomes(requests: list[Request]) -> frozenset[str]:
    """What a healthy shop answers now and then is no harm; a single slip of it is."""
    seen = [outcome_of(each) for each in requests]
    return frozenset(word for word in set(seen) if seen.count(word) > 0.05 * len(seen))


def _is_hurt(request: Request, usual: _Usual | None) -> bool:
    outcome = outcome_of(request)
    if usual is None:
        return outcome != "ok"
    if outcome not in usual.outcomes:
        return True
    is_empty = outcome == "ok" and request.answer_bytes < SMALL_SHARE * usual.least_bytes
    return is_empty or request.latency_ms > usual.slow_ms
