"""What a learner is told once a case is closed: the fault, the path, the decoys, their own way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.domain.case import Case
from lab.domain.evidence import Evidence, Sample
from lab.domain.journal import Step
from lab.domain.ledger import Ledger, LedgerEntry
from lab.domain.load import Window, percentile
from lab.domain.mechanism import Mechanism
from lab.domain.predicate import Predicate
from lab.domain.reference import Operation
from lab.domain.trace import Span, Trace
from lab.domain.wording import duration
from lab.frozen import dataclass
from lab.investigation.reading.logs import LogLine
from lab.investigation.reading.requests import outcome_of
from lab.investigation.solving.exhibits import Witness, told, with_measure


@dataclass(frozen=True, slots=True)
class ClearedDecoy:
    """Why one that looked guilty was not, and where it looked so; None where it never showed."""

    why: str
    witness: Witness | None


@dataclass(frozen=True, slots=True)
class OtherAnswer:
    """What would have solved the case as well, why, and where; None where no trace shows it."""

    mechanism: Mechanism
    why: str
    witness: Witness | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """Spans of another operation than the culprit's that were as right; ``traces`` show them."""

    mechanism: Mechanism
    witness: Witness
    traces: int


@dataclass(frozen=True, slots=True)
class OwnStep:
    """One thing the learner did, in seconds after the first."""

    after_s: float
    said: str
    trace_id: str | None = None


@dataclass(frozen=True)
class Debriefing:
    """``path`` runs from the root of one trace down to a culprit; both are empty where nobody is.

    ``evidence`` holds what clears everyone where nobody did it, ``others`` the answers that
    would have been as good, and ``accepted`` what else the same answer could have named.
    ``harm_unix_s`` are the stretches in which harm was on. ``blind_spots`` says what metrics and
    logs could not tell.
    """

    culprits: tuple[Witness, ...]
    path: tuple[Witness, ...]
    evidence: tuple[Witness, ...]
    decoys: tuple[ClearedDecoy, ...]
    others: tuple[OtherAnswer, ...]
    accepted: tuple[Accepted, ...]
    harm_unix_s: tuple[tuple[float, float], ...]
    blind_spots: tuple[str, ...]
    own_way: tuple[OwnStep, ...]
    shortest_way: tuple[str, ...]


def debriefing(case: Case, ledger: Ledger, lines: tuple[LogLine, ...]) -> Debriefing:
    """Everything at once; whoever shows it has asked whether it was earned."""
    culprits = tuple(_first_of_each(case))
    path = _path(culprits[0]) if culprits else ()
    cleared = tuple(_cleared(case)) if not culprits else ()
    return Debriefing(
        culprits=culprits,
        path=path,
        evidence=cleared,
        decoys=tuple(
            ClearedDecoy(told(decoy.why, case, with_measure), _witness(case, decoy.predicate))
            for decoy in case.scenario.decoys
        ),
        others=tuple(
            OtherAnswer(
                each.mechanism,
                told(each.why, case, with_measure),
                _witness(case, each.culprit[0].predicate),
            )
            for each in case.scenario.truth.equals
        ),
        accepted=tuple(_accepted(case, culprits)),
        harm_unix_s=harm_unix_s(case),
        blind_spots=_blind_spots(case, culprits, lines),
        own_way=_own_way(ledger),
        shortest_way=_shortest_way(case, path),
    )


def harm_unix_s(case: Case) -> tuple[tuple[float, float], ...]:
    """When harm was on, in Unix seconds, as the run's journal tells; none where load was all."""
    taken = released = None
    switches: list[tuple[float, bool]] = []
    for entry in case.journal:
        if entry.step is not Step.CRIME:
            continue
        if entry.event == "lease taken":
            taken = entry.time_unix_s
        elif entry.event == "fault switched":
            moment = entry.data.get("switched_unix_s", entry.time_unix_s)
            switches.append((float(moment), bool(entry.data.get("is_on"))))
        elif entry.event == "window closed":
            released = float(entry.data.get("end_unix_s", entry.time_unix_s))
    if taken is None or released is None:
        return ()
    if not switches:
        return ((taken, released),)
    return tuple(_stretches(sorted(switches), released))


def _stretches(switches: list[tuple[float, bool]], end_s: float) -> Iterator[tuple[float, float]]:
    since: float | None = None
    for moment, is_on in switches:
        if is_on and since is None:
            since = moment
        elif not is_on and since is not None:
            yield since, moment
            since = None
    if since is not None:
        yield since, end_s


def _first_of_each(case: Case) -> Iterator[Witness]:
    """The culprit, and the accomplice where there is one, in the first traces that show them."""
    truth, reference = case.scenario.truth, case.evidence.reference_stats
    for find in (truth.culprits_in, truth.accomplices_in):
        for trace in _accusable(case):
            spans = find(trace, reference)
            if spans:
                yield _placed(trace, spans[0])
                break


def _accepted(case: Case, culprits: Sequence[Witness]) -> Iterator[Accepted]:
    """Every further operation whose spans did it, with the first that shows it."""
    truth, reference = case.scenario.truth, case.evidence.reference_stats
    named = {Operation.of(each.span) for each in culprits}
    found: dict[tuple[Mechanism, Operation], list[Witness]] = {}
    parties = [(truth.mechanism, truth.culprits_in)]
    if truth.accomplice is not None:
        parties.append((truth.accomplice.mechanism, truth.accomplices_in))
    for trace in _accusable(case):
        for mechanism, find in parties:
            for operation in dict.fromkeys(map(Operation.of, spans := find(trace, reference))):
                if operation not in named:
                    span = next(each for each in spans if Operation.of(each) == operation)
                    found.setdefault((mechanism, operation), []).append(_placed(trace, span))
    for (mechanism, _), witnesses in found.items():
        yield Accepted(mechanism, witnesses[0], len(witnesses))


