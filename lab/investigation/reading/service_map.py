"""Who calls whom, how often and how well, before and in the incident: from spans alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lab.domain.evidence import Evidence
from lab.domain.load import Window, weighted_percentile
from lab.domain.strata import Coverage
from lab.domain.trace import Kind, Span, Status, Trace


@dataclass(frozen=True, slots=True)
class Figures:
    """What the kept traces of one window say of an edge or a service.

    Each trace counts for as many requests as it stands for (`lab.domain.strata`), but for
    ``count``, the spans themselves. ``per_trace`` is a rate per request: a rate per second would
    be the sample's and not the shop's. ``error_share`` is of the spans, 0 to 1.
    """

    count: int
    per_trace: float
    error_share: float
    p50_ms: float
    p95_ms: float


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


_Arrow = tuple[str, str, bool]
_Weighed = tuple[Span, float]


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
            for arrow, span in _calls(trace, own):
                seen.arrows.setdefault(arrow, []).append((span, weight))
            for part in own:
                seen._note_answers(part, weight)
        return seen

    def _note_answers(self, trace: Trace, weight: float) -> None:
        for span in trace:
            self.speakers.add(span.service)
            if span.kind in {Kind.SERVER, Kind.CONSUMER} or trace.parent(span) is None:
                self.answers.setdefault(span.service, []).append((span, weight))

    def figures(self, spans: Sequence[_Weighed] | None) -> Figures | None:
        if not spans:
            return None
        took = [(span.duration_ms, weight) for span, weight in spans]
        total = sum(weight for _, weight in spans)
        failed = sum(weight for span, weight in spans if span.status is Status.ERROR)
        return Figures(
            count=len(spans),
            per_trace=total / self.requests,
            error_share=failed / total,
            p50_ms=weighted_percentile(took, 0.50),
            p95_ms=weighted_percentile(took, 0.95),
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
                before.figures(before.arrows.get(arrow)),
                during.figures(during.arrows.get(arrow)),
            )
            for arrow in arrows
        ),
        reference=evidence.coverage(Window.REFERENCE),
        crime=evidence.coverage(Window.CRIME),
    )


def _calls(trace: Trace, parts: Iterable[Trace]) -> Iterator[tuple[_Arrow, Span]]:
    """Each call of ``parts`` with who calls whom, and each span that one of the story led to."""
    left_by = {span.span_id: span for part in trace.story for span in part}
    for part in parts:
        for span in part:
            callee = _callee(part, span)
            if callee is not None:
                yield (span.service, callee, False), span
            for link in span.links:
                left = left_by.get(link.span_id)
                if left is not None and left.service != span.service:
                    yield (left.service, span.service, True), span


def _callee(trace: Trace, span: Span) -> str | None:
    """Whom a CLIENT span calls: who answers it, or whom it names."""
    if span.kind is not Kind.CLIENT:
        return None
    answers = (child.service for child in trace.children(span) if child.kind is Kind.SERVER)
    return next(answers, span.peer)


def _layers(arrows: Sequence[_Arrow]) -> Mapping[str, int]:
    """Each name's column: one right of its last caller; who call each other share a bound."""
    layers = {name: 0 for caller, callee, _ in arrows for name in (caller, callee)}
    # On a cycle columns would grow for ever; no chain is longer than there are names.
    for _ in range(len(layers)):
        moved = False
        for caller, callee, _is_link in arrows:
            if caller != callee and layers[callee] <= layers[caller] < len(layers):
                layers[callee] = layers[caller] + 1
                moved = True
        if not moved:
            break
    return layers
