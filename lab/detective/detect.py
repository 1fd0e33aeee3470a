"""Rank who did it, with reasons, and say how sure that is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from lab.detective.absences import Absence, absences
from lab.detective.answer import Answer, Partner, Suspect, share_said
from lab.detective.blaming import blamed
from lab.detective.charges import Charge, Sign
from lab.detective.hurt import middle
from lab.detective.incident import Incident
from lab.detective.naming import is_opening, is_rejection, named
from lab.detective.profile import answer_to, hop_of
from lab.detective.retries import earlier_failures
from lab.detective.scene import Scene
from lab.detective.scoping import scope_of
from lab.detective.tuning import Tuning
from lab.domain.mechanism import Mechanism, Scope
from lab.domain.reference import Operation
from lab.domain.wording import duration

EXAMPLES: Final = 3
MOST_SUSPECTS: Final = 10
LEAST_SHARE: Final = 0.002
"""Who explains less is nobody's suspect."""


def detect(incident: Incident, tuning: Tuning | None = None) -> Answer:
    """Who did it, as far as ``incident`` tells. The same input gives the same answer."""
    scene = Scene(incident, tuning or Tuning())
    if not incident.before.traces or not incident.during.traces:
        when = "before" if not incident.before.traces else "during the incident"
        return Answer((), 0.5, Scope.ALL, scene.harm.share, f"no trace from {when} is there")
    if rejected := _rejection(scene):
        return rejected
    suspects = sorted((*_charged(scene), *_absent(scene)), key=_order)[:MOST_SUSPECTS]
    scope = scope_of(scene, suspects[0].operations) if suspects else Scope.ALL
    return Answer(
        tuple(suspects), _nobody(suspects), scope, scene.harm.share, _cannot_tell(scene, suspects)
    )


def _order(suspect: Suspect) -> tuple[object, ...]:
    return -round(suspect.score, 9), suspect.examples


def _charged(scene: Scene) -> Iterator[Suspect]:
    """Those whom hurt requests charge, the runs of one edge together."""
    groups: dict[object, list[Charge]] = defaultdict(list)
    for charge in blamed(scene):
        groups[_group_of(charge)].append(charge)
    scale = 1.0 if scene.at_edge else _inside_share(scene)
    telling = [each for each in groups.values() if _weight(each) >= LEAST_SHARE]
    heaviest = sorted(telling, key=_weight, reverse=True)[:MOST_SUSPECTS]
    for charges in heaviest:
        by_operation = _by_operation(charges)
        operations = _leading(scene, by_operation)
        leading = by_operation[operations[0]]
        found = named(scene, operations[0], leading)
        score = scale * _weight(charges)
        yield Suspect(
            operations,
            score,
            found.mechanism,
            tuple((each.trace.trace_id, each.span.span_id) for each in _typical(leading)),
            (_in_words(scene, operations[0], leading, score), _sentence(found.why)),
            _doubt(found.mechanism, leading),
            _partner(scene, found.mechanism, _typical(leading)[0]),
        )


def _doubt(mechanism: Mechanism, charges: Sequence[Charge]) -> str | None:
    if mechanism is Mechanism.LOCK_CONTENTION and charges[0].sign is not Sign.HOLDER:
        return "it waited for a lock, and whoever held that is in no trace that is here"
    return None


def _partner(scene: Scene, mechanism: Mechanism, charge: Charge) -> Partner | None:
    """The attempt before a repeat, where that was lost although its callee answered in time.

    An attempt that failed because its callee was late may be late for the repeats' sake.
    """
    if mechanism is not Mechanism.RETRY_AMPLIFICATION:
        return None
    for attempt in earlier_failures(charge.trace, charge.span):
        answer = answer_to(charge.trace, attempt)
        if answer is not None and answer.end_ns <= attempt.end_ns:
            lost = Charge(1.0, attempt, charge.trace, Sign.ERROR)
            found = named(scene, lost.operation, [lost])
            return Partner((attempt.trace_id, attempt.span_id), found.mechanism, found.why)
    return None


def _weight(charges: Sequence[Charge]) -> float:
    return sum(each.share for each in charges)


def _group_of(charge: Charge) -> object:
    hop = hop_of(charge.operation)
    return hop if hop is not None else charge.operation


