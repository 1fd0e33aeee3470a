"""What an accusation comes to. Pure, and the same on a live case and a recorded one."""

from __future__ import annotations

from collections.abc import Sequence

from lab.domain.accusation import Accusation
from lab.domain.evidence import Evidence
from lab.domain.load import Window
from lab.domain.mechanism import Scope
from lab.domain.reference import ReferenceStats
from lab.domain.scenario import Scenario
from lab.domain.trace import Span, Trace
from lab.domain.verdict import Judgement, VerdictClass
from lab.investigation.proof.affected import is_affected

Charge = tuple[Trace, Span]


def judge(scenario: Scenario, evidence: Evidence, accusation: Accusation) -> Judgement:
    """The first class that fits, with the accused spans' own numbers and nobody else's.

    Several spans are judged together: all of them must have done it, and where there
    was an accomplice both parties must be among them.
    """
    if accusation.nobody:
        return _say(_judge_nobody(scenario, accusation))
    reference = evidence.reference_stats
    charges = _charges(evidence, accusation)
    if not charges:
        return _say(VerdictClass.UNKNOWN_TRACE)
    verdict = _judge_charges(scenario, evidence, reference, accusation, charges)
    return _say(verdict, *(_numbers(trace, span, reference) for trace, span in charges))


def _judge_nobody(scenario: Scenario, accusation: Accusation) -> VerdictClass:
    if not scenario.truth.is_nobody:
        return VerdictClass.SOMEBODY
    return VerdictClass.SOLVED if _reason_is_right(scenario, accusation) else VerdictClass.CLOSE


def _charges(evidence: Evidence, accusation: Accusation) -> tuple[Charge, ...]:
    """The accused spans; none at all where one of them is not in the case file."""
    charges: list[Charge] = []
    for trace_id, span_id in accusation.spans:
        trace = evidence.trace(trace_id)
        span = trace.span(span_id) if trace else None
        if trace is None or span is None:
            return ()
        charges.append((trace, span))
    return tuple(charges)


def _judge_charges(
    scenario: Scenario,
    evidence: Evidence,
    reference: ReferenceStats,
    accusation: Accusation,
    charges: Sequence[Charge],
) -> VerdictClass:
    if not all(_shows_harm(scenario, evidence, reference, trace) for trace, _ in charges):
        return VerdictClass.WRONG_EVIDENCE
    for trace, span in charges:
        if not _is_guilty(scenario, reference, trace, span):
            return _acquit(scenario, reference, trace, span)
    if not _all_parties_named(scenario, reference, charges):
        return VerdictClass.CLOSE
    return VerdictClass.SOLVED if _reason_is_right(scenario, accusation) else VerdictClass.CLOSE


def _reason_is_right(scenario: Scenario, accusation: Accusation) -> bool:
    truth = scenario.truth
    scope_is_right = truth.scope is Scope.ALL or accusation.scope is truth.scope
    return accusation.mechanism in truth.mechanisms and scope_is_right


def _shows_harm(
    scenario: Scenario, evidence: Evidence, reference: ReferenceStats, trace: Trace
) -> bool:
    """Whether the trace, or one of those it is joined to, is of the crime and not a healthy one.

    Requests of other routes may die of the same cause and are evidence as good.
    """
    request = evidence.request_of.get(trace.trace_id)
    if request is None:
        owners = evidence.joined_to(trace.trace_id)
        return any(_shows_harm(scenario, evidence, reference, each) for each in owners)
    if request.window is not Window.CRIME:
        return False
    return is_affected(scenario, evidence, reference, trace) or scenario.truth.matches(
        trace, reference
    )


def _is_guilty(scenario: Scenario, reference: ReferenceStats, trace: Trace, span: Span) -> bool:
    truth = scenario.truth
    return truth.is_culprit(span, trace, reference) or truth.is_accomplice(span, trace, reference)


def _all_parties_named(
    scenario: Scenario, reference: ReferenceStats, charges: Sequence[Charge]
) -> bool:
    truth = scenario.truth
    if truth.accomplice is None:
        return True
    return any(truth.is_culprit(span, trace, reference) for trace, span in charges) and any(
        truth.is_accomplice(span, trace, reference) for trace, span in charges
    )


def _acquit(
    scenario: Scenario, reference: ReferenceStats, trace: Trace, span: Span
) -> VerdictClass:
    """Which of the three ways of not having done it; where nobody did, evidence is a bystander."""
    truth = scenario.truth
    looks_guilty = (*(decoy.predicate for decoy in scenario.decoys), *truth.nobody)
    if any(predicate.matches(span, trace, reference) for predicate in looks_guilty):
        return VerdictClass.BYSTANDER
    deepest = (
        *truth.culprits_in(trace, reference),
        *truth.accomplices_in(trace, reference),
        *(found for each in truth.nobody for found in each.matching(trace, reference)),
    )
    victims = (found for each in truth.victims for found in each.matching(trace, reference))
    if any(span == found or span in trace.ancestors(found) for found in (*deepest, *victims)):
        return VerdictClass.MESSENGER
    return VerdictClass.INNOCENT


def _numbers(trace: Trace, span: Span, reference: ReferenceStats) -> str:
    said = (
        f"{span.service} {span.name}: took {span.duration_ms:.1f} ms, "
        f"{trace.self_time_ms(span):.1f} ms of it itself, status {span.status}"
    )
    usual = reference.for_span(span)
    if usual is None:
        return f"{said}; the reference has none like it."
    times = usual.times(span.duration_ms)
    if times is None:
        return f"{said}; usually 0 ms."
    return f"{said}; {times:.1f}× its usual {usual.p50_ms:.1f} ms."


def _say(verdict: VerdictClass, *numbers: str) -> Judgement:
    return Judgement(verdict, " ".join((verdict.sentence, *numbers)))
