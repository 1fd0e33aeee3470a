from dataclasses import replace

import pytest

from lab.domain.bound import parse
from lab.domain.evidence import Sample
from lab.domain.journal import Step
from lab.domain.load import RequestFilter, Window
from lab.domain.mechanism import Mechanism
from lab.domain.predicate import Predicate
from lab.domain.proof import Finding, Outcome, Proof, ProofVerdict
from lab.domain.scenario import (
    Accomplice,
    Alternative,
    Check,
    Decoy,
    RequestCheck,
    RequestStatistic,
    Scenario,
    SpanCountCheck,
    SpanDurationCheck,
    SpanStatistic,
)
from lab.domain.trace import Trace
from lab.investigation.proof.prove import explain, pick_support_code, prove
from tests.support.evidence import (
    DB_TIMEOUT,
    SLOW_SHELVES,
    Run,
    card_declined,
    cold,
    db_timeout,
    slow_page,
    slow_shelves,
    warm,
)
from tests.support.traces import declined_checkout, healthy_checkout, page


def proof_of(run: Run, scenario: Scenario | None = None) -> Proof:
    return prove(scenario or run.scenario, run.evidence())


def outcomes(proof: Proof, check: str) -> list[Outcome]:
    """What the findings of that name came to, in the order of the steps."""
    return [finding.outcome for finding in proof.findings if finding.check == check]


@pytest.mark.parametrize("run", [db_timeout(), slow_shelves(), card_declined()])
def test_a_run_in_which_everything_holds_is_proven(run: Run) -> None:
    proof = proof_of(run)
    assert [f for f in proof.findings if f.outcome is not Outcome.HOLDS] == []
    assert proof.verdict is ProofVerdict.PROVEN


def test_findings_come_in_the_order_of_the_steps_with_those_on_integrity_among_them() -> None:
    doubt = Finding(Step.REFERENCE, "restarts", "none", "auth", Outcome.FAILS, integrity=True)
    proof = prove(DB_TIMEOUT, db_timeout().evidence(), (doubt,))
    steps = [finding.step for finding in proof.findings]
    assert steps == sorted(steps, key=list(Step).index)
    assert doubt in proof.findings
    assert proof.verdict is ProofVerdict.INCOMPLETE


def test_a_shop_that_failed_before_the_crime_refutes() -> None:
    run = db_timeout().add(Sample.REFERENCE, 1, status=502)
    assert outcomes(proof_of(run), "error at the edge") == [
        Outcome.FAILS,
        Outcome.HOLDS,
        Outcome.HOLDS,
    ]


def test_a_truth_found_before_the_crime_refutes() -> None:
    run = db_timeout().add(Sample.REFERENCE, 1, cold)
    assert outcomes(proof_of(run), "truth absent") == [Outcome.FAILS, Outcome.HOLDS]


def test_a_crime_without_its_symptom_refutes() -> None:
    run = db_timeout().add(Sample.UNAFFECTED, 20, healthy_checkout)
    assert outcomes(proof_of(run), "error at the edge")[1] is Outcome.FAILS


def test_a_crime_that_was_harmless_refutes_and_does_not_only_doubt() -> None:
    run = db_timeout().without(Sample.AFFECTED).add(Sample.UNAFFECTED, 120, healthy_checkout)
    proof = proof_of(run)
    assert outcomes(proof, "truth found") == [Outcome.UNKNOWN]
    assert proof.verdict is ProofVerdict.REFUTED


def test_too_few_requests_leave_the_case_open() -> None:
    run = db_timeout().without(Sample.AFFECTED)
    run.add(Sample.AFFECTED, 2, warm, status=504).add(Sample.AFFECTED, 97, cold, status=504)
    proof = proof_of(run)
    assert outcomes(proof, "enough requests") == [Outcome.UNKNOWN]
    assert proof.verdict is ProofVerdict.INCOMPLETE


def test_a_truth_found_in_too_few_affected_traces_refutes() -> None:
    run = db_timeout().add(Sample.AFFECTED, 6, healthy_checkout, status=504)
    assert outcomes(proof_of(run), "truth found") == [Outcome.FAILS]


def test_a_form_of_the_truth_that_must_occur_and_does_not_refutes() -> None:
    run = db_timeout().without(Sample.AFFECTED).add(Sample.AFFECTED, 120, cold, status=504)
    proof = proof_of(run)
    assert outcomes(proof, "truth, form 1") == [Outcome.FAILS]
    assert outcomes(proof, "truth, form 2") == [Outcome.HOLDS]


def test_a_decoy_that_nobody_could_fall_for_refutes() -> None:
    run = db_timeout().without(Sample.AFFECTED).add(Sample.AFFECTED, 120, warm, status=504)
    assert outcomes(proof_of(run), "decoy 1 present") == [Outcome.FAILS]


def test_a_decoy_that_is_the_culprit_refutes() -> None:
    guilty = Decoy(DB_TIMEOUT.truth.culprit[1].predicate, "It is not.")
    proof = proof_of(db_timeout(), replace(DB_TIMEOUT, decoys=(guilty,)))
    assert outcomes(proof, "decoy 1 is not the culprit") == [Outcome.FAILS]


