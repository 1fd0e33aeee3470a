"""Everything the rules look at: the hurt and the healthy, each trace walked once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property

from lab.detective.charges import Charge, Sign, charges_of_delay, charges_of_failure
from lab.detective.hurt import Harm, harm_at_edge, is_more, weights
from lab.detective.incident import Incident, Period
from lab.detective.profile import Profile, Usual, is_wait_for_slot, profile_of
from lab.detective.tuning import Tuning
from lab.domain.reference import Operation
from lab.domain.trace import Kind
from lab.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Victim:
    """A hurt request whose trace is there, and for which share of all hurt ones it stands."""

    profile: Profile
    route: str
    how: str
    weight: float


@dataclass(frozen=True)
class Scene:
    """An incident as the rules see it."""

    incident: Incident
    tuning: Tuning

    @cached_property
    def harm(self) -> Harm:
        """Who is hurt, as the edge tells."""
        return harm_at_edge(self.incident, self.tuning)

    @cached_property
    def usual(self) -> Usual:
        """Every trace from before."""
        return Usual([profile for found in self._before.values() for profile in found])

    @cached_property
    def during(self) -> Usual:
        """Every trace of the incident, hurt or not."""
        return Usual([*self._profiles.values()])

    def usual_of(self, route: str) -> Usual:
        """The traces from before of one route; of all, where it was never seen."""
        return self._usual_of.get(route, self.usual)

    @cached_property
    def victims(self) -> tuple[Victim, ...]:
        """The hurt requests. Where the edge tells of none, those in whose traces more fails."""
        if self.at_edge:
            return self._hurt_at_edge
        lifted = [
            (request.route, self._profiles[trace.trace_id])
            for request, trace in self.incident.during.kept
            if any(
                self.lifts(request.route).get(operation, 0.0) > 0
                for operation in self._profiles[trace.trace_id].failed_at
            )
        ]
        return tuple(Victim(each, route, "inside", 1 / len(lifted)) for route, each in lifted)

    @cached_property
    def at_edge(self) -> bool:
        """Whether requests are hurt whose traces are there."""
        return any(r.trace_id in self.harm.hurt for r, _ in self.incident.during.kept)

    @cached_property
    def _hurt_at_edge(self) -> tuple[Victim, ...]:
        stands_for = weights(self.harm, (request for request, _ in self.incident.during.kept))
        total = sum(stands_for.values())
        return tuple(
            Victim(
                self._profiles[request.trace_id],
                request.route,
                self.harm.hurt[request.trace_id].how,
                stands_for[request.trace_id] / total,
            )
            for request, _ in self.incident.during.kept
            if request.trace_id in stands_for
        )

    def lifts(self, route: str) -> Mapping[Operation, float]:
        """By how much more often than before each operation is where a request of it fails."""
        return self._lifts.get(route, {})

    @cached_property
    def _lifts(self) -> Mapping[str, Mapping[Operation, float]]:
        routes: dict[str, list[Profile]] = defaultdict(list)
        for request, _ in self.incident.during.kept:
            if not self.at_edge or request.trace_id in self.harm.hurt:
                routes[request.route].append(self._profiles[request.trace_id])
        return {route: self._lifts_of(route, Usual(found)) for route, found in routes.items()}

    def _lifts_of(self, route: str, now: Usual) -> Mapping[Operation, float]:
        past, found = self.usual_of(route), {}
        for operation, count in now.failing.items():
            counts = count, len(now.profiles)
            usual = past.failing.get(operation, 0), len(past.profiles)
            if is_more(*counts, *usual, self.tuning) or self._few_and_all_new(counts, usual):
                found[operation] = counts[0] / counts[1] - usual[0] / max(1, usual[1])
        return found

    def _few_and_all_new(self, counts: tuple[int, int], usual: tuple[int, int]) -> bool:
        """Whether nearly all of a few traces fail where none did: too few for a deviation."""
        return self.at_edge and counts[0] >= counts[1] / 2 and usual[0] <= usual[1] / 10

    @cached_property
    def charges(self) -> tuple[Charge, ...]:
        """What all victims hold against whom; in sum at most 1."""
        return tuple(
            Charge(each.share * victim.weight, each.span, each.trace, _sign_of(each))
            for victim in self.victims
            for each in self._charges_of(victim)
        )

    def _charges_of(self, victim: Victim) -> Sequence[Charge]:
        usual = self.usual_of(victim.route)
        lifts = {} if victim.how == "slow" else self.lifts(victim.route)
        failed = charges_of_failure(victim.profile, lifts, usual, self.tuning)
        return failed or charges_of_delay(victim.profile, usual)

    @cached_property
    def callers(self) -> tuple[Operation, ...]:
        """Every operation that calls somebody who is named."""
        everyone = dict.fromkeys((*self.usual.durations_ms, *self.during.durations_ms))
        return tuple(each for each in everyone if each.kind is Kind.CLIENT and each.peer)

    @cached_property
    def _profiles(self) -> Mapping[str, Profile]:
        return {each.trace_id: profile_of(each) for each in self.incident.during.everything}

    @cached_property
    def _before(self) -> Mapping[str, list[Profile]]:
        return _by_route(self.incident.before)

    @cached_property
    def _usual_of(self) -> Mapping[str, Usual]:
        return {route: Usual(found) for route, found in self._before.items() if route}


def _by_route(period: Period) -> Mapping[str, list[Profile]]:
    """Profiles by the route of their request; what no request began stands under none."""
    found: dict[str, list[Profile]] = defaultdict(list)
    for request, trace in period.kept:
        found[request.route].append(profile_of(trace))
    for trace in period.background:
        found[""].append(profile_of(trace))
    return found


def _sign_of(charge: Charge) -> Sign:
    return (
        Sign.WAIT if is_wait_for_slot(charge.span) and charge.sign is not Sign.CUT else charge.sign
    )
