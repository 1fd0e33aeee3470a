"""Every recorded case is graded as its scenario means it, span by span, and proves itself."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import Final

import pytest

from lab.domain.accusation import Accusation
from lab.domain.case import Case
from lab.domain.evidence import Sample
from lab.domain.load import Window
from lab.domain.mechanism import Mechanism
from lab.domain.proof import ProofVerdict
from lab.domain.trace import Span, Trace
from lab.domain.verdict import VerdictClass
from lab.investigation.proof.affected import affected_traces
from lab.investigation.running.recording import reproven
from lab.investigation.solving.judge import judge
from tests.support.recorded_cases import RECORDINGS, recorded

FEW: Final = 3
"""Traces of each kind that are graded span by span; all of them would take minutes."""

every_recording = pytest.mark.parametrize("name", RECORDINGS)

Charge = tuple[str, str]


def charge(span: Span) -> Charge:
    return span.trace_id, span.span_id


def verdict(case: Case, *charges: Charge, mechanism: Mechanism | None = None) -> VerdictClass:
    """What comes of accusing these, each by its own right reason unless another is given."""
    truth = case.scenario.truth
    mechanisms = tuple(mechanism or right(case, each) for each in charges)
    accusation = Accusation(charges, mechanisms, scope=truth.scope)
    return judge(case.scenario, case.evidence, accusation).verdict


def right(case: Case, accused: Charge) -> Mechanism:
    """How the accused did it; the culprit's way where it did not."""
    trace = case.evidence.trace(accused[0])
    span = trace.span(accused[1]) if trace else None
    reference = case.evidence.reference_stats
    ways = case.scenario.truth.mechanisms_of(span, trace, reference) if trace and span else ()
    return (*ways, case.scenario.truth.mechanism)[0]


class Parties:
    """Who is who in one trace that shows the truth, by the scenario's own predicates.

    Whoever is guilty in a trace that is joined to it (an orphan, a consumer) is guilty there.
    A joined one that a request of its own began speaks for itself, and may be a healthy one.
    """

    def __init__(self, case: Case, trace: Trace) -> None:
        truth, reference = case.scenario.truth, case.evidence.reference_stats
        self.trace = trace
        self.culprits = frozenset(map(charge, truth.culprits_in(trace, reference)))
        self.accomplices = frozenset(map(charge, truth.accomplices_in(trace, reference)))
        self.equals = frozenset(map(charge, truth.equals_in(trace, reference)))
        self.guilty = self.culprits | self.accomplices | self.equals
        looks_guilty = (*(each.predicate for each in case.scenario.decoys), *truth.nobody)
        own = case.evidence.request_of
        story = [each for each in trace.story if each is trace or each.trace_id not in own]
        spans = [span for each in story for span in each]
        self.bystanders = (
            frozenset(
                charge(span)
                for each in story
                for predicate in looks_guilty
                for span in each
                if predicate.matches(span, each, reference)
            )
            - self.guilty
        )
        evidence = [
            *(span for span in spans if charge(span) in self.guilty),
            *(span for each in truth.nobody for span in each.matching(trace, reference)),
            *(span for each in truth.victims for span in each.matching(trace, reference)),
        ]
        on_the_way = chain.from_iterable((span, *trace.ancestors(span)) for span in evidence)
        self.messengers = frozenset(map(charge, on_the_way)) - self.guilty - self.bystanders
        self.others = (
            frozenset(map(charge, trace)) - self.guilty - self.bystanders - self.messengers
        )


def shows(case: Case, trace: Trace) -> bool:
    return case.scenario.truth.matches(trace, case.evidence.reference_stats)


def telling(case: Case) -> Iterator[Trace]:
    """A few affected traces that show the truth, and a few of each of its forms."""
    reference = case.evidence.reference_stats
    found = [
        trace
        for trace in affected_traces(case.scenario, case.evidence, reference)
        if shows(case, trace)
    ]
    chosen = dict.fromkeys(trace.trace_id for trace in found[:FEW])
    for form in case.scenario.truth.culprit:
        of_the_form = (trace for trace in found if form.predicate.matching(trace, reference))
        chosen |= dict.fromkeys(trace.trace_id for trace in islice(of_the_form, FEW))
    return (trace for trace in found if trace.trace_id in chosen)


