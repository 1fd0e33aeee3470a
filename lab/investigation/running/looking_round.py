"""What is kept beside the traces that a proof asks for, so that one can look round."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Final

from lab.domain.evidence import Sample
from lab.domain.load import Request, Window
from lab.domain.strata import kind, recorded, size
from lab.domain.symptom import Counts

FEW: Final = 3
"""Of each stratum of a window so many traces are kept, and of each tenant's on a route."""


def looked_round(
    requests: Iterable[Request],
    counts: Counts,
    chosen: Mapping[Sample, Collection[str]],
    most: int,
) -> Mapping[Sample, tuple[str, ...]]:
    """What is kept beside ``chosen``: at most ``most`` of the incident, half as many before it."""
    asked = frozenset(trace_id for ids in chosen.values() for trace_id in ids)
    ordered = sorted(requests, key=lambda request: request.start_s)

    def of(window: Window, count: int) -> tuple[str, ...]:
        return others([each for each in ordered if each.window is window], counts, asked, count)

    return {
        Sample.OTHERS: of(Window.CRIME, most),
        Sample.OTHERS_BEFORE: of(Window.REFERENCE, most // 2),
    }


def others(
    requests: Sequence[Request], counts: Counts, asked: Collection[str], most: int
) -> tuple[str, ...]:
    """Traces by which one can look round among one window's ``requests``, in order of time.

    ``FEW`` of each stratum and of each tenant on each route, with those that are ``asked`` for
    anyhow; first one of each, the most frequent strata before the rare, then a second.
    """
    strata: dict[Hashable, list[Request]] = defaultdict(list)
    tenants: dict[tuple[str, str], list[Request]] = defaultdict(list)
    for place in _spread(len(requests)):
        request = requests[place]
        strata[kind(request), size(request), recorded(request, counts)].append(request)
        tenants[request.route, request.tenant].append(request)
    groups = [
        *sorted(strata.values(), key=len, reverse=True),
        *(tenants[each] for each in sorted(tenants)),
    ]
    taken = set(asked)
    has = Counter((each.route, each.tenant) for each in requests if each.trace_id in taken)
    chosen: set[str] = set()
    for number in range(1, FEW + 1):
        for group in groups:
            left = [each for each in group if each.trace_id not in taken]
            if len(chosen) == most or not left or len(group) - len(left) >= number:
                continue
            # Of a stratum whoever's trace is rarest so far, so that it is not one tenant's alone.
            pick = min(left, key=lambda each: has[each.route, each.tenant])
            has[pick.route, pick.tenant] += 1
            taken.add(pick.trace_id)
            chosen.add(pick.trace_id)
    return tuple(each.trace_id for each in requests if each.trace_id in chosen)


def _spread(count: int) -> Iterator[int]:
    """0 to ``count`` less 1, in an order of which each beginning is spread over all of them.

    The digits of a place in base 2 are read backwards: van der Corput, 1935.
    """
    bits = max(0, count - 1).bit_length()
    for number in range(1 << bits):
        place = int(f"{number:0{bits}b}"[::-1], 2) if bits else 0
        if place < count:
            yield place
