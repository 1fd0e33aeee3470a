"""What an accusation comes to. Pure, and the same on a live case and a recorded one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.domain.accusation import Accusation
from lab.domain.evidence import Evidence
from lab.domain.load import Window
from lab.domain.mechanism import Mechanism, Scope
from lab.domain.scenario import Scenario
from lab.domain.trace import Span, Trace
from lab.domain.verdict import Judgement, VerdictClass
from lab.investigation.proof.affected import is_affected
from lab.investigation.solving.arguments import Accused, alibi, argument, numbers

Charge = tuple[Trace, Span, Mechanism]


def judge(scenario: Scenario, evidence: Evidence, accusation: Accusation) -> Judgement:
    """The first class that fits, with the accused spans' own numbers and nobody else's.

    Several spans are judged together: all of them must have done it, each by its own
    mechanism, and where there was an accomplice both parties must be among them.
    """
    if accusation.nobody:
        return _judge_nobody(scenario, accusation)
    charges = _charges(evidence, accusation)
    if not charges:
        return _say(VerdictClass.UNKNOWN_TRACE)
    return Trial(scenario, evidence, accusation.scope, charges).judgement()


def _judge_nobody(scenario: Scenario, accusation: Accusation) -> Judgement:
    """Whether nobody did it; a mechanism is not asked for, and a wrong one is told."""
    truth = scenario.truth
    if not truth.is_nobody:
        return _say(VerdictClass.SOMEBODY)
    if any(each is not truth.mechanism for each in accusation.mechanisms):
        wrong = ", ".join(f"`{each}`" for each in accusation.mechanisms)
        return _say(VerdictClass.CLOSE, f"Nobody it was. But {wrong} is a harm that somebody does.")
    return _say(VerdictClass.SOLVED, f"It is `{truth.mechanism}`. {truth.mechanism.apart}")


def _charges(evidence: Evidence, accusation: Accusation) -> tuple[Charge, ...]:
    """The accused spans; none at all where one of them is not in the case file."""
    charges: list[Charge] = []
    for trace_id, span_id, mechanism in accusation.charges:
        trace = evidence.trace(trace_id)
        span = trace.span(span_id) if trace else None
        if trace is None or span is None:
            return ()
        charges.append((trace, span, mechanism))
    return tuple(charges)


class Trial:
    """One accusation of spans that are in the case file; without any it answers for each span."""

    def __init__(
        self,
        scenario: Scenario,
        evidence: Evidence,
        scope: Scope | None = None,
        charges: Sequence[Charge] = (),
    ) -> None:
        self._scenario = scenario
        self._evidence = evidence
        self._reference = evidence.reference_stats
        self._scope = scope
        self._charges = charges
        self._carried: dict[str, frozenset[tuple[str, str]]] = {}

    def judgement(self) -> Judgement:
        """Evidence first, then the innocent, then what is missing of the whole answer."""
        if not all(self.shows_harm(trace) for trace, _, _ in self._charges):
            return _say(VerdictClass.WRONG_EVIDENCE, *self._numbers())
        for trace, span, _ in self._charges:
            if not self.mechanisms_of(trace, span):
                acquitted = self.acquit(trace, span)
                told = alibi(Accused(span, trace, self._evidence))
                shown = () if acquitted is VerdictClass.INNOCENT else (told,)
                return _say(acquitted, *shown, *self._numbers())
        if missing := " ".join(self._missing()):
            return _say(VerdictClass.CLOSE, missing, *self._numbers())
        return _say(VerdictClass.SOLVED, *self._reasons(), *self._remarks())

    def mechanisms_of(self, trace: Trace, span: Span) -> tuple[Mechanism, ...]:
        """How the span did it; none where it did not."""
        return self._scenario.truth.mechanisms_of(span, trace, self._reference)

    def _missing(self) -> Iterator[str]:
        """What keeps a right answer from being the whole one; nothing where it is."""
        wrong = [
            mechanism
            for trace, span, mechanism in self._charges
            if mechanism not in self.mechanisms_of(trace, span)
        ]
        if self._lacks_a_party():
            told = "" if wrong else f", and `{self._charges[0][2]}` is how"
            yield f"One of two: it did it{told}, but it did not do it alone. Name both."
        if wrong and len(wrong) < len(self._charges):
            yield f"All of them did it. But `{wrong[0]}` is the way of one, not of the other."
        elif wrong and not self._lacks_a_party():
            yield (
                f"The span is right, but `{wrong[0]}` is not how it did it. Go down the list of "
                "mechanisms once more: the first that fits is meant."
            )
        elif wrong:
            yield f"And `{wrong[0]}` is not how it did it."
        if not wrong and not self._scope_is_right():
            named = (
                f"it did not hit `{self._scope}`" if self._scope else "you did not say whom it hit"
            )
            yield f"Span and mechanism are right, but {named}. The scope counts in this case."

    def _lacks_a_party(self) -> bool:
        accomplice = self._scenario.truth.accomplice
        if accomplice is None:
            return False
        truth, reference = self._scenario.truth, self._reference
        return not (
            any(truth.is_culprit(span, trace, reference) for trace, span, _ in self._charges)
            and any(truth.is_accomplice(span, trace, reference) for trace, span, _ in self._charges)
        )

    def _scope_is_right(self) -> bool:
        return not self._scenario.asks_scope or self._scope is self._scenario.truth.scope

    def _reasons(self) -> Iterator[str]:
        """What speaks for each mechanism, once, and why it is no other."""
        told: set[Mechanism] = set()
        for trace, span, mechanism in self._charges:
            yield argument(mechanism, Accused(span, trace, self._evidence))
            if mechanism not in told:
                told.add(mechanism)
                yield f"That is `{mechanism}`. {mechanism.apart}"

    def _remarks(self) -> Iterator[str]:
        truth = self._scenario.truth
        for trace, span, _ in self._charges:
            equal = truth.equal_of(span, trace, self._reference)
            if equal is not None and equal.mechanism is not truth.mechanism:
                yield f"`{truth.mechanism}` fits as well, and stands before it in the list."
            if equal is not None:
                yield equal.why
        if not self._scenario.asks_scope and self._scope not in {None, truth.scope}:
            yield f"By the way, it hit `{truth.scope}`, not `{self._scope}`. It did not count."

    def shows_harm(self, trace: Trace) -> bool:
        """Whether the trace, or one it is joined to, is of the crime and not a healthy one.

        Requests of other routes may die of the same cause and are evidence as good.
        """
        request = self._evidence.request_of.get(trace.trace_id)
        if request is None:
            return any(map(self.shows_harm, self._evidence.joined_to(trace.trace_id)))
        if request.window is not Window.CRIME:
            return False
        is_hurt = is_affected(self._scenario, self._evidence, self._reference, trace)
        return is_hurt or self._scenario.truth.matches(trace, self._reference)

    def acquit(self, trace: Trace, span: Span) -> VerdictClass:
        """Which way of not having done it; where nobody did, evidence is a bystander."""
        truth, reference = self._scenario.truth, self._reference
        looks_guilty = (*(decoy.predicate for decoy in self._scenario.decoys), *truth.nobody)
        if any(predicate.matches(span, trace, reference) for predicate in looks_guilty):
            return VerdictClass.BYSTANDER
        is_carrier = (span.trace_id, span.span_id) in self._carriers(trace)
        return VerdictClass.MESSENGER if is_carrier else VerdictClass.INNOCENT

    def _carriers(self, trace: Trace) -> frozenset[tuple[str, str]]:
        """Trace and span ids of what suffered from the deed in ``trace``, or passed it on."""
        if trace.trace_id in self._carried:
            return self._carried[trace.trace_id]
        truth, reference = self._scenario.truth, self._reference
        deepest = (
            *truth.culprits_in(trace, reference),
            *truth.accomplices_in(trace, reference),
            *truth.equals_in(trace, reference),
            *(found for each in truth.nobody for found in each.matching(trace, reference)),
        )
        victims = (found for each in truth.victims for found in each.matching(trace, reference))
        hit = (*deepest, *victims)
        above = (each for found in hit for each in trace.ancestors(found))
        carriers = frozenset((each.trace_id, each.span_id) for each in (*hit, *above))
        return self._carried.setdefault(trace.trace_id, carriers)

    def _numbers(self) -> Iterator[str]:
        for trace, span, _ in self._charges:
            yield numbers(Accused(span, trace, self._evidence))


def _say(verdict: VerdictClass, *more: str) -> Judgement:
    return Judgement(verdict, " ".join((verdict.sentence, *more)))
