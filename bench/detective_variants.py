"""Variants of a recorded incident, made by stated transformations; span ids stay as they are.

So an answer about a variant is judged on the case it was made from.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from detective_cases import Measured

from lab.detective.hurt import harm_at_edge
from lab.detective.incident import Incident, Period
from lab.detective.tuning import Tuning
from lab.domain.trace import Span, Trace

Change = Callable[[Span], Span | None]


@dataclass(frozen=True)
class Variant:
    """One incident, changed; ``kind`` says how."""

    kind: str
    of: Measured
    incident: Incident


def variants(case: Measured) -> Iterator[Variant]:
    """Every kind of variant of a case; each is the same whenever it is made."""
    for kind, make in KINDS.items():
        dice = random.Random(f"{kind} {case.name}")  # noqa: S311 -- no secret depends on it
        yield Variant(kind, case, make(case, dice))


def _sampled(share: float) -> Callable[[Measured, random.Random], Incident]:
    def make(case: Measured, dice: random.Random) -> Incident:
        def kept(period: Period) -> Period:
            some = {key: t for key, t in period.traces.items() if dice.random() < share}
            return replace(period, traces=some)

        return Incident(kept(case.incident.before), kept(case.incident.during))

    return make


def _few(case: Measured, dice: random.Random) -> Incident:
    """Five traces of each window, and where requests are hurt, five of theirs."""
    hurt = harm_at_edge(case.incident, Tuning()).hurt

    def five(period: Period, among: Mapping[str, object] | None) -> Period:
        keys = sorted(key for key in period.traces if not among or key in among)
        chosen = dice.sample(keys, min(5, len(keys)))
        return replace(period, traces={key: period.traces[key] for key in chosen})

    return Incident(five(case.incident.before, None), five(case.incident.during, hurt))


def _sick_reference(case: Measured, dice: random.Random) -> Incident:
    """A fifth of the reference's requests are taken out of the incident."""
    before, during = case.incident.before, case.incident.during
    count = len(before.requests) // 4
    with_trace = [each for each in during.requests if each.trace_id in during.traces]
    without = [each for each in during.requests if each.trace_id not in during.traces]
    few = dice.sample(with_trace, min(len(with_trace) // 2, len(before.traces) // 4))
    sick = [*few, *dice.sample(without, min(len(without), max(0, count - len(few))))]
    ids = {each.trace_id for each in sick}
    traces = {key: t for key, t in during.traces.items() if key in ids}
    return Incident(
        replace(before, requests=(*before.requests, *sick), traces={**before.traces, **traces}),
        replace(
            during,
            requests=tuple(each for each in during.requests if each.trace_id not in ids),
            traces={key: t for key, t in during.traces.items() if key not in ids},
        ),
    )


def _skewed(case: Measured, dice: random.Random) -> Incident:
    """The clock of each service but the first is wrong by up to 50 ms."""
    services = services_of(case.incident)
    off_ns = {each: dice.randint(-50_000_000, 50_000_000) for each in services}

    def change(span: Span) -> Span:
        off = off_ns[span.service]
        return replace(span, start_ns=span.start_ns + off, end_ns=span.end_ns + off)

    return changed(case.incident, change)


def _silent(case: Measured, dice: random.Random) -> Incident:
    """One service sends no spans, before and during; not the first one, nor the culprit's own."""
    asked = {root.service for _, t in case.incident.during.kept for root in t.roots}
    truth = case.case.scenario.truth
    culprits = {
        span.service
        for _, t in case.incident.during.kept
        for span in t
        if not truth.is_nobody and truth.mechanisms_of(span, t, case.case.evidence.reference_stats)
    }
    others = sorted(set(services_of(case.incident)) - asked - culprits)
    silent = dice.choice(others) if others else None
    return changed(case.incident, lambda span: None if span.service == silent else span)


def renamed(incident: Incident) -> Incident:
    """Every service and operation under a name that says nothing."""
    names: dict[str, str] = {}

    def name(word: str) -> str:
        return names.setdefault(word, f"n{len(names)}")

    def change(span: Span) -> Span:
        attributes = dict(span.attributes)
        if span.peer is not None:
            attributes["service.peer.name"] = name(span.peer)
        return replace(
            span, service=name(span.service), name=name(span.name), attributes=attributes
        )

    return changed(incident, change)


def _shuffled(case: Measured, dice: random.Random) -> Incident:
    """The spans of each trace in an order of chance, those that start together above all."""

    def shuffle(period: Period) -> Period:
        def one(trace: Trace) -> Trace:
            spans = list(trace.spans)
            dice.shuffle(spans)
            return Trace(trace.trace_id, tuple(sorted(spans, key=lambda each: each.start_ns)))

        keys = list(period.traces)
        dice.shuffle(keys)
        return replace(period, traces={key: one(period.traces[key]) for key in keys})

    return Incident(shuffle(case.incident.before), shuffle(case.incident.during))


def _noisy(case: Measured, dice: random.Random) -> Incident:
    """Each span ends up to 10 % earlier or later, and at least 2 ms."""

    def change(span: Span) -> Span:
        most = max(2_000_000, (span.end_ns - span.start_ns) // 10)
        end_ns = max(span.start_ns, span.end_ns + dice.randint(-most, most))
        return replace(span, end_ns=end_ns)

    return changed(case.incident, change)


def services_of(incident: Incident) -> list[str]:
    """Every service of which a span is there, by name."""
    periods = (incident.before, incident.during)
    return sorted({span.service for p in periods for t in p.everything for span in t})


def changed(incident: Incident, change: Change) -> Incident:
    """Every span as ``change`` makes it; it leaves out those of which it makes None."""

    def trace(old: Trace) -> Trace:
        spans = [new for span in old.spans if (new := change(span)) is not None]
        return Trace(old.trace_id, tuple(sorted(spans, key=lambda each: each.start_ns)))

    def period(old: Period) -> Period:
        return Period(
            old.requests,
            {key: trace(each) for key, each in old.traces.items()},
            tuple(map(trace, old.background)),
        )

    before, during = period(incident.before), period(incident.during)
    return Incident(before, during, incident.sees_background)


KINDS: Final[Mapping[str, Callable[[Measured, random.Random], Incident]]] = {
    "100 % of the traces": lambda case, _: case.incident,
    "20 % of the traces": _sampled(0.20),
    "20 % of the traces, again": _sampled(0.20),
    "5 % of the traces": _sampled(0.05),
    "five traces instead of a hundred": _few,
    "clocks up to 50 ms apart": _skewed,
    "a service that sends no spans": _silent,
    "services and operations renamed": lambda case, _: renamed(case.incident),
    "spans in another order": _shuffled,
    "ends of spans off by 10 %": _noisy,
    "a fifth of the reference sick": _sick_reference,
}
"""Kind → how a variant of it is made of a case and dice."""
