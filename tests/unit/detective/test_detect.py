"""The detective over every recorded case: right mostly, blind to what it must not know, honest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from lab.detective.answer import Answer
from lab.detective.detect import detect
from lab.detective.incident import EdgeRequest, Incident, Period, incident_of
from lab.domain.accusation import Accusation
from lab.domain.evidence import Evidence, Sample
from lab.domain.mechanism import Mechanism, Scope
from lab.domain.trace import Kind, Span, Trace
from lab.domain.verdict import DID_IT
from lab.investigation.solving.judge import judge
from lab.terminal.detection import said
from tests.support.recorded_cases import RECORDINGS, recorded

every_recording = pytest.mark.parametrize("name", RECORDINGS)


@cache
def answer_of(name: str) -> Answer:
    return detect(incident_of(recorded(name).evidence))


def is_right(name: str) -> bool:
    """Whether accusing as the detective does finds who did it, by whatever mechanism."""
    case, suspect = recorded(name), answer_of(name).first
    if case.scenario.truth.is_nobody:
        return suspect is None and answer_of(name).accuses_nobody
    if suspect is None:
        return False
    accusation = Accusation(suspect.examples[:1], (suspect.mechanism,))
    found = judge(case.scenario, case.evidence, accusation).verdict
    return found in DID_IT


def numbers(answer: Answer) -> list[tuple[Any, ...]]:
    """The ranking without names."""
    return [
        (round(each.score, 6), each.mechanism, each.examples, each.doubt is None)
        for each in answer.suspects
    ]


def test_it_finds_who_did_it_in_most_cases() -> None:
    """What `bench/detective.md` promises of the recorded ones."""
    wrong = [name for name in RECORDINGS if not is_right(name)]
    assert len(wrong) <= 0.15 * len(RECORDINGS), wrong


@every_recording
def test_it_speaks_in_sentences(name: str) -> None:
    """And compares the first suspect with the next one where there is a next one."""
    answer = answer_of(name)
    reasons = [reason for each in answer.suspects for reason in each.reasons]
    assert [each for each in reasons if each[0].islower() or not each.endswith(".")] == []
    if answer.first is not None and answer.cannot_tell is None:
        assert (", the next " in said(answer)) is (len(answer.suspects) > 1)


def test_nobody_is_accused_where_nobody_did_it() -> None:
    """A rise of refusals that the callee rightly made is no harm."""
    answer = answer_of("card-declined")
    assert answer.first is None
    assert answer.nobody > 0.8


def told_otherwise(evidence: Evidence) -> Evidence:
    """The same traces under other labels, without joins, records and what joins searched for."""
    kept = [
        trace_id
        for sample, ids in evidence.samples.items()
        if sample is not Sample.JOINED
        for trace_id in ids
    ]
    traces = {key: evidence.traces[key] for key in reversed(kept) if key in evidence.traces}
    samples = {Sample.RECOVERY: tuple(reversed(kept))}
    return replace(evidence, samples=samples, traces=traces, joins=(), records={})


@every_recording
def test_no_label_join_or_record_reaches_it(name: str) -> None:
    """Why a trace was kept, and what a scenario searched for, tells who is suspected."""
    answer = detect(incident_of(told_otherwise(recorded(name).evidence)))
    assert numbers(answer) == numbers(answer_of(name))
    assert (answer.nobody, answer.scope) == (answer_of(name).nobody, answer_of(name).scope)


def renamed(incident: Incident) -> Incident:
    """Every service and operation under a word that says nothing; the order of words is lost."""
    words: dict[str, str] = {}

    def word(name: str) -> str:
        return words.setdefault(name, f"w{(len(words) * 7919) % 10_007:05}")

    def one(span: Span) -> Span:
        peer = {"service.peer.name": word(span.peer)} if span.peer is not None else {}
        return replace(
            span,
            service=word(span.service),
            name=word(span.name),
            attributes={**span.attributes, **peer},
        )

    def period(old: Period) -> Period:
        traces = {k: Trace(k, tuple(map(one, t.spans))) for k, t in old.traces.items()}
        return replace(old, traces=traces)

    return Incident(period(incident.before), period(incident.during))


@every_recording
def test_names_carry_no_weight(name: str) -> None:
    """Under other names of services and operations the ranking is the same."""
    answer = detect(renamed(incident_of(recorded(name).evidence)))
    assert numbers(answer) == numbers(answer_of(name))


def part(period: Period, requests: Iterable[EdgeRequest]) -> Period:
    chosen = tuple(requests)
    ids = {each.trace_id for each in chosen}
    return Period(chosen, {k: t for k, t in period.traces.items() if k in ids})


@every_recording
def test_a_healthy_half_accuses_nobody_against_the_other(name: str) -> None:
    """The reference in two halves: whatever differs between them is chance."""
    before = incident_of(recorded(name).evidence).before
    ordered = sorted(before.requests, key=lambda each: each.start_s)
    middle = len(ordered) // 2
    early, late = part(before, ordered[:middle]), part(before, ordered[middle:])
    assert detect(Incident(early, late)).first is None
    assert detect(Incident(late, early)).first is None


def with_background(name: str) -> Answer:
    """The same with what else the case keeps, as if somebody had chosen it blindly."""
    evidence = recorded(name).evidence
    others = [t for key, t in evidence.traces.items() if key not in evidence.request_of]
    return detect(incident_of(evidence, others))


def purchase(number: int, start_s: float, update_s: float) -> Trace:
    """A checkout whose one statement takes so long; ten accounts take turns."""
    trace_id, account = f"{number + 1:032x}", {"account.id": f"acct-{number % 10}"}
    start_ns, took_ns = int(start_s * 1e9), int(update_s * 1e9)
    update = {"service.peer.name": "ledger_db", **account}
    # fmt: off
    return Trace(trace_id, (
        Span(trace_id, f"{number:015x}a", None, "POST /pay", Kind.SERVER, "payments",
             start_ns, start_ns + took_ns + 4_000_000),
        Span(trace_id, f"{number:015x}b", f"{number:015x}a", "UPDATE", Kind.CLIENT, "payments",
             start_ns + 2_000_000, start_ns + 2_000_000 + took_ns, attributes=update),
    ))
    # fmt: on


def audit(number: int, start_s: float, account: str) -> Trace:
    """A job of 3 s that holds what it names."""
    trace_id, start_ns = f"{number + 1:032x}", int(start_s * 1e9)
    held = {"account.id": account}
    span = Span(
        trace_id, f"{number:016x}", None, "audit", Kind.INTERNAL, "books",
        start_ns, start_ns + 3_000_000_000, attributes=held,
    )  # fmt: skip
    return Trace(trace_id, (span,))


def period_of(traces: Iterable[Trace], background: tuple[Trace, ...] = ()) -> Period:
    found = {each.trace_id: each for each in traces}
    asked = tuple(
        EdgeRequest(
            key, "POST /pay", 200, each.spans[0].duration_ms, "acme", each.spans[0].start_ns / 1e9
        )
        for key, each in found.items()
    )
    return Period(asked, found, background)


def kept_waiting() -> list[Trace]:
    """Four purchases of each of eight accounts, one after another while it is held."""
    waits = [(n, 2000 + 10 * n + k, 3.005 - k) for n in range(8) for k in (0.4, 0.9, 1.5, 2.1)]
    return [purchase(100 + 10 * i + n, at, took) for i, (n, at, took) in enumerate(waits)]


def test_who_held_the_lock_is_found_in_another_trace() -> None:
    """Without that trace it says that it cannot tell, and names a victim."""
    before = period_of(purchase(n, 1000 + n, 0.002) for n in range(40))
    audits = tuple(audit(900 + n, 2000 + 10 * n, f"acct-{n}") for n in range(8))
    alone = detect(Incident(before, period_of(kept_waiting())))
    found = detect(Incident(before, period_of(kept_waiting(), audits), sees_background=True))
    assert alone.cannot_tell is not None
    assert "held" in alone.cannot_tell
    assert found.first is not None
    assert found.first.operation.name == "audit"
    assert found.first.mechanism is Mechanism.LOCK_CONTENTION
    assert found.cannot_tell is None


def test_a_lock_of_something_else_is_no_holder() -> None:
    """Whoever ends at the same moments and names nothing that the victims name is innocent."""
    before = period_of(purchase(n, 1000 + n, 0.002) for n in range(40))
    strangers = tuple(audit(900 + n, 2000 + 10 * n, "elsewhere") for n in range(8))
    found = detect(Incident(before, period_of(kept_waiting(), strangers), sees_background=True))
    assert found.first is not None
    assert found.first.operation.name == "UPDATE"


def test_a_message_that_waited_is_seen_where_its_consumer_is() -> None:
    """Nobody at the edge waits for it."""
    found = with_background("late-email").first
    assert found is not None
    assert found.mechanism is Mechanism.QUEUE_LAG


def test_two_that_did_it_together_are_both_named() -> None:
    """The repeat, and the attempt that was lost although its callee had answered."""
    suspect = answer_of("charged-twice").first
    assert suspect is not None
    assert suspect.mechanism is Mechanism.RETRY_AMPLIFICATION
    assert suspect.partner is not None
    assert suspect.partner.mechanism is Mechanism.TIMEOUT


def without_traces(period: Period) -> Period:
    return replace(period, traces={})


@pytest.mark.parametrize("missing", ["before", "during"])
def test_without_traces_it_says_so(missing: str) -> None:
    """Nothing is guessed from requests alone."""
    incident = incident_of(recorded("slow-shelves").evidence)
    before, during = incident.before, incident.during
    if missing == "before":
        before = without_traces(before)
    else:
        during = without_traces(during)
    answer = detect(Incident(before, during))
    assert answer.first is None
    assert answer.cannot_tell is not None
    assert missing in answer.cannot_tell


SCOPES = {
    "slow-shelves": Scope.ALL,
    "gray-line": Scope.SOME_CONNECTIONS,
    "one-tenant-only": Scope.SOME_TENANTS,
    "every-other-minute": Scope.SOME_TIMES,
}


@pytest.mark.parametrize("name", SCOPES)
def test_whom_it_hit_is_told_by_whom_it_spared(name: str) -> None:
    """Connections, tenants, moments, or nobody."""
    assert answer_of(name).scope is SCOPES[name]
