"""What did not come, or came late: rules that start from traces, where no request is hurt."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lab.detective.charges import Charge, Sign
from lab.detective.hurt import is_more, middle
from lab.detective.profile import Usual, answer_to, operation_of
from lab.detective.scene import Scene
from lab.domain.mechanism import Mechanism
from lab.domain.reference import Operation
from lab.domain.trace import Kind, Span, Status, Trace
from lab.domain.wording import duration
from lab.frozen import dataclass

FEWEST_SPANS = 5


@dataclass(frozen=True, slots=True)
class Absence:
    """A change that hurts nobody at the edge; ``share`` of what it touches shows it."""

    operation: Operation
    share: float
    mechanism: Mechanism
    charges: tuple[Charge, ...]
    reason: str
    doubt: str | None = None


def absences(scene: Scene) -> Iterator[Absence]:
    """Calls whose other half stopped coming, and messages that wait longer."""
    yield from _unanswered(scene)
    yield from _lagging(scene)


def _unanswered(scene: Scene) -> Iterator[Absence]:
    begun = scene.incident.during.traces
    for operation in scene.callers:
        past, now = _calls(scene.usual, operation), _calls(scene.during, operation)
        hollow = [(trace, span) for trace, span in now if answer_to(trace, span) is None]
        if not any(trace.trace_id in begun for trace, _ in hollow):
            continue  # In traces that are cut off themselves it follows from the cut.
        usual = sum(answer_to(trace, span) is None for trace, span in past)
        if len(past) < FEWEST_SPANS or usual > len(past) / 5:
            continue
        if not is_more(len(hollow), len(now), usual, len(past), scene.tuning):
            continue
        share = len(hollow) / len(now) - usual / len(past)
        mechanism, reason, doubt = _lost(scene, share, past)
        charges = tuple(
            Charge(share / len(hollow), span, trace, Sign.ABSENCE) for trace, span in hollow
        )
        yield Absence(operation, share, mechanism, charges, reason, doubt)


def _calls(usual: Usual, operation: Operation) -> Sequence[tuple[Trace, Span]]:
    """The calls that went well, so that their callee must have worked."""
    return [
        (profile.trace, span)
        for profile in usual.profiles
        for span in profile.spans.get(operation, ())
        if span.status is not Status.ERROR
    ]


def _lost(
    scene: Scene, share: float, past: Sequence[tuple[Trace, Span]]
) -> tuple[Mechanism, str, str | None]:
    """Whether the other half began a trace of its own, or was not kept."""
    answers = {
        operation_of(answer)
        for trace, span in past
        if (answer := answer_to(trace, span)) is not None
    }
    orphans = [
        root
        for trace in scene.incident.during.background
        for root in trace.roots
        if operation_of(root) in answers
    ]
    told = f"{share:.0%} more of these calls than before went well and have no other half"
    if orphans:
        more = f"{told}; {len(orphans)} such halves begin a trace of their own"
        return Mechanism.BROKEN_PROPAGATION, more, None
    if scene.incident.sees_background:
        more = f"{told}, and no trace anywhere begins with one"
        return Mechanism.SAMPLING_LOSS, more, None
    doubt = "no traces without a request are kept, so whether the other halves exist cannot be told"
    is_setting = share >= 0.98
    likely = Mechanism.BROKEN_PROPAGATION if is_setting else Mechanism.SAMPLING_LOSS
    why = "of all of them, as a setting does" if is_setting else "of some, as a sampler does"
    return likely, f"{told}, {why}", doubt


def _lagging(scene: Scene) -> Iterator[Absence]:
    past = _waits(scene.incident.before.everything)
    now = _waits(scene.incident.during.everything)
    for operation in now:
        usual = middle([wait for wait, _, _ in past.get(operation, ())])
        waits = now[operation]
        late_ms = max(scene.tuning.least_lag_ms, scene.tuning.lag * usual)
        late = [each for each in waits if each[0] > late_ms]
        early = sum(wait > late_ms for wait, _, _ in past.get(operation, ()))
        if not is_more(len(late), len(waits), early, len(past.get(operation, ())), scene.tuning):
            continue
        typical = middle([wait for wait, _, _ in late])
        reason = (
            f"{len(late)} of {len(waits)} messages were picked up late, {duration(typical)} after "
            f"they were sent, where it was {duration(usual)}"
        )
        charges = tuple(Charge(1 / len(late), span, trace, Sign.LAG) for _, trace, span in late)
        yield Absence(operation, len(late) / len(waits), Mechanism.QUEUE_LAG, charges, reason)


def _waits(traces: Sequence[Trace]) -> dict[Operation, list[tuple[float, Trace, Span]]]:
    """How long each message waited between its producer and its consumer, in ms."""
    known = {trace.trace_id: trace for trace in traces}
    found: dict[Operation, list[tuple[float, Trace, Span]]] = {}
    for trace in traces:
        for span in trace:
            if span.kind is Kind.CONSUMER and (wait_ms := _wait_ms(span, known)) is not None:
                found.setdefault(operation_of(span), []).append((wait_ms, trace, span))
    return found


def _wait_ms(span: Span, known: dict[str, Trace]) -> float | None:
    told = span.attributes.get("messaging.message.age_ms")
    if isinstance(told, int | float):
        return float(told)
    for link in span.links:
        sender = known[link.trace_id].span(link.span_id) if link.trace_id in known else None
        if sender is not None:
            return (span.start_ns - sender.end_ns) / 1e6
    return None
