"""Who calls whom, how often and how well, before and in the incident: from spans alone. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from enum import StrEnum
from math import log
from typing import Final, Self

from lab.domain.evidence import Evidence
from lab.domain.load import Window, weighted_percentile
from lab.domain.strata import Coverage
from lab.domain.trace import Kind, Span, Status, Trace
from lab.domain.wording import duration
from lab.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Figures:
    """What the kept traces of one window say of an edge or a service.

    Each trace counts for as many requests as it stands for (`lab.domain.strata`), but for
    ``count``, the spans themselves. ``per_trace`` is a rate per request: a rate per second would
    be the sample's and not the shop's. ``error_share`` is of the spans, 0 to 1, and so is
    ``joined_share``: of an edge's calls those whose callee sent spans in the same trace. It is
    None where no such span can be: of a service, and of what one trace left for another.
    """

    count: int
    per_trace: float
    error_share: float
    p50_ms: float
    p95_ms: float
    joined_share: float | None = None


class Change(StrEnum):
    """What became of an edge in the incident; ``sign`` tells it without a colour."""

    sign: str

    def __new__(cls, word: str, sign: str) -> Self:
        """Keep the word as the value and its sign beside it."""
        member = str.__new__(cls, word)
        member._value_ = word
        member.sign = sign
        return member

    NEW = ("new", "+")
    GONE = ("gone", "∅")
    MORE_ERRORS = ("failing", "✖")
    FEWER_ERRORS = ("fewer errors", "✔")
    SLOWER = ("slower", "▲")
    FASTER = ("faster", "▼")
    SLOW_TAIL = ("p95 slower", "△")
    FAST_TAIL = ("p95 faster", "▽")
    MORE_CALLS = ("more calls", "+")
    FEWER_CALLS = ("fewer calls", "−")
    FEWER_SPANS = ("callee silent", "∅")
    MORE_SPANS = ("callee speaks", "◉")


@dataclass(frozen=True, slots=True)
class MapEdge:
    """One arrow; a side without figures has no such call in its traces.

    ``is_link`` where the callee took up later, in a trace of its own, what the caller left.
    """

    caller: str
    callee: str
    is_link: bool
    reference: Figures | None
    crime: Figures | None

    @property
    def changes(self) -> tuple[Change, ...]:
        """All that became of it, up or down; none where it is as it was."""
        before, during = self.reference, self.crime
        if before is None or during is None:
            return (Change.NEW,) if during else (Change.GONE,) if before else ()
        return tuple(_changes(before, during))


@dataclass(frozen=True, slots=True)
class MapService:
    """Something that calls or is called; ``speaks`` where spans of its own came.

    The figures are those of the spans in which it answers, or begins a trace.
    """

    name: str
    speaks: bool
    layer: int
    reference: Figures | None
    crime: Figures | None


@dataclass(frozen=True, slots=True)
class ServiceMap:
    """Services by layer (callers left of whom they call) and edges, and what they rest on."""

    services: tuple[MapService, ...]
    edges: tuple[MapEdge, ...]
    reference: Coverage
    crime: Coverage

    @property
    def is_lopsided(self) -> bool:
        """Whether a median of either side may be that of one trace."""
        return self.reference.is_lopsided or self.crime.is_lopsided


_Arrow = tuple[str, str, bool]
_Weighed = tuple[Span, float, bool]
"""A span, for how many requests it stands, and whether its callee's half is in its trace."""