def test_a_truth_found_in_requests_that_got_through_refutes() -> None:
    run = card_declined().add(Sample.UNAFFECTED, 1, declined_checkout)
    assert outcomes(proof_of(run), "truth absent where unaffected") == [Outcome.FAILS]


def test_controls_that_were_there_and_whose_traces_are_not_leave_the_case_open() -> None:
    run = card_declined()
    del run.samples[Sample.UNAFFECTED]
    proof = proof_of(run)
    assert outcomes(proof, "truth absent where unaffected") == [Outcome.UNKNOWN]
    assert proof.verdict is ProofVerdict.INCOMPLETE


def test_a_shop_that_does_not_recover_refutes() -> None:
    run = db_timeout().add(Sample.RECOVERY, 1, status=504)
    assert outcomes(proof_of(run), "error at the edge")[2] is Outcome.FAILS


def test_a_loud_cure_is_forgiven() -> None:
    run = db_timeout().add(Sample.RECOVERY, 9, status=504, start_s=26.9)
    assert proof_of(run).verdict is ProofVerdict.PROVEN


def test_a_truth_found_after_the_cure_refutes() -> None:
    run = db_timeout().add(Sample.RECOVERY, 1, cold)
    assert outcomes(proof_of(run), "truth absent") == [Outcome.HOLDS, Outcome.FAILS]


@pytest.mark.parametrize("sample", [Sample.REFERENCE, Sample.RECOVERY])
def test_a_window_without_requests_is_unknown_and_never_guessed(sample: Sample) -> None:
    proof = proof_of(db_timeout().without(sample))
    assert Outcome.UNKNOWN in outcomes(proof, "error at the edge")
    assert Outcome.UNKNOWN in outcomes(proof, "truth absent")
    assert proof.verdict is ProofVerdict.INCOMPLETE


def test_a_window_that_never_was_is_unknown() -> None:
    evidence = db_timeout().evidence()
    short = replace(evidence, windows={Window.REFERENCE: evidence.windows[Window.REFERENCE]})
    assert outcomes(prove(DB_TIMEOUT, short), "error at the edge")[2] is Outcome.UNKNOWN


def test_up_to_a_tenth_of_the_traces_may_be_lost_and_no_more() -> None:
    assert proof_of(db_timeout().lose(Sample.AFFECTED, 6)).verdict is ProofVerdict.PROVEN
    proof = proof_of(db_timeout().lose(Sample.AFFECTED, 7))
    assert outcomes(proof, "traces whole") == [Outcome.FAILS]
    assert proof.verdict is ProofVerdict.INCOMPLETE


def test_a_trace_without_its_root_is_not_whole_and_not_evidence() -> None:
    def beheaded(trace_id: str) -> Trace:
        return Trace(trace_id, cold(trace_id).spans[1:])

    run = db_timeout().without(Sample.AFFECTED).add(Sample.AFFECTED, 120, beheaded, status=504)
    proof = proof_of(run)
    assert outcomes(proof, "truth found") == [Outcome.UNKNOWN]
    assert proof.verdict is ProofVerdict.INCOMPLETE


def test_where_nobody_did_it_the_usual_rejections_before_and_after_are_no_stain() -> None:
    run = card_declined().add(Sample.REFERENCE, 1, declined_checkout, status=400)
    assert proof_of(run).verdict is ProofVerdict.PROVEN


def test_where_nobody_did_it_more_rejections_than_usual_before_refute() -> None:
    run = card_declined().add(Sample.REFERENCE, 3, declined_checkout, status=400)
    assert outcomes(proof_of(run), "rejection at the edge")[0] is Outcome.FAILS


def test_where_nobody_did_it_the_evidence_in_a_served_request_refutes() -> None:
    run = card_declined().add(Sample.REFERENCE, 2, declined_checkout)
    assert outcomes(proof_of(run), "truth absent") == [Outcome.FAILS, Outcome.HOLDS]


def test_an_accomplice_is_part_of_the_truth() -> None:
    """The truth holds only in traces in which both parties are found."""
    accomplice = Accomplice(
        Mechanism.RETRY_AMPLIFICATION, (Alternative(Predicate(service="nobody")),)
    )
    scenario = replace(DB_TIMEOUT, truth=replace(DB_TIMEOUT.truth, accomplice=accomplice))
    assert outcomes(proof_of(db_timeout(), scenario), "truth found") == [Outcome.FAILS]


CATALOG_QUERY = Predicate(service="catalog", name="SELECT")