@every_recording
def test_the_reference_accusation_solves_the_case(name: str) -> None:
    """The support code's trace, for the span or the spans that did it; where nobody did, nobody."""
    case = recorded(name)
    if case.scenario.truth.is_nobody:
        accusation = Accusation((), nobody=True)
        assert judge(case.scenario, case.evidence, accusation).is_solved
        return
    assert case.support_code is not None
    trace = case.evidence.trace(case.support_code)
    assert trace is not None
    parties = Parties(case, trace)
    accused = [min(parties.culprits), *sorted(parties.accomplices)[:1]]
    assert verdict(case, *accused) is VerdictClass.SOLVED
    wrong = next(each for each in Mechanism if each not in case.scenario.truth.mechanisms)
    assert verdict(case, *accused, mechanism=wrong) is VerdictClass.CLOSE


@every_recording
def test_each_equivalent_solves_the_case_and_an_accomplice_alone_does_not(name: str) -> None:
    case = recorded(name)
    seen = 0
    for trace in telling(case):
        parties = Parties(case, trace)
        seen += len(parties.culprits)
        for culprit in parties.culprits:
            if not parties.accomplices:
                assert verdict(case, culprit) is VerdictClass.SOLVED, culprit
                continue
            assert verdict(case, culprit) is VerdictClass.CLOSE, culprit
            assert verdict(case, culprit, min(parties.accomplices)) is VerdictClass.SOLVED
        for equal in parties.equals:
            assert verdict(case, equal) is VerdictClass.SOLVED, equal
        for accomplice in parties.accomplices:
            assert verdict(case, accomplice) is VerdictClass.CLOSE, accomplice
    assert bool(seen) is not case.scenario.truth.is_nobody


@every_recording
def test_every_other_span_is_what_it_is(name: str) -> None:
    """Decoys are bystanders, ancestors messengers, and all that remains is innocent."""
    case = recorded(name)
    met: dict[VerdictClass, int] = {}
    for trace in telling(case):
        parties = Parties(case, trace)
        for group, expected in (
            (parties.bystanders, VerdictClass.BYSTANDER),
            (parties.messengers, VerdictClass.MESSENGER),
            (parties.others, VerdictClass.INNOCENT),
        ):
            wrong = {each: got for each in group if (got := verdict(case, each)) is not expected}
            assert wrong == {}, expected
            met[expected] = met.get(expected, 0) + len(group)
    assert sum(met.values()) > 0
    assert met[VerdictClass.BYSTANDER] or not case.scenario.decoys


@every_recording
def test_a_control_is_the_wrong_evidence(name: str) -> None:
    """A trace of before, of after, and a healthy one of the incident, whatever span is named."""
    case = recorded(name)
    reference = case.evidence.reference_stats
    controls = [
        *case.evidence.whole_traces(Sample.REFERENCE)[:FEW],
        *case.evidence.whole_traces(Sample.RECOVERY)[:FEW],
        *(
            trace
            for trace in case.evidence.whole_traces(Sample.UNAFFECTED)[:FEW]
            if not case.scenario.truth.matches(trace, reference)
        ),
    ]
    assert controls
    for trace in controls:
        for span in trace:
            assert verdict(case, charge(span)) is VerdictClass.WRONG_EVIDENCE, charge(span)
    assert verdict(case, ("00" * 16, "00" * 8)) is VerdictClass.UNKNOWN_TRACE


@every_recording
def test_a_recording_proves_itself_again(name: str) -> None:
    """The proof that is made from the file is the one inside, number by number."""
    case = recorded(name)
    assert case.proof.verdict is ProofVerdict.PROVEN
    assert reproven(case).proof == case.proof
    assert {Window.REFERENCE, Window.CRIME, Window.RECOVERY} <= case.evidence.windows.keys()