@dataclass
class _Seen:
    """What one window's traces hold; ``requests`` is for how many they stand together."""

    requests: float = 0.0
    arrows: dict[_Arrow, list[_Weighed]] = field(default_factory=dict)
    answers: dict[str, list[_Weighed]] = field(default_factory=dict)
    speakers: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, evidence: Evidence, window: Window) -> _Seen:
        seen = cls()
        for trace in evidence.kept_in(window):
            weight = evidence.weight(trace.trace_id)
            seen.requests += weight
            # What is joined and some request's own as well is counted as that request's.
            own = [each for each in trace.story if each is trace or _is_nobodys(evidence, each)]
            for arrow, span, is_joined in _calls(trace, own):
                seen.arrows.setdefault(arrow, []).append((span, weight, is_joined))
            for part in own:
                seen._note_answers(part, weight)
        return seen

    def _note_answers(self, trace: Trace, weight: float) -> None:
        for span in trace:
            self.speakers.add(span.service)
            if span.kind in {Kind.SERVER, Kind.CONSUMER} or trace.parent(span) is None:
                self.answers.setdefault(span.service, []).append((span, weight, False))

    def figures(self, spans: Sequence[_Weighed] | None, *, calls: bool = False) -> Figures | None:
        if not spans:
            return None
        took = [(span.duration_ms, weight) for span, weight, _ in spans]
        total = sum(weight for _, weight, _ in spans)
        failed = sum(weight for span, weight, _ in spans if span.status is Status.ERROR)
        joined = sum(weight for _, weight, is_joined in spans if is_joined)
        return Figures(
            count=len(spans),
            per_trace=total / self.requests,
            error_share=failed / total,
            p50_ms=weighted_percentile(took, 0.50),
            p95_ms=weighted_percentile(took, 0.95),
            joined_share=joined / total if calls else None,
        )


def _is_nobodys(evidence: Evidence, trace: Trace) -> bool:
    return trace.trace_id not in evidence.request_of


def service_map(evidence: Evidence) -> ServiceMap:
    """The map of a case: what it keeps of the time before against what it keeps of the incident."""
    before = _Seen.of(evidence, Window.REFERENCE)
    during = _Seen.of(evidence, Window.CRIME)
    arrows = sorted({*before.arrows, *during.arrows})
    layers = _layers(arrows)
    names = {name for caller, callee, _ in arrows for name in (caller, callee)}
    names |= before.speakers | during.speakers
    return ServiceMap(
        services=tuple(
            MapService(
                name,
                name in before.speakers | during.speakers,
                layers.get(name, 0),
                before.figures(before.answers.get(name)),
                during.figures(during.answers.get(name)),
            )
            for name in sorted(names, key=lambda name: (layers.get(name, 0), name))
        ),
        edges=tuple(
            MapEdge(
                *arrow,
                before.figures(before.arrows.get(arrow), calls=not arrow[2]),
                during.figures(during.arrows.get(arrow), calls=not arrow[2]),
            )
            for arrow in arrows
        ),
        reference=evidence.coverage(Window.REFERENCE),
        crime=evidence.coverage(Window.CRIME),
    )


@dataclass(frozen=True, slots=True)
class Cell:
    """One figure of a call, before → incident; ``sign`` tells how it changed, if it did."""

    measure: str
    text: str
    sign: str


_MEASURES: Final[Sequence[tuple[str, Callable[[Figures], str], frozenset[Change]]]] = (
    ("calls", lambda it: f"{it.per_trace:.2f}", frozenset({Change.MORE_CALLS, Change.FEWER_CALLS})),
    (
        "errors",
        lambda it: f"{it.error_share:.0%}",
        frozenset({Change.MORE_ERRORS, Change.FEWER_ERRORS}),
    ),
    ("p50", lambda it: duration(it.p50_ms), frozenset({Change.SLOWER, Change.FASTER})),
    ("p95", lambda it: duration(it.p95_ms), frozenset({Change.SLOW_TAIL, Change.FAST_TAIL})),
    (
        "with spans",
        lambda it: _share(it.joined_share),
        frozenset({Change.MORE_SPANS, Change.FEWER_SPANS}),
    ),
)


MEASURES: Final = tuple(name for name, _, _ in _MEASURES)
"""What `cells` tells of a call, in this order."""


def cells(edge: MapEdge) -> Sequence[Cell]:
    """Every figure of a call as people read it; *none* of a side without such a call."""
    changes = edge.changes
    return [
        Cell(
            name,
            _pair(
                say(edge.reference) if edge.reference else "none",
                say(edge.crime) if edge.crime else "none",
            ),
            next((each.sign for each in changes if each in told), ""),
        )
        for name, say, told in _MEASURES
    ]


def _pair(before: str, during: str) -> str:
    return before if before == during else f"{before} → {during}"


