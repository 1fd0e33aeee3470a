"""For how many requests a kept trace stands: a case keeps some traces, and counts all requests.

The requests of a window fall into strata of their like. A kept trace stands for the requests of
its stratum over the traces kept of it, so that the weights of a stratum add up to its requests:
post-stratification, as of W. G. Cochran, *Sampling Techniques* (3rd ed., 1977), section 5A.9. A
stratum of which no trace is kept is stood for by nobody, and said so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from lab.domain.load import Request
from lab.frozen import dataclass

if TYPE_CHECKING:
    # Whoever only looks at traces does not wait for the language of scenarios.
    from lab.domain.symptom import Counts

Part = Sequence[Request]


def kind(request: Request) -> Hashable:
    """What requests of which one may stand for another have in common, whatever they came to."""
    failed, rejected = request.is_server_error, request.is_rejected
    return request.window, request.route, request.actor, failed, rejected


def size(request: Request) -> tuple[int, int]:
    """How often answer and latency double, so that of two alike none is twice the other.

    A page of 200 kB stands for no page of 3 kB, a slow answer for no quick one.
    """
    return request.answer_bytes.bit_length(), int(request.latency_ms).bit_length()


def recorded(request: Request, counts: Counts) -> tuple[int, ...]:
    """Of each of the records that a case keeps, whether it has none, one or more."""
    return tuple(min(counts[name].get(request.trace_id, 0), 2) for name in sorted(counts))


HEAVY_SHARE = 0.1
"""A trace that stands for more of a window's requests, and for twice its part, moves a median."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How many ``traces`` are kept of a window, and how many of its ``requests`` they stand for.

    ``heaviest`` is for how many that one stands which stands for the most.
    """

    traces: int
    stands_for: int
    requests: int
    heaviest: float = 0.0

    def __str__(self) -> str:
        """For people: ``44 kept traces, which stand for 310 of 320 requests``."""
        of = "all of" if self.stands_for == self.requests else f"{self.stands_for} of"
        told = f"{self.traces} kept traces, which stand for {of} {self.requests} requests"
        return f"{told}, one alone for {self.heaviest:.0f}" if self.is_lopsided else told

    @property
    def is_lopsided(self) -> bool:
        """Whether a median of theirs may be that of one trace."""
        usual = self.stands_for / max(self.traces, 1)
        return self.heaviest > max(HEAVY_SHARE * self.requests, 2 * usual)


def stands_for(
    requests: Iterable[Request], kept: Collection[str], counts: Counts
) -> Mapping[str, float]:
    """Trace id → for how many requests it stands, of each of ``kept`` that is a request's.

    A stratum is of one `kind`, one `size`, and alike `recorded`; in a record that last only where
    some trace is kept of all that differ in it, for what a sampler burned is stood for by what
    it left.
    """
    weights: dict[str, float] = {}
    for members in _parted(requests, kind):
        alike = [members]
        for name in counts:
            record = {name: counts[name]}
            alike = list(
                chain.from_iterable(_parted_where_kept(part, record, kept) for part in alike)
            )
        for stratum in chain.from_iterable(_parted(part, size) for part in alike):
            here = [each.trace_id for each in stratum if each.trace_id in kept]
            weights |= {trace_id: len(stratum) / len(here) for trace_id in here}
    return weights


def _parted_where_kept(requests: Part, record: Counts, kept: Collection[str]) -> Sequence[Part]:
    parts = _parted(requests, lambda each: recorded(each, record))
    if all(any(each.trace_id in kept for each in part) for part in parts):
        return parts
    return (requests,)


def _parted(requests: Iterable[Request], by: Callable[[Request], Hashable]) -> Sequence[Part]:
    parts: dict[Hashable, list[Request]] = defaultdict(list)
    for each in requests:
        parts[by(each)].append(each)
    return tuple(parts.values())


def standing(weight: float) -> str:
    """For people, behind a trace: ``stands for 3.2 requests like it``."""
    return "stands for itself" if weight == 1 else f"stands for {weight:.3g} requests like it"
