"""Levels: what is left to see of a culprit where less is written down, and when that is wrong."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from rich.console import Console

from lab.domain.case import Case
from lab.domain.evidence import Sample
from lab.domain.instrumentation import Instrumentation, Sight
from lab.domain.predicate import Predicate
from lab.domain.proof import Outcome, Proof, ProofVerdict
from lab.domain.trace import Span, Status, Trace
from lab.investigation.proof.affected import affected_traces
from lab.investigation.proof.levels import Seen, nameable, seen_in, sight_of, verdict_of
from lab.investigation.proof.prove import prove_at_the_edge
from lab.scenario_file import load, load_all
from lab.settings import CHECKOUT
from lab.terminal.levels_table import level_rows, level_table
from tests.support.evidence import DB_TIMEOUT, Run, cold, db_timeout, warm
from tests.support.recorded_cases import recorded
from tests.support.sample_case import sample_case
from tests.support.seen import PROVED, SEEN
from tests.support.traces import healthy_checkout

EXPECTED = DB_TIMEOUT.instrumentation
NONE, AUTO, FULL = Instrumentation
SCENARIOS = load_all(CHECKOUT / "scenarios")
AT_EACH_LEVEL = [name for name, scenario in SCENARIOS.items() if scenario.instrumentation]
OWN = {
    *("pool.acquire", "db.connect", "fetch_page", "fetch_related", "cache.lookup"),
    *("price_cart", "place_order", "send outbox", "charge_credit_card"),
}
"""The spans that the shop makes itself; libraries make all the others of a purchase or a page."""


def only(trace: Trace, keeps: Callable[[Span], bool]) -> Trace:
    """What is left of ``trace`` where some spans were never made; what they held hangs higher."""
    kept = {span.span_id for span in trace if keeps(span)}

    def above(span: Span) -> str | None:
        return next((each.span_id for each in trace.ancestors(span) if each.span_id in kept), None)

    spans = [replace(span, parent_id=above(span)) for span in trace if span.span_id in kept]
    return Trace(trace.trace_id, tuple(spans))


def bare(trace: Trace) -> Trace:
    return only(trace, lambda span: span.service == "storefront")


def automatic(trace: Trace) -> Trace:
    return only(trace, lambda span: span.name not in OWN)


def run_of(see: Callable[[Trace], Trace], *, warm_ones: int = 2, status: int = 504) -> Run:
    """db-timeout as ``see`` leaves it."""
    return (
        Run(DB_TIMEOUT)
        .add(Sample.REFERENCE, 20, lambda name: see(healthy_checkout(name)))
        .add(Sample.AFFECTED, warm_ones, lambda name: see(warm(name)), status=status)
        .add(Sample.AFFECTED, 18, lambda name: see(cold(name)), status=status)
        .add(Sample.AFFECTED, 100, status=status)
        .add(Sample.RECOVERY, 20, lambda name: see(healthy_checkout(name)))
    )


def case_of(level: Instrumentation, run: Run) -> Case:
    found = run.evidence()
    proof = prove_at_the_edge(DB_TIMEOUT, found)
    return replace(sample_case(), evidence=found, proof=proof, instrumentation=level)


def levels() -> list[Seen]:
    """The same crime thrice, as the scenario expects it."""
    runs = {NONE: run_of(bare), AUTO: run_of(automatic), FULL: db_timeout()}
    return [seen_in(case_of(level, run)) for level, run in runs.items()]


def test_a_trace_shows_its_culprit_or_only_who_or_only_that_something_is_missing() -> None:
    """With all spans, with those of libraries, and with none but the caller's."""
    reference = db_timeout().evidence().reference_stats
    trace = cold("1" * 32)
    seen = [sight_of(DB_TIMEOUT, see(trace), reference) for see in (lambda t: t, automatic, bare)]
    assert seen == [Sight.CULPRIT, Sight.ANCESTOR, Sight.GAP]


def test_red_of_another_service_says_nothing_of_who() -> None:
    """The gateway is red in every failed trace, whoever did it."""
    gateway = only(cold("1" * 32), lambda span: span.service != "auth")
    assert any(span.service == "gateway" and span.status is Status.ERROR for span in gateway)
    reference = db_timeout().evidence().reference_stats
    assert sight_of(DB_TIMEOUT, gateway, reference) is Sight.GAP


def test_a_red_call_of_the_culprit_s_service_is_no_ancestor_of_it() -> None:
    """Half of all purchases have a 404 of checkout's, whatever else befalls them."""
    reference = db_timeout().evidence().reference_stats
    call = only(cold("1" * 32), lambda span: span.service != "auth" or span.name == "db.connect")
    others = replace(DB_TIMEOUT.truth.culprit[0], predicate=Predicate(service="auth", name="?"))
    scenario = replace(DB_TIMEOUT, truth=replace(DB_TIMEOUT.truth, culprit=(others,)))
    assert any(span.service == "auth" and span.status is Status.ERROR for span in call)
    assert sight_of(scenario, call, reference) is Sight.GAP


@pytest.mark.parametrize("name", AT_EACH_LEVEL)
def test_what_a_scenario_says_of_each_level_is_what_that_leaves_of_its_recording(
    name: str,
) -> None:
    """`lab instrumentation` asks the real shop; here what it would not write is taken away."""
    case, scenario = recorded(name), SCENARIOS[name]
    reference = case.evidence.reference_stats
    traces = affected_traces(scenario, case.evidence, reference)
    leaves: dict[Instrumentation, Callable[[Trace], Trace]] = {
        NONE: bare,
        AUTO: automatic,
        FULL: lambda trace: trace,
    }
    shown = {
        level: Counter(sight_of(scenario, leaves[level](trace), reference) for trace in traces)
        for level in scenario.instrumentation
    }
    most = {level: counts.most_common(1)[0][0] for level, counts in shown.items()}
    assert most == scenario.instrumentation
    assert most.keys() == set(Instrumentation)


