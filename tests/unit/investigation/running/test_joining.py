"""Traces that belong to a request although they are not its own: found, joined, judged."""

from __future__ import annotations

from dataclasses import replace

import anyio
import pytest

from lab.adapters.memory.clock import FakeClock
from lab.adapters.memory.trace_store import MemoryTraceStore
from lab.domain.accusation import Accusation
from lab.domain.evidence import Evidence, Interval, Sample
from lab.domain.join import Join
from lab.domain.mechanism import Mechanism
from lab.domain.proof import Finding, Outcome
from lab.domain.trace import Link, Span, Trace
from lab.domain.verdict import VerdictClass
from lab.investigation.proof.prove import prove
from lab.investigation.reading.background import background_rows, background_traces
from lab.investigation.running import joining
from lab.investigation.running.recording import thinned
from lab.investigation.running.waiting import GIVE_UP_S
from lab.investigation.solving.judge import judge
from lab.scenario_file import load
from tests.support.evidence import SCENARIOS, Run
from tests.support.sample_case import sample_case
from tests.support.traces import client, internal, server, trace

CUT_THREAD = load(SCENARIOS / "cut-thread")
RUN = Interval(0.0, 60.0)


def checkout(trace_id: str, order: str, *, whole: bool) -> Trace:
    """A checkout that calls payments, whose half is there only where the trace is whole."""
    charge = [server("payments", "POST /charges", 2, 5)] if whole else []
    order_id = {"order_id": order}
    return trace(
        trace_id,
        client(
            "storefront", "POST /checkout", 0, 10, "gateway",
            client("checkout", "POST", 1, 7, "payments", *charge, attributes=order_id),
        ),
    )  # fmt: skip


def charged(trace_id: str, order: str) -> Trace:
    """What payments did, in a trace of its own."""
    return trace(
        trace_id, server("payments", "POST /charges", 2, 5, attributes={"order_id": order})
    )


def authorized(trace_id: str, order: str) -> Trace:
    """What the bank did, in a third."""
    return trace(trace_id, server("bank", "POST /a", 3, 1, attributes={"order_id": order}))


def cut_thread(broken: int = 20, whole: int = 0) -> Evidence:
    """A run in which checkouts broke in two; ids of orphans count from a thousand."""
    orders = iter(range(1000))
    run = (
        Run(CUT_THREAD)
        .add(Sample.REFERENCE, 20, lambda each: checkout(each, f"r{next(orders)}", whole=True))
        .add(Sample.AFFECTED, broken, lambda each: checkout(each, each, whole=False))
        .add(Sample.AFFECTED, whole, lambda each: checkout(each, each, whole=True))
        .add(Sample.AFFECTED, 100)
        .add(Sample.RECOVERY, 20, lambda each: checkout(each, f"r{next(orders)}", whole=True))
    )
    cut = [each.trace_id for each in run.samples[Sample.AFFECTED][:broken]]
    run.samples[Sample.JOINED] = [
        *(charged(f"{1000 + n:032x}", order) for n, order in enumerate(cut)),
        *(authorized(f"{2000 + n:032x}", order) for n, order in enumerate(cut)),
    ]
    return replace(run.evidence(), joins=CUT_THREAD.truth.joins)


def found_of(evidence: Evidence, check: str) -> list[Finding]:
    return [each for each in prove(CUT_THREAD, evidence).findings if each.check == check]


def accuse(evidence: Evidence, span: Span) -> VerdictClass:
    charge = ((span.trace_id, span.span_id),)
    accusation = Accusation(charge, (Mechanism.BROKEN_PROPAGATION,))
    return judge(CUT_THREAD, evidence, accusation).verdict


def test_orphans_belong_to_the_request_whose_attribute_they_share() -> None:
    evidence = cut_thread(broken=2)
    first, second = evidence.whole_traces(Sample.AFFECTED)
    assert [each.trace_id for each in first.joined] == [f"{1000:032x}", f"{2000:032x}"]
    assert evidence.joined_to(f"{1001:032x}") == (second,)
    assert evidence.joined_to(first.trace_id) == ()


def test_a_link_joins_what_it_points_from_to_what_it_points_to() -> None:
    """The consumer's trace belongs to the trace of the message that it links to."""
    sent, other = checkout("a" * 32, "1", whole=True), checkout("b" * 32, "2", whole=True)
    received = trace("c" * 32, server("notifier", "process outbox", 50, 1))
    link = Link(sent.trace_id, sent.spans[1].span_id)
    linked = Trace("c" * 32, (replace(received.spans[0], links=(link,)),))
    partners = Join(search="{ }").partners([sent, other], [linked, received])
    assert partners == {sent.trace_id: (linked,)}


