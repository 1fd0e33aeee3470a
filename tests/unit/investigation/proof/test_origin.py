"""The proof rejects a truth that names a messenger, in recorded cases of every kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from lab.domain.case import Case
from lab.domain.evidence import Sample
from lab.domain.predicate import Predicate
from lab.domain.proof import Outcome, ProofVerdict
from lab.domain.reference import Operation
from lab.domain.scenario import Alternative, Origin, Scenario
from lab.domain.trace import Kind, Span, Status, Trace
from lab.investigation.proof.affected import affected_traces
from lab.investigation.proof.origin import CHECK, Beginning, origin_findings
from lab.investigation.proof.prove import prove
from tests.support.evidence import Run, db_timeout
from tests.support.recorded_cases import RECORDINGS, recorded

STEP_WITH_A_LOOP = ("charged-twice", "charge_credit_card", Origin.NUMBER)
"""It asks the bank again, so the number of its calls did grow in it: no messenger of those."""

WAITS_INSIDE_ITSELF = ("locked-drawer", "UPDATE", None)
"""A victim whose time is its own: who kept it waiting stands in another trace."""


def shown(case: Case) -> tuple[Trace, ...]:
    """The affected traces that show the truth."""
    reference = case.evidence.reference_stats
    return tuple(
        trace
        for trace in affected_traces(case.scenario, case.evidence, reference)
        if case.scenario.truth.matches(trace, reference)
    )


def messengers(case: Case, affected: tuple[Trace, ...]) -> Iterator[Span]:
    """One span of each operation that was handed the harm: all above a culprit, and victims."""
    truth, reference = case.scenario.truth, case.evidence.reference_stats
    told: dict[Operation, Span] = {}
    for trace in affected:
        victims = [found for each in truth.victims for found in each.matching(trace, reference)]
        guilty = (
            *truth.culprits_in(trace, reference),
            *truth.accomplices_in(trace, reference),
            *truth.equals_in(trace, reference),
        )
        for end in (*guilty, *victims):
            home = next(each for each in trace.story if each.span(end.span_id) == end)
            handed = (end, *home.ancestors(end)) if end in victims else home.ancestors(end)
            for span in handed:
                if not truth.mechanisms_of(span, home, reference):
                    told.setdefault(Operation.of(span), span)
    return iter(told.values())


def naming(scenario: Scenario, span: Span, began: Origin | None) -> Scenario:
    """The same scenario with the operation of ``span`` for its culprit."""
    predicate = Predicate(
        service=span.service, name=span.name, kind=span.kind, status=span.status, peer=span.peer
    )
    truth = replace(
        scenario.truth, culprit=(Alternative(predicate, began=began),), accomplice=None, equals=()
    )
    return replace(scenario, truth=truth)


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_truth_that_names_a_messenger_is_rejected(name: str) -> None:
    """Every span above a culprit, with no word for its innocence and with each there is."""
    case = recorded(name)
    affected = shown(case)
    believed = {
        (name, span.name, began)
        for span in messengers(case, affected)
        for began in (None, *Origin)
        for finding in origin_findings(naming(case.scenario, span, began), case.evidence, affected)
        if finding.outcome is not Outcome.FAILS
    }
    assert believed <= {STEP_WITH_A_LOOP, WAITS_INSIDE_ITSELF}


def test_gateway_as_the_culprit_of_db_timeout_is_refuted() -> None:
    """The messenger that was once proven: everything else about it holds."""
    case = recorded("db-timeout")
    gateway = Predicate(service="gateway", kind=Kind.SERVER, status=Status.ERROR)
    truth = replace(case.scenario.truth, culprit=(Alternative(gateway),))
    proof = prove(replace(case.scenario, truth=truth, decoys=()), case.evidence)
    failed = [each for each in proof.findings if each.outcome is not Outcome.HOLDS]
    assert [each.check for each in failed] == [CHECK]
    assert failed[0].measured == "0.0% (0 of 100 spans of the culprit)"
    assert proof.verdict is ProofVerdict.REFUTED


def test_a_decoys_error_excuses_only_where_it_is_the_deepest() -> None:
    """What stands above the pool's error is excused by no decoy: the pool handed it up too."""
    case = recorded("db-timeout")
    [above] = {
        Operation.of(span): span
        for span in messengers(case, shown(case))
        if (span.service, span.kind) == ("auth", Kind.SERVER)
    }.values()
    scenario = naming(case.scenario, above, None)
    assert scenario.decoys
    [finding] = origin_findings(scenario, case.evidence, shown(case))
    assert finding.outcome is Outcome.FAILS


def test_an_error_that_came_after_its_caller_left_did_nothing_to_it() -> None:
    run = db_timeout()
    evidence = run.evidence()
    trace = evidence.whole_traces(Sample.AFFECTED)[0]
    [gateway] = [each for each in trace if each.service == "gateway" and each.kind is Kind.SERVER]
    beginning = Beginning(run.scenario, evidence)
    [child] = beginning.first_errors_below(gateway, trace)
    late = replace(child, end_ns=gateway.end_ns + 10_000_000)
    spans = tuple(late if each == child else each for each in trace)
    assert beginning.first_errors_below(gateway, Trace(trace.trace_id, spans)) == ()


def test_a_form_that_no_trace_shows_is_not_judged() -> None:
    run = db_timeout()
    nothing = naming(run.scenario, replace(next(iter(_first(run))), name="no such"), None)
    affected = run.evidence().whole_traces(Sample.AFFECTED)
    assert list(origin_findings(nothing, run.evidence(), affected)) == []


def test_where_nobody_did_it_there_is_no_beginning_to_ask_for() -> None:
    case = recorded("card-declined")
    assert list(origin_findings(case.scenario, case.evidence, shown(case))) == []


def _first(run: Run) -> Trace:
    return run.evidence().whole_traces(Sample.AFFECTED)[0]