def _by_operation(charges: Sequence[Charge]) -> Mapping[Operation, Sequence[Charge]]:
    found: dict[Operation, list[Charge]] = defaultdict(list)
    for each in charges:
        found[each.operation].append(each)
    return found


def _leading(scene: Scene, charges: Mapping[Operation, Sequence[Charge]]) -> tuple[Operation, ...]:
    """The operations, what explains most first; what is new on an edge before what it slows."""
    totals = {operation: _weight(found) for operation, found in charges.items()}
    whole = sum(totals.values())

    def weight(operation: Operation) -> tuple[bool, float]:
        opens = is_opening(scene, operation, charges[operation])
        return opens and totals[operation] >= whole / 4, totals[operation]

    return tuple(sorted(charges, key=weight, reverse=True))


def _typical(charges: Sequence[Charge]) -> Sequence[Charge]:
    """Those that weigh as much as most do: the median of the heavier half, then its neighbours."""
    spans: dict[str, Charge] = {}
    for each in charges:
        if each.span.span_id not in spans or each.share > spans[each.span.span_id].share:
            spans[each.span.span_id] = each
    ordered = sorted(spans.values(), key=lambda each: (each.share, each.span.duration_ms))
    place = len(ordered) * 3 // 4
    ranked = sorted(range(len(ordered)), key=lambda index: (abs(index - place), index))
    return [ordered[index] for index in ranked[:EXAMPLES]]


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."


def _in_words(scene: Scene, operation: Operation, charges: Sequence[Charge], score: float) -> str:
    traces = len({each.trace.trace_id for each in charges})
    now = middle([each.span.duration_ms for each in charges])
    past = scene.usual.typical_ms.get(operation)
    usual = "never seen before" if past is None else f"usually {duration(past)}"
    sign = max(
        {each.sign for each in charges},
        key=lambda sign: sum(c.share for c in charges if c.sign is sign),
    )
    return _sentence(
        f"{share_said(score)} of the change, in {traces} of {len(scene.victims)} hurt traces: "
        f"{sign.value} ({duration(now)}, {usual})"
    )


def _inside_share(scene: Scene) -> float:
    """In which share of the incident's traces something fails that no request at the edge shows."""
    kept = len(scene.incident.during.kept)
    return len(scene.victims) / kept if kept else 0.0


def _absent(scene: Scene) -> Iterator[Suspect]:
    """Those of whom traces tell that something did not come; less, where requests are hurt."""
    for each in absences(scene):
        score = each.share * (1 - scene.harm.share)
        yield Suspect(
            (each.operation,),
            score,
            each.mechanism,
            _examples(each),
            (_sentence(each.reason),),
            each.doubt,
        )


def _examples(absence: Absence) -> tuple[tuple[str, str], ...]:
    return tuple((c.trace.trace_id, c.span.span_id) for c in _typical(absence.charges))


def _rejection(scene: Scene) -> Answer | None:
    """The answer where all that changed is that somebody rightly said no."""
    hows = [victim.how for victim in scene.victims]
    rejected = [victim for victim in scene.victims if victim.how == "rejected"]
    if not rejected or len(rejected) < 0.9 * len(hows):
        return None
    refused = [charge for charge in scene.charges if is_rejection(charge.span)]
    share = sum(each.share for each in refused)
    if share < 0.5 or any(_is_harmed(scene, each) for each in refused[:1]):
        return None
    return Answer((), 0.5 + share * 0.45, Scope.ALL, scene.harm.share)


def _is_harmed(scene: Scene, charge: Charge) -> bool:
    usual = scene.usual.long_ms.get(charge.operation)
    now = scene.during.typical_ms.get(charge.operation)
    return usual is not None and now is not None and now > scene.tuning.slower * usual + 50


def _nobody(suspects: Sequence[Suspect]) -> float:
    """What the first suspect leaves unexplained, times four fifths; 0.98 where there is none.

    A change that is spread over many, so that none explains much, is more often the
    machine's than anybody's.
    """
    if not suspects:
        return 0.98
    return min(0.9, max(0.02, 0.8 * (1 - suspects[0].score)))


def _cannot_tell(scene: Scene, suspects: Sequence[Suspect]) -> str | None:
    if scene.harm.hurt and not scene.victims:
        return "requests are hurt, and no trace of them is there"
    return suspects[0].doubt if suspects else None