def test_another_value_joins_nothing_and_nothing_joins_itself() -> None:
    mine = checkout("a" * 32, "1", whole=True)
    strangers = [charged("b" * 32, "2"), trace("c" * 32, server("payments", "POST /charges", 2, 5))]
    assert Join("{ }", on="order_id").partners([mine], [*strangers, mine]) == {}


def test_a_value_that_many_share_joins_only_those_of_one_moment() -> None:
    """A key is everybody's, always; who asked for it at the same time is told by the overlap."""

    def lookup(trace_id: str, at: float) -> Trace:
        key = {"cache.key": "offer"}
        return trace(
            trace_id,
            server("catalog", "GET", 0, 90, internal("catalog", "look", at, 10, attributes=key)),
        )

    mine, beside, later = (lookup(name * 32, at) for name, at in (("a", 0), ("b", 9), ("c", 10)))
    join = Join("{ }", on="cache.key", overlap=True)
    assert join.partners([mine], [mine, beside, later]) == {mine.trace_id: (beside,)}
    assert replace(join, overlap=False).partners([mine], [beside, later]) == {
        mine.trace_id: (beside, later)
    }


def test_who_was_let_go_by_another_ran_beside_him_and_ended_with_him() -> None:
    """One that hardly met him, and one that ended at another time, waited for somebody else."""

    def holds(trace_id: str, at: float, took: float) -> Trace:
        account = {"account_id": 1}
        return trace(trace_id, server("payments", "UPDATE", at, took, attributes=account))

    audit = holds("f" * 32, 0, 4000)
    victim, brief, early = (
        holds("a" * 32, 900, 3150),
        holds("b" * 32, 3900, 120),
        holds("c" * 32, 1, 3000),
    )
    join = Join("{ }", on="account_id", overlap=True, at_least_ms=1000, ends_within_ms=100)
    assert join.partners([victim, brief, early], [audit]) == {victim.trace_id: (audit,)}
    assert replace(join, at_least_ms=0.0).partners([brief], [audit]) == {brief.trace_id: (audit,)}
    assert replace(join, ends_within_ms=None).partners([early], [audit]) == {
        early.trace_id: (audit,)
    }


def test_a_request_that_was_sampled_is_nobodys_stranger() -> None:
    """What a search finds may be another request's own trace, which stays evidence of its own."""
    evidence = cut_thread(broken=2)
    healthy = evidence.samples[Sample.REFERENCE][0]
    joined = (*evidence.samples[Sample.JOINED], healthy)
    more = replace(evidence, samples={**evidence.samples, Sample.JOINED: joined})
    assert more.without_strangers() == more


def test_a_truth_is_found_in_what_is_joined() -> None:
    """All of a run whose threads were cut holds, so far as traces tell."""
    evidence = cut_thread()
    for check in ("lacking in traces", "truth found", "truth absent", "decoy 1 present"):
        outcomes = {each.outcome for each in found_of(evidence, check)}
        assert outcomes == {Outcome.HOLDS}, check


def test_without_the_orphans_there_is_no_truth() -> None:
    """A trace that merely lacks its second half proves nothing."""
    evidence = cut_thread()
    alone = replace(evidence, samples={**evidence.samples, Sample.JOINED: ()})
    assert [each.outcome for each in found_of(alone, "truth found")] == [Outcome.FAILS]


def test_a_sign_that_most_traces_do_not_bear_is_no_symptom() -> None:
    """Whole traces of the crime are no affected ones, and are asked whether they show the truth."""
    evidence = cut_thread(broken=10, whole=10)
    _, crime, _ = found_of(evidence, "lacking in traces")
    assert (crime.outcome, crime.measured) == (Outcome.FAILS, "50.0% (10 of 20 crime traces)")
    [truth] = found_of(evidence, "truth found")
    assert truth.measured == "100.0% (10 of 10 affected traces)"
    [absent] = found_of(evidence, "truth absent where unaffected")
    assert absent.measured == "0.0% (0 of 10 unaffected traces)"


def test_an_orphan_is_accused_where_it_lies() -> None:
    """The culprit solves, and so does the caller's half; the bank's root is a bystander."""
    evidence = cut_thread()
    cut = evidence.whole_traces(Sample.AFFECTED)[0]
    payments, bank = cut.joined
    storefront, caller = cut.spans
    assert accuse(evidence, payments.spans[0]) is VerdictClass.SOLVED
    assert accuse(evidence, bank.spans[0]) is VerdictClass.BYSTANDER
    assert accuse(evidence, caller) is VerdictClass.SOLVED
    assert accuse(evidence, storefront) is VerdictClass.MESSENGER


