"""What sets the hurt requests apart from the healthy ones: by what is said, by how much. Pure.

The idea is that of an analyst's *selection against baseline*. All is ranked by one measure,
Cliff's delta (N. Cliff, *Dominance statistics*, Psychological Bulletin 114, 1993, pages 494 to
509): how much likelier a hurt trace has the greater number than a healthy one, less how much
likelier it has the smaller one. At 1 or -1 both are told apart by it without an error, at 0 it
tells nothing. Of what a trace says or does not say, that is the difference of the two shares.

Each trace counts for as many requests as it stands for (`lab.domain.strata`). Nothing of the
scenario is read.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from typing import Final

from lab.domain.evidence import Evidence
from lab.domain.load import Request, Window, weighted_percentile
from lab.domain.rows import wire_of
from lab.domain.trace import AttributeValue, Span, Status, Trace
from lab.frozen import dataclass
from lab.investigation.reading.background import background_traces
from lab.investigation.reading.impact import hurt_requests

CONTRAST: Final = "contrast"
"""What the ledger calls the use of it."""

LEAST_DIFFERENCE: Final = 0.10
"""Values whose shares differ by less say nothing."""

CHANCE: Final = 2.6
"""And by less than so many standard errors: two halves of one crowd differ as much, once in 100."""

LEAST_FACTOR: Final = 1.25
"""Amounts whose medians are nearer say nothing, however sure it is that they differ."""

LONGEST_VALUE: Final = 120

_LEFT_OUT: Final = frozenset({"order_id", "url.full", "url.query", "tenant_id"})
"""What differs from request to request by its nature; the tenant is the request's own."""

_OWN_WORDS: Final = frozenset({"reached", "span", "error at", "exception"})
"""What is no attribute, so no identifier either."""

_NAMES_SOMETHING: Final = ("id", "port", "code", "pid")
"""The last word of an attribute whose number is a name, and no amount."""

MOST_VALUES: Final = 5
"""A number with more values than these is an amount; with fewer, each value stands for itself."""

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
class Amount:
    """How long, how much or how often, with the medians; ``unhurt`` is None where nobody was.

    ``quantity`` is *took* (the longest in a trace), *self* or *wire* (the sum over a trace) of an
    ``operation``, all in ms; its *calls* (the most under one parent); or the name of an attribute
    of ``where`` (its greatest value), and then there is no ``operation``. ``separation`` is
    Cliff's delta, hurt against healthy. With ``begun_by`` *nobody* it is of traces that no
    request began, those of the incident against those of before.
    """

    where: str
    operation: str
    quantity: str
    hurt: float
    healthy: float
    unhurt: float | None
    separation: float
    begun_by: str = "request"

    @property
    def is_time(self) -> bool:
        """Whether its numbers are ms."""
        return self.quantity in _TIMES or self.quantity.endswith("_ms")

    @property
    def factor(self) -> float:
        """How many times the healthy median; 1 ms, or one, more on both sides tames tiny ones."""
        return (1 + max(0.0, self.hurt)) / (1 + max(0.0, self.healthy))


_TIMES: Final = frozenset({"took", "self", "wire"})


@dataclass(frozen=True, slots=True)
class Contrasts:
    """The rows, what is new before what is gone, and how many kept traces were compared.

    ``amounts`` are those that separate best first, and of equals those that changed most.

    With ``at_edge`` the hurt ones were told by what the edge answered; else hardly any was,
    and the whole incident stands in for them. The others are of routes on which somebody was
    hurt: of another one nearly everything differs.
    """

    rows: tuple[Contrast, ...]
    at_edge: bool
    hurt: int
    healthy: int
    unhurt: int
    amounts: tuple[Amount, ...] = ()


MOST_OF_A_KIND: Final = 500
"""Of hurt, healthy and other traces: more of them move a share by no more than chance does."""

Fact = tuple[str, str, str]
_Weighed = tuple[frozenset[Fact], float]


def contrasts(evidence: Evidence, *, limit: int = 40) -> Contrasts:
    """Compare the traces of hurt requests with whole ones of the reference, and with the rest.

    Of rows and of amounts ``limit`` each.
    """
    before, during = (
        [each for each in evidence.requests if each.window is window]
        for window in (Window.REFERENCE, Window.CRIME)
    )
    hurt_ids = {request.trace_id for request in hurt_requests(evidence)}
    evidence = _few(evidence, hurt_ids)
    at_edge = len(hurt_ids) >= FEWEST_HURT * len(during)
    hurt = [each for each in during if each.trace_id in hurt_ids or not at_edge]
    unhurt = [each for each in during if each.trace_id not in hurt_ids and at_edge]
    routes = {each.route for each in hurt}
    groups = (hurt, before, unhurt)
    kept = [
        list(_kept(evidence, (each for each in group if each.route in routes))) for group in groups
    ]
    facts = [[(_trace_facts(trace), weight) for trace, weight in group] for group in kept]
    rows = [
        *_compare([list(map(_request_facts, group)) for group in groups]),
        *_without_identifiers(list(_compare(facts)), facts),
    ]
    telling = _without_echoes([row for row in rows if abs(row.difference) >= LEAST_DIFFERENCE])
    telling.sort(key=_order)
    return Contrasts(
        tuple(telling[:limit]),
        at_edge,
        hurt=len(kept[0]),
        healthy=len(kept[1]),
        unhurt=len(kept[2]),
        amounts=_amounts(evidence, kept)[:limit],
    )