def _accusable(case: Case) -> Iterator[Trace]:
    """The traces of the incident: the caller's first, then those in which somebody suffered."""
    ids = (
        *((case.support_code,) if case.support_code else ()),
        *case.evidence.samples.get(Sample.AFFECTED, ()),
        *case.evidence.traces,
    )
    for trace_id in dict.fromkeys(ids):
        request = case.evidence.request_of.get(trace_id)
        if request is None or request.window is not Window.CRIME:
            continue
        trace = case.evidence.trace(trace_id)
        if trace is not None:
            yield trace


def _placed(trace: Trace, span: Span) -> Witness:
    """The span in that trace of the story in which it really stands."""
    homes = (each for each in trace.story if each.span(span.span_id) == span)
    return Witness(next(homes, trace), span)


def _path(culprit: Witness) -> tuple[Witness, ...]:
    above = reversed(culprit.trace.ancestors(culprit.span))
    return tuple(Witness(culprit.trace, span) for span in (*above, culprit.span))


def _cleared(case: Case) -> Iterator[Witness]:
    for predicate in case.scenario.truth.nobody:
        witness = _witness(case, predicate)
        if witness is not None:
            yield witness


def _witness(case: Case, predicate: Predicate) -> Witness | None:
    reference = case.evidence.reference_stats
    for trace in _accusable(case):
        found = predicate.matching(trace, reference)
        if found:
            return _placed(trace, found[0])
    return None


def _blind_spots(
    case: Case, culprits: tuple[Witness, ...], lines: tuple[LogLine, ...]
) -> tuple[str, ...]:
    incident = [line for line in lines if line.window == "incident"]
    told = [_metrics(case.evidence)]
    if not incident:
        told.append("Logs: not one line of the incident belongs to a trace that was kept.")
        return tuple(told)
    loud = sorted({line.service for line in incident if line.severity in {"ERROR", "FATAL"}})
    worst = f"errors came from {', '.join(loud)}" if loud else "none of them an error"
    told.append(f"Logs: {len(incident)} lines in the incident, {worst}.")
    for each in culprits:
        ids = {span.span_id for span in each.trace if span.name == each.span.name}
        naming = sum(line.span_id in ids for line in incident)
        if each.span.peer:
            named = sum(each.span.peer in line.body for line in incident)
            told.append(
                f"Of these lines {naming} were written inside the span that did it, and {named} "
                f"name {each.span.peer}, which was at the far end."
            )
        else:
            told.append(f"Of these lines {naming} were written inside the span that did it.")
    return tuple(told)


def _metrics(evidence: Evidence) -> str:
    def told(window: Window) -> str:
        requests = [each for each in evidence.requests if each.window is window]
        if not requests:
            return "nothing"
        bad = sum(outcome_of(each) != "ok" for each in requests) / len(requests)
        slow = percentile([each.latency_ms for each in requests], 0.95)
        return f"{bad:.0%} of the requests went wrong, p95 {duration(slow)}"

    return (
        f"Metrics: at the edge {told(Window.REFERENCE)} before, and {told(Window.CRIME)} in the "
        "incident. They say how many, how late and since when; not where inside."
    )


def _own_way(ledger: Ledger) -> tuple[OwnStep, ...]:
    if not ledger.entries:
        return ()
    began_s = ledger.entries[0].time_unix_s
    return tuple(
        OwnStep(max(0.0, entry.time_unix_s - began_s), _said(entry), entry.looked_at)
        for entry in ledger.way
    )


def _said(entry: LedgerEntry) -> str:
    if entry.verdict is not None:
        claim = entry.accusation
        whom = "nobody" if claim and claim.nobody else "a span"
        if claim and len(claim.spans) > 1:
            whom = f"{len(claim.spans)} spans"
        words = dict.fromkeys(each.value for each in claim.mechanisms) if claim else ()
        how = f" of {' and '.join(words)}" if words else ""
        return f"accused {whom}{how}: {entry.verdict.value}"
    if entry.hint is not None:
        return f"read hint {entry.hint}"
    if entry.assist is not None:
        return f"used {entry.assist}"
    if entry.looked_at is not None:
        return f"opened trace {entry.looked_at[:12]}…"
    if entry.called is not None:
        return f"called {entry.called}"
    return "gave up" if entry.gave_up else "did something this lab does not know"


def _shortest_way(case: Case, path: tuple[Witness, ...]) -> tuple[str, ...]:
    truth = case.scenario.truth
    how = truth.mechanism.value + (
        f", hitting {truth.scope.value}" if truth.scope.value != "all" else ""
    )
    if not path:
        return (
            "open a trace of the incident",
            "see that every hop answered as it should",
            f"say that nobody did it, by {how}",
        )
    last = path[-1]
    is_own = case.evidence.request_of.get(last.trace.trace_id) is not None
    opened = "open a trace of the incident" if is_own else "open the trace that is joined to it"
    where = f"{last.span.service} {last.span.name}"
    down = f"go down {len(path) - 1} levels, to {where}" if path[1:] else f"look at {where}"
    accused = f"accuse it of {how}"
    if truth.accomplice is not None:
        accused += f", and its accomplice of {truth.accomplice.mechanism.value}"
    return (opened, down, accused)