def test_an_orphan_that_belongs_to_no_harmed_request_is_the_wrong_evidence() -> None:
    evidence = cut_thread(broken=1)
    stranger = charged("f" * 32, "of nobody")
    joined = (*evidence.samples[Sample.JOINED], stranger.trace_id)
    more = replace(
        evidence,
        traces={**evidence.traces, stranger.trace_id: stranger},
        samples={**evidence.samples, Sample.JOINED: joined},
    )
    assert accuse(more, stranger.spans[0]) is VerdictClass.WRONG_EVIDENCE


def test_what_belongs_to_no_request_of_the_case_is_left_out() -> None:
    """Orphans of the warm-up look like those of the incident; only the lost ones still count."""
    evidence = cut_thread(broken=2)
    stranger, lost = charged("f" * 32, "of the warm-up"), "e" * 32
    joined = (*evidence.samples[Sample.JOINED], stranger.trace_id, lost)
    more = replace(
        evidence,
        traces={**evidence.traces, stranger.trace_id: stranger},
        samples={**evidence.samples, Sample.JOINED: joined},
    )
    kept = more.without_strangers()
    assert kept.traces == evidence.traces
    assert kept.samples[Sample.JOINED] == (*evidence.samples[Sample.JOINED], lost)
    assert kept.without_strangers() == kept


def test_what_no_request_began_is_listed_in_order_of_time() -> None:
    evidence = cut_thread(broken=2)
    rows = background_rows(evidence, background_traces(evidence)[:3])
    assert [(row["service"], row["spans"]) for row in rows] == [
        ("payments", 1), ("payments", 1), ("bank", 1)
    ]  # fmt: skip


class Growing(MemoryTraceStore):
    """A store in which each search finds one trace more, up to ``most``."""

    def __init__(self, most: int, begin_with: int = 0) -> None:
        super().__init__(searchable_after_s=3.0)
        self.most = most
        self.found = begin_with

    async def search(self, traceql: str, *, start_s: float, end_s: float) -> frozenset[str]:
        assert (start_s, end_s) == (RUN.start_s, RUN.end_s)
        await super().search(traceql, start_s=start_s, end_s=end_s)
        self.found = min(self.found + 1, self.most)
        return frozenset(f"{n:032x}" for n in range(self.found))


def find(store: MemoryTraceStore, clock: FakeClock) -> joining.Found:
    async def search() -> joining.Found:
        return await joining.find(store, clock, [Join("{ a }"), Join("{ b }")], RUN)

    return anyio.run(search)


def test_a_search_is_over_when_its_answer_stays() -> None:
    """Two searches go on side by side; the last change is four seconds old."""
    clock = FakeClock()
    found = find(Growing(most=6), clock)
    assert len(found.trace_ids) == 6
    assert found.finding.outcome is Outcome.HOLDS
    assert clock.monotonic() == pytest.approx(2 + 4)
    assert found.finding.expected == "the same answer for 4 s"


def test_a_store_that_finds_at_once_is_asked_for_a_second_only() -> None:
    """What it says stays as it is once the last batch has arrived."""
    clock = FakeClock()
    found = find(MemoryTraceStore(), clock)
    assert found.finding.outcome is Outcome.HOLDS
    assert clock.monotonic() == pytest.approx(1)


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        (Growing(most=10_000), f"still growing after {GIVE_UP_S:.0f} s"),
        (Growing(most=10_000, begin_with=joining.MOST_JOINED), "more than 800 traces"),
    ],
)
def test_what_never_stays_or_is_too_much_is_unknown(store: Growing, problem: str) -> None:
    found = find(store, FakeClock())
    assert found.finding.outcome is Outcome.UNKNOWN
    assert found.problem == problem


def test_a_store_that_fails_leaves_it_unknown() -> None:
    store = MemoryTraceStore()
    store.break_off()
    assert find(store, FakeClock()).finding.outcome is Outcome.UNKNOWN


def test_a_recording_keeps_what_belongs_to_the_traces_it_keeps() -> None:
    """Orphans of requests whose traces are left out are left out with them."""
    evidence = cut_thread(broken=60)
    case = replace(sample_case(), scenario=CUT_THREAD, evidence=evidence, support_code=None)
    thin = thinned(case, 25).evidence
    assert len(thin.samples[Sample.AFFECTED]) == 25
    assert len(thin.samples[Sample.JOINED]) == 50
    kept = thin.whole_traces(Sample.AFFECTED)
    assert all(len(each.joined) == 2 for each in kept)