def _share(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"


CALLS_FACTOR: Final = 1.2
"""More or fewer calls a request are told from this factor on."""

TIMES_FACTOR: Final = 1.5
"""From this many times the median of before on (or down) a call is slower (or faster)."""

TAIL_FACTOR: Final = 2.0
"""The same for the 95th percentile, which a few requests decide."""

SHARE_POINTS: Final = 0.05
"""A share that moved by less than this says nothing."""

NOTEWORTHY_MS: Final = 1.0
"""Times below this differ from run to run."""


def _changes(before: Figures, during: Figures) -> Iterator[Change]:
    """Every figure that moved, in the order in which one would ask."""
    errors = during.error_share - before.error_share
    yield from _moved(errors, SHARE_POINTS, Change.MORE_ERRORS, Change.FEWER_ERRORS)
    p50 = _factor(before.p50_ms, during.p50_ms, NOTEWORTHY_MS)
    yield from _moved(p50, log(TIMES_FACTOR), Change.SLOWER, Change.FASTER)
    p95 = _factor(before.p95_ms, during.p95_ms, NOTEWORTHY_MS)
    yield from _moved(p95, log(TAIL_FACTOR), Change.SLOW_TAIL, Change.FAST_TAIL)
    calls = _factor(before.per_trace, during.per_trace, 0.0)
    yield from _moved(calls, log(CALLS_FACTOR), Change.MORE_CALLS, Change.FEWER_CALLS)
    joined = (during.joined_share or 0.0) - (before.joined_share or 0.0)
    yield from _moved(joined, SHARE_POINTS, Change.MORE_SPANS, Change.FEWER_SPANS)


def _moved(by: float, least: float, up: Change, down: Change) -> Iterator[Change]:
    if abs(by) >= least:
        yield up if by > 0 else down


def _factor(before: float, during: float, least: float) -> float:
    """The logarithm of how many times as much it is; 0 where both are below ``least``."""
    if max(before, during) <= least:
        return 0.0
    tiny = 1e-9
    return log(max(during, tiny) / max(before, tiny))


def _calls(trace: Trace, parts: Iterable[Trace]) -> Iterator[tuple[_Arrow, Span, bool]]:
    """Each call of ``parts`` with who calls whom, and each span that one of the story led to."""
    left_by = {span.span_id: span for part in trace.story for span in part}
    for part in parts:
        for span in part:
            callee = _callee(part, span)
            if callee is not None:
                yield (span.service, callee, False), span, _answerer(part, span) is not None
            for link in span.links:
                left = left_by.get(link.span_id)
                if left is not None and left.service != span.service:
                    yield (left.service, span.service, True), span, True


def _callee(trace: Trace, span: Span) -> str | None:
    """Whom a CLIENT span calls: who answers it, or whom it names."""
    return (_answerer(trace, span) or span.peer) if span.kind is Kind.CLIENT else None


def _answerer(trace: Trace, span: Span) -> str | None:
    answers = (child.service for child in trace.children(span) if child.kind is Kind.SERVER)
    return next(answers, None)


def _layers(arrows: Sequence[_Arrow]) -> Mapping[str, int]:
    """Each name's column: one right of its last caller, but for arrows that close a circle."""
    callees: dict[str, list[str]] = {}
    for caller, callee, _is_link in arrows:
        callees.setdefault(caller, []).append(callee)
        callees.setdefault(callee, [])
    order = _callers_first(callees)
    place = {name: n for n, name in enumerate(order)}
    layers = dict.fromkeys(order, 0)
    for caller in order:
        for callee in callees[caller]:
            if place[callee] > place[caller]:
                layers[callee] = max(layers[callee], layers[caller] + 1)
    return layers


def _callers_first(callees: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Depth first, backwards: only an arrow that closes a circle leads to an earlier name."""
    called = {name for each in callees.values() for name in each}
    waiting = [
        (name, False) for name in sorted(callees, key=lambda name: (name not in called, name))
    ]
    seen: set[str] = set()
    finished: list[str] = []
    while waiting:
        name, is_done = waiting.pop()
        if is_done:
            finished.append(name)
        elif name not in seen:
            seen.add(name)
            waiting += [(name, True), *((each, False) for each in callees[name])]
    return finished[::-1]