def _few(evidence: Evidence, hurt_ids: Collection[str]) -> Evidence:
    """Of thousands of requests some of each kind, evenly over time; each stands for its like."""
    if len(evidence.traces) <= 3 * MOST_OF_A_KIND:
        return evidence
    kinds: dict[object, list[str]] = {}
    for each in evidence.requests:
        kinds.setdefault((each.window, each.trace_id in hurt_ids), []).append(each.trace_id)
    few = {each for ids in kinds.values() for each in ids[:: -(-len(ids) // MOST_OF_A_KIND)]}
    kept = (key for key in evidence.traces if key in few or key not in evidence.request_of)
    traces = {each: evidence.traces[each] for each in kept}
    return replace(evidence, traces=traces, whole_ids=None)


def _order(row: Contrast) -> tuple[object, ...]:
    """What is new before what is gone, the greatest difference first; names of lines at the end."""
    is_gone, is_line = row.difference < 0, row.key in _LIVES_WITH_ITS_PROCESS
    asked = row.where != "request"
    return is_line, is_gone, -abs(row.difference), asked, row.where, row.key, row.value


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


def _without_identifiers(
    rows: Iterable[Contrast], groups: Iterable[Collection[_Weighed]]
) -> Iterator[Contrast]:
    """Less what is another in nearly every trace, and numbers of many values."""
    bearers, values = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    seen = [facts for group in groups for facts, _ in group]
    for facts in seen:
        bearers.update({(where, key) for where, key, _ in facts})
    values.update((where, key) for where, key, _ in frozenset[Fact]().union(*seen))
    for row in rows:
        named = row.where, row.key
        is_identifier = values[named] > bearers[named] / 2 and bearers[named] > MOST_VALUES
        is_amount = values[named] > MOST_VALUES and _is_number(row.key, row.value)
        if row.key in _OWN_WORDS or not (is_identifier or is_amount):
            yield row


def _is_number(key: str, value: str) -> bool:
    """Whether it counts or measures something, by its name and by what it says."""
    return value.removeprefix("-").isdigit() and not _is_a_name(key)


@lru_cache(maxsize=1024)
def _is_a_name(key: str) -> bool:
    return key.replace("_", ".").rpartition(".")[2] in _NAMES_SOMETHING


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
        row = Contrast(*fact, *(count[fact] for count in counts), *shares)
        if not _may_be_chance(row, [len(group) for group in groups]):
            yield row


def _may_be_chance(row: Contrast, sizes: Sequence[int]) -> bool:
    """Whether two halves of one crowd would differ as much (the test of two proportions)."""
    others = sizes[2] if row.key in _LIVES_WITH_ITS_PROCESS else sizes[1]
    if not others:
        return True
    share = (row.hurt_share * sizes[0] + (row.hurt_share - row.difference) * others) / (
        sizes[0] + others
    )
    error = math.sqrt(max(0.0, share * (1 - share)) * (1 / sizes[0] + 1 / others))
    return abs(row.difference) < CHANCE * error


def _request_facts(request: Request) -> _Weighed:
    """What the shopper knew; all requests are counted, so each stands for itself."""
    status = str(request.status or "no answer")
    told = ("route", request.route), ("tenant", request.tenant), ("status", status)
    return frozenset(("request", *each) for each in told), 1.0


def _kept(evidence: Evidence, requests: Iterable[Request]) -> Iterator[tuple[Trace, float]]:
    """Those of the requests' traces that the case keeps whole, each with its weight."""
    for each in requests:
        trace = evidence.traces.get(each.trace_id)
        if trace is not None and trace.is_whole:
            yield trace, evidence.weight(each.trace_id)


def _trace_facts(trace: Trace) -> frozenset[Fact]:
    found = {(span.service, "reached", "yes") for span in trace}
    for span in trace:
        service, operation = span.service, _operation(span)
        found.add((service, "span", operation))
        if span.status is Status.ERROR:
            found.add((service, "error at", operation))
        found.update((service, "exception", kind) for kind in span.exceptions)
        for key, value in span.attributes.items():
            text = value if isinstance(value, str) else _text_of(value)
            if 0 < len(text) <= LONGEST_VALUE and key not in _LEFT_OUT:
                found.add((service, key, text))
    return frozenset(found)


def _text_of(value: AttributeValue) -> str:
    """Empty for measured numbers, which hardly ever stand in many traces, and for lists."""
    return "" if isinstance(value, _NO_TEXT) else str(value)


_NO_TEXT: Final = (float, tuple)
_NUMBERS: Final = (int, float)
"""Tuples, for a union would be made anew for each of some ten thousand attributes."""


# --- how long, how much, how often --------------------------------------------------------

_Quantity = tuple[str, str, str]
_Kept = Sequence[tuple[Trace, float]]
_Measured = Sequence[tuple[float, float]]
"""A value and the weight of its trace, once for each trace that has it."""


def _amounts(evidence: Evidence, kept: Sequence[_Kept]) -> tuple[Amount, ...]:
    """Of the kept traces of hurt, healthy and unhurt requests, and of what no request began."""
    found = [*_compare_amounts(kept), *_compare_amounts(_begun_by_nobody(evidence), "nobody")]
    telling = [each for each in found if not 1 / LEAST_FACTOR < each.factor < LEAST_FACTOR]
    return tuple(sorted(telling, key=_by_separation))


def _by_separation(amount: Amount) -> tuple[object, ...]:
    """Steps of a twentieth: of what separates alike, that which changed by the greater factor."""
    step = round(abs(amount.separation) * 20)
    return -step, -abs(math.log(amount.factor)), amount.where, amount.operation, amount.quantity


def _begun_by_nobody(evidence: Evidence) -> Sequence[_Kept]:
    """The whole traces of the incident, of before, and of nothing that would be unhurt."""
    whole = [trace for trace in background_traces(evidence) if trace.is_whole]
    windows = [evidence.windows.get(each) for each in (Window.CRIME, Window.REFERENCE)]
    return (
        *(
            [(each, 1.0) for each in whole if window and each.spans[0].start_ns / 1e9 in window]
            for window in windows
        ),
        (),
    )


def _compare_amounts(kept: Sequence[_Kept], begun_by: str = "request") -> Iterator[Amount]:
    """Each quantity that separates the first two groups by more than chance would."""
    sizes = [len(group) for group in kept]
    if not sizes[0] or not sizes[1]:
        return
    chance = CHANCE * 2 * math.sqrt((sizes[0] + sizes[1] + 1) / (12 * sizes[0] * sizes[1]))
    groups = [_measured(group) for group in kept]
    totals = [sum(weight for _, weight in group) for group in kept]
    for key in groups[0].keys() & groups[1].keys():
        hurt, healthy = groups[0][key], groups[1][key]
        delta = _cliffs_delta(hurt, healthy) / (totals[0] * totals[1])
        if abs(delta) >= max(chance, LEAST_DIFFERENCE) and not _stays_a_name(groups, key):
            medians = [_median(group.get(key, ())) for group in groups]
            yield Amount(*key, medians[0] or 0.0, medians[1] or 0.0, medians[2], delta, begun_by)


def _stays_a_name(groups: Sequence[Mapping[_Quantity, _Measured]], key: _Quantity) -> bool:
    """Whether it is an attribute of so few values that the rows have each of them."""
    if key[1]:
        return False
    return len({value for group in groups for value, _ in group.get(key, ())}) <= MOST_VALUES


def _median(values: _Measured) -> float | None:
    return weighted_percentile(values, 0.5) if values else None


def _cliffs_delta(ones: _Measured, others: _Measured) -> float:
    """The weight of all pairs in which one is greater, less of those in which it is smaller."""
    ordered = sorted(others)
    values = [value for value, _ in ordered]
    reached = [0.0, *accumulate(weight for _, weight in ordered)]
    return sum(
        weight
        * (
            reached[bisect_left(values, value)]
            - (reached[-1] - reached[bisect_right(values, value)])
        )
        for value, weight in ones
    )


def _measured(kept: _Kept) -> Mapping[_Quantity, _Measured]:
    found: dict[_Quantity, list[tuple[float, float]]] = {}
    for trace, weight in kept:
        for key, value in _quantities(trace).items():
            found.setdefault(key, []).append((value, weight))
    return found


def _quantities(trace: Trace) -> Mapping[_Quantity, float]:
    found: dict[_Quantity, float] = {}
    calls: dict[tuple[str | None, str, str], int] = {}
    for span in trace:
        owner = span.service, _operation(span)
        call = span.parent_id, *owner
        calls[call] = calls.get(call, 0) + 1
        for key, value in span.attributes.items():
            if isinstance(value, _NUMBERS) and not (isinstance(value, bool) or _is_a_name(key)):
                named = span.service, "", key
                found[named] = max(found.get(named, value), float(value))
        if not span.is_timed:
            continue
        wire = wire_of(trace, span)
        own_ms = trace.self_time_ms(span) if wire is None else wire.length_ms
        own = *owner, "self" if wire is None else "wire"
        found[own] = found.get(own, 0.0) + own_ms
        if trace.children(span):  # Else it is all its own.
            found[*owner, "took"] = max(found.get((*owner, "took"), 0.0), span.duration_ms)
    for (_, service, operation), count in calls.items():
        called = service, operation, "calls"
        found[called] = max(found.get(called, 0), count)
    return found


def _operation(span: Span) -> str:
    peer = span.peer
    return f"{span.name} ({peer})" if peer else span.name
