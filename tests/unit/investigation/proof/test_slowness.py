"""What slowness alone explains, and that nothing else is laid at its door."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lab.domain.bound import parse
from lab.domain.evidence import Sample
from lab.domain.journal import Step
from lab.domain.load import RequestFilter
from lab.domain.predicate import Predicate
from lab.domain.proof import Outcome
from lab.domain.scenario import (
    Check,
    RequestCheck,
    RequestStatistic,
    Scenario,
    SpanCountCheck,
    SpanDurationCheck,
    SpanStatistic,
)
from lab.domain.twin import CULPRIT_TWIN, Expectation
from lab.investigation.proof.prove import prove
from lab.investigation.proof.slowness import by_slowness_alone, twin_by_slowness_alone
from tests.support.evidence import SLOW_SHELVES, Run, db_timeout, slow_page, slow_shelves
from tests.support.traces import page

LABEL = "one more"


def of_requests(bound: str, statistic: RequestStatistic = RequestStatistic.P50) -> RequestCheck:
    return RequestCheck(LABEL, RequestFilter(), statistic, parse(bound))


def of_spans(bound: str) -> SpanDurationCheck:
    return SpanDurationCheck(
        LABEL, Predicate(service="catalog", name="SELECT"), SpanStatistic.P50, parse(bound)
    )


def blamed(check: Check, run: Run | None = None) -> Step | None:
    """In which step the machine must have been slow for ``check`` to fail by that alone."""
    evidence = (run or slow_shelves()).evidence()
    found = []
    for label, parts in (
        (LABEL, {"checks": (check,)}),
        (f"exhibit it: {LABEL}", {"checks": (), "exhibits": {"it": check}}),
    ):
        scenario = replace(SLOW_SHELVES, **parts)
        assert any(
            each.check == label and each.outcome is Outcome.FAILS
            for each in prove(scenario, evidence).findings
        )
        found.append(by_slowness_alone(scenario, evidence).get((Step.CRIME, label)))
    assert found[0] is found[1], "an exhibit is excused as a check is"
    return found[0]


@pytest.mark.parametrize(
    ("check", "step"),
    [
        (of_requests("<= reference + 50ms"), Step.CRIME),
        (of_requests("<= 100ms"), Step.CRIME),
        (of_requests("unchanged"), Step.CRIME),
        (of_requests(">= 100x reference"), Step.REFERENCE),
        (of_requests(">= 1s"), None),
        (of_spans("<= 1us"), Step.CRIME),
        (of_requests("<= 50%", RequestStatistic.SUCCESS_RATE), None),
        (SpanCountCheck(LABEL, Predicate(service="catalog"), parse("== 0")), None),
    ],
)
def test_a_time_that_grew_may_be_the_machines_doing_and_nothing_else_may(
    check: Check, step: Step | None
) -> None:
    """In its own window; a reference that was slow makes what is compared with it too fast."""
    assert blamed(check) is step


def spoiled(sample: Sample) -> Run:
    """Every page of a window without harm took as long as in the crime."""
    run = slow_shelves().without(sample)
    return run.add(sample, 20, page, status=200, latency_ms=316)


@pytest.mark.parametrize(
    ("sample", "step"), [(Sample.REFERENCE, Step.REFERENCE), (Sample.RECOVERY, Step.RECOVERY)]
)
def test_slow_customers_of_a_healthy_window_may_be_the_machines_doing(
    sample: Sample, step: Step
) -> None:
    """More of them than the bound has it; fewer slow ones in the crime are not."""
    scenario = SLOW_SHELVES
    key = (step, scenario.symptom.measured)
    assert by_slowness_alone(scenario, spoiled(sample).evidence())[key] is step
    unharmed = Run(scenario).add(Sample.AFFECTED, 120, page, status=200, latency_ms=20)
    assert (Step.CRIME, scenario.symptom.measured) not in by_slowness_alone(
        scenario, unharmed.evidence()
    )


def test_errors_are_never_the_doing_of_slowness_alone() -> None:
    """A case whose harm is an error keeps its refutation, whatever its reference shows."""
    scenario: Scenario = db_timeout().scenario
    run = db_timeout().without(Sample.REFERENCE).add(Sample.REFERENCE, 20, status=504)
    assert (Step.REFERENCE, scenario.symptom.measured) not in by_slowness_alone(
        scenario, run.evidence()
    )


def test_a_twin_that_stayed_slow_may_be_the_machines_doing() -> None:
    """One that was to stay slow and is not, or that fails by errors, may not."""
    still = Run(SLOW_SHELVES).add(Sample.AFFECTED, 120, slow_page, status=200, latency_ms=316)
    assert twin_by_slowness_alone(SLOW_SHELVES, CULPRIT_TWIN, still.evidence())
    quick = Run(SLOW_SHELVES).add(Sample.AFFECTED, 120, page, status=200, latency_ms=20)
    to_stay = replace(CULPRIT_TWIN, expect=Expectation.UNCHANGED)
    assert not twin_by_slowness_alone(SLOW_SHELVES, to_stay, quick.evidence())
    errors = db_timeout()
    assert not twin_by_slowness_alone(errors.scenario, CULPRIT_TWIN, errors.evidence())
