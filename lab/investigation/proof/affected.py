"""Who suffered: requests by what the edge answered, or traces where nothing else can tell. Pure."""

from __future__ import annotations

from typing import Final

from lab.domain.evidence import Evidence, Sample
from lab.domain.journal import Step
from lab.domain.load import Request, Window
from lab.domain.reference import ReferenceStats
from lab.domain.scenario import Scenario
from lab.domain.trace import Trace
from lab.investigation.proof.share import Share

JUDGED_RECOVERY_S: Final = 5.0
"""Recovery is judged on the last seconds of its window: a cure can be loud."""

JUDGED: Final = {
    Window.REFERENCE: (Step.REFERENCE, Sample.REFERENCE),
    Window.CRIME: (Step.CRIME, Sample.AFFECTED),
    Window.RECOVERY: (Step.RECOVERY, Sample.RECOVERY),
}
"""Each window: the step that judges it, and the sample of its traces."""


def affected_share(
    scenario: Scenario, evidence: Evidence, reference: ReferenceStats, window: Window
) -> Share:
    """The share of affected requests; where only traces tell, that of traces.

    Of the recovery the last seconds count.
    """
    symptom, (step, sample) = scenario.symptom, JUDGED[window]
    if symptom.sign is not None:
        return Share.count(
            evidence.whole_traces(sample),
            lambda trace: symptom.is_seen_in(trace, reference),
            f"{step} traces",
        )
    if not symptom.is_measured(evidence.counts):
        return Share(0, 0, f"{step} requests")
    requests = (
        _late_recovery(scenario, evidence)
        if window is Window.RECOVERY
        else evidence.requests_in(window, symptom.of)
    )
    return Share.count(
        requests, lambda request: evidence.suffered(symptom, request), f"{step} requests"
    )


def affected_traces(
    scenario: Scenario, evidence: Evidence, reference: ReferenceStats
) -> tuple[Trace, ...]:
    """The whole traces of affected requests."""
    return tuple(
        trace
        for trace in evidence.whole_traces(Sample.AFFECTED)
        if scenario.symptom.is_seen_in(trace, reference)
    )


def is_affected(
    scenario: Scenario, evidence: Evidence, reference: ReferenceStats, trace: Trace
) -> bool:
    """Whether ``trace`` is that of a request which suffered."""
    request = evidence.request_of.get(trace.trace_id)
    return (
        request is not None
        and evidence.suffered(scenario.symptom, request)
        and scenario.symptom.is_seen_in(trace, reference)
    )


def _late_recovery(scenario: Scenario, evidence: Evidence) -> tuple[Request, ...]:
    window = evidence.windows.get(Window.RECOVERY)
    if window is None:
        return ()
    judged_from_s = window.end_s - JUDGED_RECOVERY_S
    requests = evidence.requests_in(Window.RECOVERY, scenario.symptom.of)
    return tuple(request for request in requests if request.start_s >= judged_from_s)
