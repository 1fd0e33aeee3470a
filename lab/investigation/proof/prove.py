"""Whether a case is fair: the harm happened, the truth shows it, and only then and there.

Pure: the same code proves a live run, a recorded case and a unit test.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Final

from lab.domain.bound import Bound, parse
from lab.domain.evidence import Evidence, Sample
from lab.domain.journal import Step
from lab.domain.load import Request, Window
from lab.domain.predicate import NearMiss, Predicate
from lab.domain.proof import Finding, Outcome, Proof
from lab.domain.record_check import LogCheck
from lab.domain.reference import Operation, ReferenceStats
from lab.domain.scenario import Decoy, RequestCheck, Scenario
from lab.domain.trace import Trace
from lab.investigation.proof.affected import JUDGED, affected_share, affected_traces, is_affected
from lab.investigation.proof.measure import check_finding
from lab.investigation.proof.origin import origin_findings
from lab.investigation.proof.share import Share

HARDLY_EVER: Final = parse("<= 2%")
"""How many traces that show no harm a truth may be found in."""

MOSTLY_WHOLE: Final = parse(">= 90%")
"""How many of the traces that were asked for must have come whole."""

NEVER: Final = parse("== 0%")

_NEAR_MISSES: Final = 10
_ORDER: Final = tuple(Step)


def prove(scenario: Scenario, evidence: Evidence, integrity: tuple[Finding, ...] = ()) -> Proof:
    """Every finding of a run in the order of its steps, those on its ``integrity`` among them."""
    scenario, reference = _readable(scenario, evidence), evidence.reference_stats
    # Of what happened by itself there may be no time before, and nobody saw it end.
    seen = evidence.windows if scenario.is_recorded else Window
    findings = (
        *(_reference_findings(scenario, evidence, reference) if Window.REFERENCE in seen else ()),
        *_crime_findings(scenario, evidence, reference),
        *(_recovery_findings(scenario, evidence, reference) if Window.RECOVERY in seen else ()),
        _completeness(evidence),
        *integrity,
    )
    return _in_order(findings)


def prove_at_the_edge(
    scenario: Scenario, evidence: Evidence, integrity: tuple[Finding, ...] = ()
) -> Proof:
    """That the same crime happened, where the shop wrote too little down for more to be asked.

    What requests tell is judged, and what the run itself may be trusted with; no span is.
    """
    reference = evidence.reference_stats
    # An exhibit that needs spans is for a reader who has them.
    checks = tuple(check for check in scenario.judged if isinstance(check, RequestCheck))
    seen = replace(scenario, checks=checks, exhibits={})
    windows = (Window.REFERENCE, Window.CRIME, Window.RECOVERY)
    findings = (
        _enough(scenario, evidence.requests_in(Window.CRIME, scenario.symptom.of)),
        *(_symptom(scenario, evidence, reference, window) for window in windows),
        *(
            finding
            for step in (Step.REFERENCE, Step.CRIME, Step.RECOVERY)
            for finding in _checks(seen, evidence, reference, step)
        ),
        _completeness(evidence),
        *integrity,
    )
    return _in_order(findings)


def _in_order(findings: Iterable[Finding]) -> Proof:
    return Proof(tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.step))))


def _reference_findings(
    scenario: Scenario, evidence: Evidence, reference: ReferenceStats
) -> tuple[Finding, ...]:
    return (
        _symptom(scenario, evidence, reference, Window.REFERENCE),
        _absence(scenario, evidence, reference, Sample.REFERENCE),
        *_checks(scenario, evidence, reference, Step.REFERENCE),
    )


def _crime_findings(
    scenario: Scenario, evidence: Evidence, reference: ReferenceStats
) -> tuple[Finding, ...]:
    affected = affected_traces(scenario, evidence, reference)
    found = Share.count(
        affected, lambda trace: scenario.truth.matches(trace, reference), "affected traces"
    )
    return (
        _enough(scenario, evidence.requests_in(Window.CRIME, scenario.symptom.of)),
        _symptom(scenario, evidence, reference, Window.CRIME),
        *_checks(scenario, evidence, reference, Step.CRIME),
        found.finding(Step.CRIME, "truth found", scenario.truth.share),
        *_alternatives(scenario, affected, reference),
        *origin_findings(scenario, evidence, affected),
        *(
            finding
            for number, decoy in enumerate(scenario.decoys, start=1)
            for finding in _decoy_findings(scenario, number, decoy, affected, reference)
        ),
        *_controls(scenario, evidence, reference),
    )


def _recovery_findings(
    scenario: Scenario, evidence: Evidence, reference: ReferenceStats
) -> tuple[Finding, ...]:
    return (
        _symptom(scenario, evidence, reference, Window.RECOVERY),
        _absence(scenario, evidence, reference, Sample.RECOVERY),
        *_checks(scenario, evidence, reference, Step.RECOVERY),
    )


def _symptom(
    scenario: Scenario, evidence: Evidence, reference: ReferenceStats, window: Window
) -> Finding:
    symptom, (step, _) = scenario.symptom, JUDGED[window]
    bound = symptom.crime if window is Window.CRIME else symptom.reference
    share = affected_share(scenario, evidence, reference, window)
    return share.finding(step, symptom.measured, bound)


def _enough(scenario: Scenario, requests: Sequence[Request]) -> Finding:
    outcome = Outcome.HOLDS if len(requests) >= scenario.min_requests else Outcome.UNKNOWN
    return Finding(
        Step.CRIME,
        "enough requests",
        f">= {scenario.min_requests} of {scenario.symptom.of}",
        str(len(requests)),
        outcome,
    )


def _absence(
    scenario: Scenario, evidence: Evidence, reference: ReferenceStats, sample: Sample
) -> Finding:
    """The truth is hardly ever found where no harm was done.

    Where nobody did it the same rejections, in their usual number, belong to a
    healthy day: then the truth must be absent from the requests that were served.
    """
    traces = evidence.whole_traces(sample)
    of = f"{sample} traces"
    if scenario.truth.is_nobody:
        traces = tuple(
            trace for trace in traces if not is_affected(scenario, evidence, reference, trace)
        )
        of = f"{sample} traces of served requests"
    found = Share.count(traces, lambda trace: scenario.truth.matches(trace, reference), of)
    step = {Sample.REFERENCE: Step.REFERENCE, Sample.RECOVERY: Step.RECOVERY}[sample]
    return found.finding(step, "truth absent", HARDLY_EVER)


def _checks(
    scenario: Scenario, evidence: Evidence, reference: ReferenceStats, step: Step
) -> tuple[Finding, ...]:
    return tuple(
        check_finding(check, evidence, reference) for check in scenario.judged if check.step is step
    )


def _readable(scenario: Scenario, evidence: Evidence) -> Scenario:
    """Without exhibits on log lines where there are none: another checkout's nobody here reads."""
    if evidence.log_lines:
        return scenario
    kept = {key: x for key, x in scenario.exhibits.items() if not isinstance(x, LogCheck)}
    return replace(scenario, exhibits=kept)