def test_each_level_shows_most_of_what_its_scenario_expects() -> None:
    seen = levels()
    assert [(each.level, each.expected) for each in seen] == list(EXPECTED.items())
    assert [dict(each.counts) for each in seen] == [
        {Sight.GAP: 20},
        {Sight.CULPRIT: 2, Sight.ANCESTOR: 18},
        {Sight.CULPRIT: 20},
    ]
    assert {each.outcome for each in seen} == {Outcome.HOLDS}
    assert verdict_of(seen) is ProofVerdict.PROVEN
    assert seen[0].spans == 1 < seen[1].spans < seen[2].spans


def test_a_level_that_shows_something_else_refutes_the_comparison() -> None:
    """Too much to see is as wrong as too little: the file would teach what is not so."""
    none, auto, full = levels()
    more = seen_in(case_of(AUTO, db_timeout()))
    assert more.outcome is Outcome.FAILS
    less = seen_in(case_of(FULL, run_of(automatic)))
    assert less.outcome is Outcome.FAILS
    assert verdict_of([none, more, full]) is ProofVerdict.REFUTED
    assert verdict_of([none, auto, less]) is ProofVerdict.REFUTED


def test_a_level_whose_run_is_in_doubt_leaves_the_comparison_open() -> None:
    none, auto, full = levels()
    doubtful = replace(auto, case=replace(auto.case, proof=Proof(())))
    assert doubtful.outcome is Outcome.UNKNOWN
    assert verdict_of([none, doubtful, full]) is ProofVerdict.INCOMPLETE


def test_a_level_of_which_nothing_is_expected_can_only_fail_by_its_proof() -> None:
    silent = replace(DB_TIMEOUT, instrumentation={})
    [_, auto, _] = levels()
    of_silent = replace(auto, case=replace(auto.case, scenario=silent))
    assert of_silent.expected is None
    assert of_silent.outcome is Outcome.HOLDS
    healthy = seen_in(case_of(AUTO, run_of(automatic, status=201)))
    assert replace(healthy, case=replace(healthy.case, scenario=silent)).outcome is Outcome.FAILS


def test_no_affected_trace_shows_nothing_at_all() -> None:
    seen = seen_in(case_of(NONE, Run(DB_TIMEOUT).add(Sample.AFFECTED, 120, status=504)))
    assert seen.total == 0
    assert seen.share(Sight.GAP) is None
    assert seen.outcome is not Outcome.HOLDS


@pytest.mark.parametrize(
    ("chosen", "sentence"),
    [
        ((0, 1, 2), "The culprit can be named at auto in 2 of 20 traces; in most, at full."),
        ((0, 2), "The culprit can be named at full alone."),
        ((0,), "The culprit cannot be named at any of these levels."),
        ((0, 1), "The culprit can be named at auto alone in 2 of 20 traces."),
    ],
)
def test_a_sentence_says_from_which_level_on_the_culprit_can_be_named(
    chosen: tuple[int, ...], sentence: str
) -> None:
    seen = levels()
    assert nameable([seen[number] for number in chosen]) == sentence


def test_the_same_crime_is_proven_at_the_edge_without_a_single_span_of_the_shop() -> None:
    proof = prove_at_the_edge(DB_TIMEOUT, run_of(bare).evidence())
    assert proof.verdict is ProofVerdict.PROVEN
    assert not any("truth" in found.check or "decoy" in found.check for found in proof.findings)


def test_at_the_edge_only_exhibits_of_requests_are_asked() -> None:
    """Those that need spans are for whoever has them."""
    whole = load(CHECKOUT / "scenarios" / "db-timeout")
    proof = prove_at_the_edge(whole, run_of(bare).evidence())
    assert proof.verdict is ProofVerdict.PROVEN
    asked = [found.check for found in proof.findings if found.check.startswith("exhibit ")]
    assert asked == ["exhibit all-fail: share of purchases that fail"]


def test_another_crime_is_refuted_at_the_edge() -> None:
    proof = prove_at_the_edge(DB_TIMEOUT, run_of(bare, status=201).evidence())
    assert proof.verdict is ProofVerdict.REFUTED
    # No machine can be made to refute a case: beside others that take it, none is.
    SEEN.note(PROVED, proof.verdict)


def test_traces_that_did_not_come_whole_leave_the_edge_in_doubt() -> None:
    run = run_of(bare).lose(Sample.AFFECTED, 100)
    assert prove_at_the_edge(DB_TIMEOUT, run.evidence()).verdict is ProofVerdict.INCOMPLETE


def test_the_table_puts_the_levels_side_by_side() -> None:
    out = io.StringIO()
    Console(file=out, width=200).print(level_table(levels()))
    none, auto, full = out.getvalue().splitlines()[-3:]
    assert none.split()[:6] == ["none", "no", "span", "but", "the", "caller's"]
    assert "10%" in auto
    assert "90%" in auto
    assert auto.count("ancestor") == 1
    assert "✔ holds" in full


def test_a_program_reads_the_same_numbers() -> None:
    none, auto, _ = level_rows(levels())
    assert (none["gap"], none["culprit"], none["outcome"]) == (20, 0, "holds")
    assert (auto["culprit"], auto["ancestor"], auto["expected"]) == (2, 18, "ancestor")


def test_the_helper_above_keeps_a_trace_whole() -> None:
    """Else the tests here would look at traces that no lab would judge."""
    assert automatic(cold("1" * 32)).is_whole
