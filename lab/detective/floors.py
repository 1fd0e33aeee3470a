"""What anybody would try first: floors that a detective has to beat, and a case to stand above."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Container, Mapping, Sequence
from statistics import fmean
from typing import Final

from lab.detective.hurt import harm_at_edge
from lab.detective.incident import Incident
from lab.detective.profile import Profile, Usual, profile_of
from lab.detective.tuning import Tuning
from lab.domain.reference import Operation
from lab.domain.trace import Status

Ranking = Sequence[Operation]


class Seen:
    """The traces of a case as a naive method takes them: hurt ones, or all where none is."""

    def __init__(self, incident: Incident, hurt: Container[str] | None = None) -> None:
        during = incident.during
        if hurt is None:
            hurt = harm_at_edge(incident, Tuning()).hurt
        traces = [trace for request, trace in during.kept if request.trace_id in hurt]
        self.hurt = [profile_of(t) for t in traces or [t for _, t in during.kept]]
        self.usual = Usual([profile_of(t) for _, t in incident.before.kept])

    def pick(self, operation: Operation) -> tuple[str, str] | None:
        """The operation's run that lasted as long as most (the upper quartile), by its two ids."""
        runs = sorted(
            (span for each in self.hurt for span in each.spans.get(operation, ())),
            key=lambda span: span.duration_ms,
        )
        chosen = runs[len(runs) * 3 // 4] if runs else None
        return (chosen.trace_id, chosen.span_id) if chosen else None


def deepest_error(seen: Seen) -> Ranking:
    """The errors under which there is no other, as TraceQL finds them."""
    counts: dict[Operation, int] = defaultdict(int)
    for profile in seen.hurt:
        for span in profile.trace.deepest_errors():
            # {status=error} &>> {status=error}: below another error.
            if any(each.status is Status.ERROR for each in profile.trace.ancestors(span)):
                counts[Operation.of(span)] += 1
    return sorted(counts, key=lambda each: -counts[each])


def largest_self_time(seen: Seen) -> Ranking:
    """Who had the most time of its own in the hurt traces."""
    times = _self_times(seen.hurt)
    return sorted(times, key=lambda each: -times[each])


def largest_growth(seen: Seen) -> Ranking:
    """Whose own time grew most against the reference."""
    now, past = _self_times(seen.hurt), _self_times(seen.usual.profiles)
    return sorted(now, key=lambda each: past.get(each, 0.0) - now[each])


def error_else_growth(seen: Seen) -> Ranking:
    """The deepest error where there is one, else the largest growth."""
    return deepest_error(seen) or largest_growth(seen)


def _self_times(profiles: Sequence[Profile]) -> Mapping[Operation, float]:
    """Self time of each operation, a trace."""
    values: dict[Operation, list[float]] = defaultdict(list)
    for profile in profiles:
        for operation, spans in profile.spans.items():
            values[operation].append(sum(map(profile.trace.self_time_ms, spans)))
    return {each: fmean(found) * len(found) / len(profiles) for each, found in values.items()}


NAIVE: Final[Mapping[str, Callable[[Seen], Ranking]]] = {
    "deepest error (`{status=error} &>> {status=error}`)": deepest_error,
    "largest self time": largest_self_time,
    "largest growth of self time": largest_growth,
    "deepest error, else largest growth": error_else_growth,
}