def _alternatives(
    scenario: Scenario, affected: Sequence[Trace], reference: ReferenceStats
) -> tuple[Finding, ...]:
    """Each form of the culprit that must occur does occur."""
    return tuple(
        _count(affected, each.predicate, reference, f"truth, form {number}", each.in_traces)
        for number, each in enumerate(scenario.truth.culprit, start=1)
        if each.in_traces is not None
    )


def _count(
    traces: Sequence[Trace],
    predicate: Predicate,
    reference: ReferenceStats,
    check: str,
    bound: Bound,
) -> Finding:
    hits = sum(bool(predicate.matching(trace, reference)) for trace in traces)
    outcome = bound.holds(hits) if traces else Outcome.UNKNOWN
    return Finding(Step.CRIME, check, f"{bound} affected traces", str(hits), outcome)


def _decoy_findings(
    scenario: Scenario,
    number: int,
    decoy: Decoy,
    affected: Sequence[Trace],
    reference: ReferenceStats,
) -> tuple[Finding, ...]:
    """The decoy is there to be fallen for, and no span is decoy and culprit at once."""
    present = Share.count(
        affected, lambda trace: bool(decoy.predicate.matching(trace, reference)), "affected traces"
    )
    both = Share.count(
        affected, lambda trace: _is_culprit_too(scenario, decoy, trace, reference), present.of
    )
    return (
        present.finding(Step.CRIME, f"decoy {number} present", decoy.share),
        both.finding(Step.CRIME, f"decoy {number} is not the culprit", NEVER),
    )


