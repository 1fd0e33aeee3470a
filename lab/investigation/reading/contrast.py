"""What sets the hurt requests apart from the healthy ones: attribute by attribute. Pure.

The idea is that of an analyst's *selection against baseline*: for each value the share of
hurt traces that show it beside the share of healthy ones. Each trace counts for as many
requests as it stands for (`lab.domain.strata`). Nothing of the scenario is read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from lab.domain.evidence import Evidence
from lab.domain.load import Request, Window
from lab.domain.trace import AttributeValue, Span, Status, Trace
from lab.investigation.reading.impact import hurt_requests

LEAST_DIFFERENCE: Final = 0.10
"""Values whose shares differ by less say nothing."""

LONGEST_VALUE: Final = 120

_LEFT_OUT: Final = frozenset({"order_id", "url.full", "url.query", "tenant_id"})
"""What differs from request to request by its nature; the tenant is the request's own."""


_LIVES_WITH_ITS_PROCESS: Final = frozenset({"db.connection.id"})
"""Attributes that say nothing across a restart, so only the same incident is compared."""

FEWEST_UNHURT: Final = 5
"""And only with at least so many of it: a single trace is all of one connection's."""

FEWEST_HURT: Final = 0.02
"""Where a smaller share of the incident's requests is hurt, the harm is not seen at the edge."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """One value and in how many kept traces it stands; ``unhurt`` are others of the same incident.

    The shares are of the requests that those traces stand for. ``where`` is ``request`` for what
    the shopper knew, else the service whose spans say it.
    """

    where: str
    key: str
    value: str
    hurt: int
    healthy: int
    unhurt: int
    hurt_share: float
    healthy_share: float
    unhurt_share: float

    @property
    def difference(self) -> float:
        """By how much more (or, below 0, less) of the hurt ones show it."""
        if self.key in _LIVES_WITH_ITS_PROCESS:
            return self.hurt_share - self.unhurt_share if self.unhurt_share else 0.0
        return self.hurt_share - self.healthy_share


@dataclass(frozen=True, slots=True)
class Contrasts:
    """The rows, what is new before what is gone, and how many kept traces were compared.

    With ``at_edge`` the hurt ones were told by what the edge answered; else hardly any was,
    and the whole incident stands in for them. The others are of routes on which somebody was
    hurt: of another one nearly everything differs.
    """

    rows: tuple[Contrast, ...]
    at_edge: bool
    hurt: int
    healthy: int
    unhurt: int


Fact = tuple[str, str, str]
_Weighed = tuple[frozenset[Fact], float]


def contrasts(evidence: Evidence, *, limit: int = 40) -> Contrasts:
    """Compare the traces of hurt requests with whole ones of the reference, and with the rest."""
    before, during = (
        [each for each in evidence.requests if each.window is window]
        for window in (Window.REFERENCE, Window.CRIME)
    )
    hurt_ids = {request.trace_id for request in hurt_requests(evidence)}
    at_edge = len(hurt_ids) >= FEWEST_HURT * len(during)
    hurt = [each for each in during if each.trace_id in hurt_ids or not at_edge]
    unhurt = [each for each in during if each.trace_id not in hurt_ids and at_edge]
    groups = (hurt, before, unhurt)
    routes = {each.route for each in hurt}
    traces = [
        list(_kept_facts(evidence, (each for each in group if each.route in routes)))
        for group in groups
    ]
    rows = [*_compare([list(map(_request_facts, group)) for group in groups]), *_compare(traces)]
    telling = _without_echoes([row for row in rows if abs(row.difference) >= LEAST_DIFFERENCE])
    telling.sort(key=_order)
    return Contrasts(tuple(telling[:limit]), at_edge, *(len(each) for each in traces))


def _order(row: Contrast) -> tuple[object, ...]:
    """What is new before what is gone, the greatest difference first."""
    is_gone = row.difference < 0
    return is_gone, -abs(row.difference), row.where != "request", row.where, row.key, row.value


def _without_echoes(rows: list[Contrast]) -> list[Contrast]:
    """Less what is gone only because its service was not reached at all."""
    unreached = {row.where: row.difference for row in rows if row.key == "reached"}
    return [
        row
        for row in rows
        if row.key == "reached"
        or row.difference > 0
        or row.difference < unreached.get(row.where, 0.0) - 0.05
    ]


def _compare(groups: Sequence[Collection[_Weighed]]) -> Iterator[Contrast]:
    """A row for each fact of the first two groups: hurt, healthy, and the rest of the incident."""
    if not groups[0] or not groups[1]:
        return
    counts, sums = [], []
    for group in groups:
        count, weights = Counter[Fact](), Counter[Fact]()
        for facts, weight in group:
            count.update(facts)
            weights.update(dict.fromkeys(facts, weight))
        counts.append(count)
        sums.append((weights, sum(weight for _, weight in group)))
    few = len(groups[2]) < FEWEST_UNHURT
    for fact in counts[0] | counts[1]:
        if few and fact[1] in _LIVES_WITH_ITS_PROCESS:
            continue
        shares = [weights[fact] / total if total else 0.0 for weights, total in sums]
        yield Contrast(*fact, *(count[fact] for count in counts), *shares)


def _request_facts(request: Request) -> _Weighed:
    """What the shopper knew; all requests are counted, so each stands for itself."""
    facts = {
        ("request", "route", request.route),
        ("request", "tenant", request.tenant),
        ("request", "status", str(request.status or "no answer")),
    }
    return frozenset(facts), 1.0


def _kept_facts(evidence: Evidence, requests: Iterable[Request]) -> Iterator[_Weighed]:
    """Those of the requests' traces that the case keeps whole."""
    for each in requests:
        trace = evidence.traces.get(each.trace_id)
        if trace is not None and trace.is_whole:
            yield _trace_facts(trace), evidence.weight(each.trace_id)


def _trace_facts(trace: Trace) -> frozenset[Fact]:
    return frozenset(
        fact for span in trace for fact in ((span.service, "reached", "yes"), *_span_facts(span))
    )


def _span_facts(span: Span) -> Iterator[Fact]:
    peer = f" → {span.peer}" if span.peer else ""
    yield (span.service, "span", f"{span.name}{peer}")
    if span.status is Status.ERROR:
        yield (span.service, "error at", f"{span.name}{peer}")
    for kind in span.exceptions:
        yield (span.service, "exception", kind)
    for key, value in span.attributes.items():
        text = _text(value)
        if text is not None and key not in _LEFT_OUT:
            yield (span.service, key, text)


def _text(value: AttributeValue) -> str | None:
    """A value that may stand in many traces; measured numbers hardly ever do."""
    if isinstance(value, float | tuple):
        return None
    text = str(value)
    return text if 0 < len(text) <= LONGEST_VALUE else None
