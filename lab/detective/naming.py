"""How a suspect did it: the first mechanism of the closed list whose definition its spans fit."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from lab.detective.carrying import scales
from lab.detective.charges import Charge, Sign
from lab.detective.hurt import middle
from lab.detective.profile import answer_to, is_timed_out, is_wait_for_slot
from lab.detective.retries import earlier_failures
from lab.detective.scene import Scene
from lab.domain.mechanism import Mechanism
from lab.domain.reference import Operation
from lab.domain.trace import Kind, Span, Status
from lab.frozen import dataclass

MOST = 0.5
AT_ONCE_MS = 100.0
"""A connection that is refused fails within so long."""


@dataclass(frozen=True, slots=True)
class Named:
    """A mechanism and the sentence that says why."""

    mechanism: Mechanism
    why: str


def named(scene: Scene, operation: Operation, charges: Sequence[Charge]) -> Named:
    """The mechanism of a suspect, by what it is charged with and what its spans say."""
    sign = leading_sign(charges)
    if sign is Sign.REPEATS:
        return _repeated(charges)
    if sign is Sign.HOLDER:
        return Named(
            Mechanism.LOCK_CONTENTION, "others ended as soon as it let go of what both name"
        )
    if sign is Sign.CUT:
        return Named(Mechanism.TIMEOUT, "it was cut off when its caller's time was up")
    if sign is Sign.ERROR:
        return _failed(scene, operation, charges)
    return _slow(scene, operation, charges)


def leading_sign(charges: Sequence[Charge]) -> Sign:
    """By what a suspect is charged most."""
    weights: dict[Sign, float] = defaultdict(float)
    for each in charges:
        weights[each.sign] += each.share
    return max(weights, key=lambda sign: weights[sign])


def _repeated(charges: Sequence[Charge]) -> Named:
    first = charges[0]
    if first.span.attributes.get("cache.hit") is False:
        return Named(Mechanism.CACHE_STAMPEDE, "many missed the same key at the same time")
    repeats = middle([float(each.trace.repeats(each.span)) for each in charges])
    before = any(earlier_failures(each.trace, each.span) for each in charges)
    if before:
        return Named(
            Mechanism.RETRY_AMPLIFICATION, "it was sent again after attempts that had failed"
        )
    return Named(
        Mechanism.N_PLUS_ONE, f"it ran {repeats:.0f} times one after another, each as fast as ever"
    )


def _failed(scene: Scene, operation: Operation, charges: Sequence[Charge]) -> Named:
    words = Counter(
        each.rpartition(".")[2].lower() for charge in charges for each in charge.span.exceptions
    )
    timed_out = sum(is_timed_out(each.span) for each in charges)
    if timed_out >= MOST * len(charges):
        return _timed_out(scene, operation, charges)
    if is_refusal(words, charges):
        return Named(
            Mechanism.CONNECTION_REFUSED, "no connection came about, and it said so at once"
        )
    if any(_answer_had_begun(each) for each in charges):
        return Named(Mechanism.TRUNCATED_RESPONSE, "the answer had begun when its stream ended")
    if words:
        return Named(Mechanism.CONNECTION_RESET, "the connection was torn down before any answer")
    if all(is_rejection(each.span) for each in charges):
        return Named(Mechanism.BUSINESS_REJECTION, "the callee worked, and said no")
    return Named(Mechanism.CONNECTION_RESET, "it failed, and nothing says of what")


def is_refusal(words: Counter[str], charges: Sequence[Charge]) -> bool:
    """Whether the exceptions speak of a connection that was never there, and came at once."""
    refused = sum(n for word, n in words.items() if "refused" in word or "connecterror" in word)
    quick = middle([each.span.duration_ms for each in charges]) <= AT_ONCE_MS
    return quick and refused >= MOST * sum(words.values()) > 0


def is_rejection(span: Span) -> bool:
    """Whether it is red only because somebody said no (4xx)."""
    code = span.attributes.get("http.response.status_code")
    return isinstance(code, int) and 400 <= code < 500


def _answer_had_begun(charge: Charge) -> bool:
    """Whether the call itself is green, with a status: what failed was the rest of the answer."""
    calls = [charge.span, *charge.trace.children(charge.span)]
    return any(
        each.kind is Kind.CLIENT
        and isinstance(each.attributes.get("http.response.status_code"), int)
        and not is_rejection(each)
        for each in calls
    )


def _timed_out(scene: Scene, operation: Operation, charges: Sequence[Charge]) -> Named:
    answers = [
        (charge.span, answer)
        for charge in charges
        if (answer := answer_to(charge.trace, charge.span)) is not None
    ]
    outlived = [a for span, a in answers if a.end_ns > span.end_ns and a.status is not Status.ERROR]
    if len(outlived) >= MOST * len(charges):
        return Named(
            Mechanism.TIMEOUT_INVERSION,
            "the callee ended well, as usual, after its caller had left",
        )
    if _fails_where_reused(scene, operation):
        return Named(
            Mechanism.STALE_CONNECTION,
            "it fails on connections that were used before, and on no fresh one",
        )
    return Named(Mechanism.TIMEOUT, "no answer came within the caller's limit")


def _fails_where_reused(scene: Scene, operation: Operation) -> bool:
    """Whether calls fail on used connections only, where fresh ones were tried as well."""
    failed: dict[bool, list[bool]] = defaultdict(list)
    for profile in scene.during.profiles:
        for span in profile.spans.get(operation, ()):
            reused = span.attributes.get("http.connection.reused")
            if isinstance(reused, bool):
                failed[reused].append(is_timed_out(span))
    return bool(failed[False]) and any(failed[True]) and not any(failed[False])


def _slow(scene: Scene, operation: Operation, charges: Sequence[Charge]) -> Named:
    if any(is_wait_for_slot(each.span) for each in charges):
        return Named(
            Mechanism.POOL_EXHAUSTION,
            "it waited for a slot, and what lies behind is as fast as ever",
        )
    if is_opening(scene, operation, charges):
        return Named(Mechanism.CONNECTION_CHURN, "connections are opened that were there before")
    if scales(scene, operation, charges):
        return Named(
            Mechanism.BANDWIDTH, "its time grows with what is carried; a little is as fast as ever"
        )
    if released_together(scene, charges):
        return Named(
            Mechanism.LOCK_CONTENTION, "waits of different length ended at the same moments"
        )
    return Named(Mechanism.LATENCY, "it took longer, and the answer still came")


def is_opening(scene: Scene, operation: Operation, charges: Sequence[Charge]) -> bool:
    """Whether it opens a connection for a pool, which hardly happened before."""
    seldom = scene.usual.present.get(operation, 0) <= len(scene.usual.profiles) / 4
    above = (each.trace.parent(each.span) for each in charges)
    return seldom and any(each is not None and is_wait_for_slot(each) for each in above)


def released_together(scene: Scene, charges: Sequence[Charge]) -> bool:
    """Whether long waits that began apart ended together, again and again."""
    runs = sorted(
        {(each.span.end_ns, each.span.start_ns) for each in charges if each.sign is Sign.TIME}
    )
    release_ns = scene.tuning.release_ms * 1e6
    together = 0
    for group in _runs_of(runs, release_ns):
        starts = [start for _, start in group]
        if len(group) > 1 and max(starts) - min(starts) > 3 * release_ns:
            together += len(group)
    return len(runs) >= 6 and together >= MOST * len(runs)


def _runs_of(
    runs: Sequence[tuple[int, int]], within_ns: float
) -> Iterator[Sequence[tuple[int, int]]]:
    group: list[tuple[int, int]] = []
    for run in runs:
        if group and run[0] - group[-1][0] > within_ns:
            yield group
            group = []
        group.append(run)
    if group:
        yield group