def _is_culprit_too(
    scenario: Scenario, decoy: Decoy, trace: Trace, reference: ReferenceStats
) -> bool:
    truth = scenario.truth
    return any(
        truth.is_culprit(span, trace, reference) or truth.is_accomplice(span, trace, reference)
        for span in decoy.predicate.matching(trace, reference)
    )


def _controls(
    scenario: Scenario, evidence: Evidence, reference: ReferenceStats
) -> tuple[Finding, ...]:
    """Requests of the same kind that got through the crime unharmed do not show the truth.

    Where every request was harmed there is no such control, and the reference is
    the only one.
    """
    symptom = scenario.symptom
    fetched = (*evidence.whole_traces(Sample.UNAFFECTED), *evidence.whole_traces(Sample.AFFECTED))
    traces = [
        trace
        for trace in fetched
        if not is_affected(scenario, evidence, reference, trace)
        and (request := evidence.request_of.get(trace.trace_id))
        and symptom.of.covers(request)
    ]
    harmed = all(
        evidence.suffered(symptom, request)
        for request in evidence.requests_in(Window.CRIME, symptom.of)
    )
    if harmed and not traces:
        return ()
    found = Share.count(
        traces, lambda trace: scenario.truth.matches(trace, reference), "unaffected traces"
    )
    return (found.finding(Step.CRIME, "truth absent where unaffected", HARDLY_EVER),)


def _completeness(evidence: Evidence) -> Finding:
    asked = {trace_id for sample in evidence.samples.values() for trace_id in sample}

    def came_whole(trace_id: str) -> bool:
        trace = evidence.traces.get(trace_id)
        return trace is not None and trace.is_whole

    whole = Share.count(asked, came_whole, "traces asked for")
    return whole.finding(Step.EVIDENCE, "traces whole", MOSTLY_WHOLE, integrity=True)


def explain(scenario: Scenario, evidence: Evidence) -> tuple[NearMiss, ...]:
    """What came nearest to the truth in affected traces that do not show it, nearest first.

    Misses of one operation by the same clauses are told once.
    """
    reference = evidence.reference_stats
    truth = scenario.truth
    wanted = truth.nobody or tuple(each.predicate for each in truth.culprit)
    told: dict[tuple[Operation, tuple[str, ...]], NearMiss] = {}
    for trace in affected_traces(scenario, evidence, reference):
        if truth.matches(trace, reference):
            continue
        for predicate in wanted:
            for miss in predicate.nearest_misses(trace, reference):
                names = tuple(clause.name for clause in miss.failed)
                told.setdefault((Operation.of(miss.span), names), miss)
    return tuple(sorted(told.values(), key=lambda miss: miss.distance)[:_NEAR_MISSES])


def pick_support_code(scenario: Scenario, evidence: Evidence) -> str | None:
    """The trace a briefing ends with: the earliest affected one that shows the truth best.

    Best is its first form, then any form, then merely being affected; None where no
    affected trace came whole.
    """
    reference = evidence.reference_stats
    truth = scenario.truth

    def rank(trace: Trace) -> tuple[int, float, str]:
        first = truth.nobody or (truth.culprit[0].predicate,)
        shows = truth.matches(trace, reference)
        shows_first = shows and all(each.matching(trace, reference) for each in first)
        request = evidence.request_of.get(trace.trace_id)
        start_s = request.start_s if request else float("inf")
        return 2 - shows - shows_first, start_s, trace.trace_id

    best = min(affected_traces(scenario, evidence, reference), key=rank, default=None)
    return best.trace_id if best else None
