"""Who calls whom, how often and how well, before and in the incident: from spans alone. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lab.domain.evidence import Evidence, Sample
from lab.domain.load import percentile
from lab.domain.trace import Kind, Span, Status, Trace


@dataclass(frozen=True, slots=True)
class Figures:
    """What the kept traces of one window say of an edge or a service.

    ``per_trace`` is a rate per request: traces are a sample, so that a rate per second
    would be the sample's and not the shop's. ``error_share`` is of the spans, 0 to 1.
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
    """Services by layer (callers left of whom they call) and edges, and of how many traces."""

    services: tuple[MapService, ...]
    edges: tuple[MapEdge, ...]
    reference_traces: int
    crime_traces: int


_Arrow = tuple[str, str, bool]


@dataclass
class _Seen:
    """What one window's traces hold."""

    traces: int = 0
    arrows: dict[_Arrow, list[Span]] = field(default_factory=dict)
    answers: dict[str, list[Span]] = field(default_factory=dict)
    speakers: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, traces: Iterable[Trace]) -> _Seen:
        seen = cls()
        for trace in traces:
            seen.traces += 1
            for arrow, span in _calls(trace):
                seen.arrows.setdefault(arrow, []).append(span)
            for part in trace.story:
                seen._note_answers(part)
        return seen

    def _note_answers(self, trace: Trace) -> None:
        for span in trace:
            self.speakers.add(span.service)
            if span.kind in {Kind.SERVER, Kind.CONSUMER} or trace.parent(span) is None:
                self.answers.setdefault(span.service, []).append(span)

    def figures(self, spans: Sequence[Span] | None) -> Figures | None:
        if not spans:
            return None
        took = [span.duration_ms for span in spans]
        return Figures(
            count=len(spans),
            per_trace=len(spans) / self.traces,
            error_share=sum(span.status is Status.ERROR for span in spans) / len(spans),
            p50_ms=percentile(took, 0.50),
            p95_ms=percentile(took, 0.95),
        )


def service_map(evidence: Evidence) -> ServiceMap:
    """The map of a case: its reference traces against those of the incident.

    Those of the incident are all that the case keeps, affected or not.
    """
    before = _Seen.of(evidence.whole_traces(Sample.REFERENCE))
    kept = (*evidence.whole_traces(Sample.AFFECTED), *evidence.whole_traces(Sample.UNAFFECTED))
    during = _Seen.of({trace.trace_id: trace for trace in kept}.values())
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
        reference_traces=before.traces,
        crime_traces=during.traces,
    )


def _calls(trace: Trace) -> Iterator[tuple[_Arrow, Span]]:
    """Each call with who calls whom, and each span that another one of the story led to."""
    left_by = {span.span_id: span for part in trace.story for span in part}
    for part in trace.story:
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