@pytest.mark.parametrize(
    ("check", "outcome"),
    [
        (SpanCountCheck("c", CATALOG_QUERY, parse("== 2")), Outcome.HOLDS),
        (SpanCountCheck("c", CATALOG_QUERY, parse("== 0")), Outcome.FAILS),
        (
            SpanCountCheck("c", CATALOG_QUERY, parse("== 2"), Sample.UNAFFECTED),
            Outcome.UNKNOWN,
        ),
        (
            SpanDurationCheck(
                "c", CATALOG_QUERY, SpanStatistic.P95, parse("reference + 150ms ±5%")
            ),
            Outcome.HOLDS,
        ),
        (
            SpanDurationCheck("c", CATALOG_QUERY, SpanStatistic.P50, parse("unchanged")),
            Outcome.FAILS,
        ),
        (
            SpanDurationCheck("c", Predicate(name="x"), SpanStatistic.P50, parse("<= 1s")),
            Outcome.UNKNOWN,
        ),
        (
            RequestCheck("c", RequestFilter(), RequestStatistic.ERROR_RATE, parse("== 0%")),
            Outcome.HOLDS,
        ),
        (
            RequestCheck("c", RequestFilter(), RequestStatistic.REJECTION_RATE, parse("> 0%")),
            Outcome.FAILS,
        ),
        (
            RequestCheck("c", RequestFilter(), RequestStatistic.SUCCESS_RATE, parse("== 100%")),
            Outcome.HOLDS,
        ),
        (
            RequestCheck("c", RequestFilter(), RequestStatistic.P50, parse("300ms..400ms")),
            Outcome.HOLDS,
        ),
        (
            RequestCheck("c", RequestFilter(), RequestStatistic.P95, parse("<= reference + 50ms")),
            Outcome.FAILS,
        ),
        (
            RequestCheck("c", RequestFilter("POST /login"), RequestStatistic.P50, parse("<= 1s")),
            Outcome.UNKNOWN,
        ),
        (
            RequestCheck(
                "c",
                RequestFilter(),
                RequestStatistic.P50,
                parse("unchanged"),
                Window.RECOVERY,
                Step.RECOVERY,
            ),
            Outcome.HOLDS,
        ),
    ],
)
def test_each_check_of_a_case_can_hold_fail_or_find_nothing(check: Check, outcome: Outcome) -> None:
    proof = proof_of(slow_shelves(), replace(SLOW_SHELVES, checks=(check,)))
    assert outcomes(proof, "c") == [outcome]


def test_a_finding_carries_its_numbers() -> None:
    [found] = [f for f in proof_of(db_timeout()).findings if f.check == "truth found"]
    assert found.expected == ">= 80% of affected traces"
    assert found.measured == "100.0% (20 of 20 affected traces)"


def test_near_misses_say_what_came_closest_and_are_told_once() -> None:
    run = slow_shelves().without(Sample.AFFECTED)
    run.add(Sample.AFFECTED, 5, lambda trace_id: page(trace_id, 120), status=200, latency_ms=316)
    nearest, *_ = misses = explain(SLOW_SHELVES, run.evidence())
    assert str(nearest.failed[0]) == "duration: expected 135ms..255ms, found 120.0ms"
    assert len({(miss.span.service, miss.span.name) for miss in misses}) == len(misses)


def test_a_truth_that_is_found_everywhere_has_no_near_misses() -> None:
    assert explain(DB_TIMEOUT, db_timeout().evidence()) == ()


def test_near_misses_of_nobody_are_of_the_evidence_that_clears_everyone() -> None:
    run = card_declined().without(Sample.AFFECTED)
    run.add(Sample.AFFECTED, 2, healthy_checkout, status=400)
    assert explain(run.scenario, run.evidence())


def test_the_support_code_is_the_earliest_trace_with_the_truths_first_form() -> None:
    run = db_timeout().add(Sample.AFFECTED, 1, cold, status=504, start_s=9.0)
    code = pick_support_code(DB_TIMEOUT, run.evidence())
    assert code == run.samples[Sample.AFFECTED][0].trace_id


def test_without_the_first_form_any_trace_with_the_truth_will_do() -> None:
    run = Run(DB_TIMEOUT).add(Sample.AFFECTED, 1, healthy_checkout, status=504, start_s=9.0)
    run.add(Sample.AFFECTED, 1, cold, status=504)
    code = pick_support_code(DB_TIMEOUT, run.evidence())
    assert code == run.samples[Sample.AFFECTED][1].trace_id


def test_without_an_affected_trace_there_is_no_support_code() -> None:
    assert pick_support_code(SLOW_SHELVES, Run(SLOW_SHELVES).evidence()) is None


def test_where_nobody_did_it_the_support_code_shows_what_clears_everyone() -> None:
    run = card_declined()
    code = pick_support_code(run.scenario, run.evidence())
    assert code == run.samples[Sample.AFFECTED][0].trace_id


def test_the_order_of_the_evidence_does_not_matter() -> None:
    run = slow_shelves().add(Sample.AFFECTED, 1, slow_page, status=200, latency_ms=316)
    mixed = replace(run, requests=run.requests[::-1])
    assert proof_of(run) == proof_of(mixed)
    assert pick_support_code(SLOW_SHELVES, run.evidence()) == pick_support_code(
        SLOW_SHELVES, mixed.evidence()
    )
