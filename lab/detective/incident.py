"""What the detective is given: requests at the edge, and traces from before and during."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import field
from functools import cached_property

from lab.domain.evidence import Evidence, Interval, Sample
from lab.domain.load import Request, Window
from lab.domain.trace import Kind, Span, Status, Trace
from lab.frozen import dataclass


@dataclass(frozen=True, slots=True)
class EdgeRequest:
    """One request as anybody at the edge sees it; the moment in Unix seconds.

    ``status`` is the HTTP status, 0 where no answer came.
    """

    trace_id: str
    route: str
    status: int
    latency_ms: float
    tenant: str
    start_s: float
    answer_bytes: int = 0

    @property
    def outcome(self) -> str:
        """``ok``, ``rejected`` (4xx) or ``failed`` (5xx, or no answer)."""
        if self.status == 0 or self.status >= 500:
            return "failed"
        return "rejected" if self.status >= 400 else "ok"


@dataclass(frozen=True)
class Period:
    """All requests of a stretch of time, the traces of some, and traces that none began.

    ``background`` was chosen by a blind rule, or is empty.
    """

    requests: tuple[EdgeRequest, ...]
    traces: Mapping[str, Trace]
    background: tuple[Trace, ...] = ()

    @cached_property
    def kept(self) -> tuple[tuple[EdgeRequest, Trace], ...]:
        """The requests whose traces are here."""
        return tuple(
            (r, self.traces[r.trace_id]) for r in self.requests if r.trace_id in self.traces
        )

    @cached_property
    def everything(self) -> tuple[Trace, ...]:
        """Every trace, begun by a request or not."""
        return (*(trace for _, trace in self.kept), *self.background)


@dataclass(frozen=True)
class Incident:
    """Before and during. With ``sees_background`` a trace that is not here does not exist."""

    before: Period
    during: Period
    sees_background: bool = field(default=False)


def incident_of(evidence: Evidence, background: Iterable[Trace] | None = None) -> Incident:
    """What of a case's ``evidence`` the detective may know.

    That is every request of the reference and of the incident, and those traces of theirs
    that the case keeps for their own sake. What a case keeps because its scenario's joins
    searched for it tells who is suspected, so it is left out, and so are records, windows
    of no traffic and the reasons for which a trace was kept. ``background`` are traces that
    no request began, chosen by a rule that knows nothing of the scenario; None where there
    are none chosen so.
    """
    asked = {
        trace_id
        for sample, ids in evidence.samples.items()
        if sample is not Sample.JOINED
        for trace_id in ids
    }
    other = tuple(background or ())

    def period(window: Window) -> Period:
        requests = tuple(_at_edge(each) for each in evidence.requests if each.window is window)
        ids = (each.trace_id for each in requests if each.trace_id in asked)
        return Period(
            requests,
            {key: evidence.traces[key] for key in ids if key in evidence.traces},
            _begun_in(evidence.windows.get(window), other),
        )

    before, during = period(Window.REFERENCE), period(Window.CRIME)
    return Incident(before, during, background is not None)


def incident_between(before: Iterable[Trace], during: Iterable[Trace]) -> Incident:
    """The incident of a stranger's telemetry: all traces of a calm time and of a bad one.

    Each trace stands for a request of its own; its first root is what the edge saw.
    """
    return Incident(_of_traces(before), _of_traces(during), sees_background=True)


def incident_said(evidence: Evidence) -> Incident:
    """The same of one file: what somebody said was healthy, and all else."""
    parts = (evidence.samples[each] for each in (Sample.REFERENCE, Sample.OTHERS))
    return incident_between(*((evidence.traces[each] for each in part) for part in parts))


def _of_traces(traces: Iterable[Trace]) -> Period:
    whole = [trace for trace in traces if trace.spans]
    requests = [_of_root(trace, root) for trace in whole if (root := _root(trace)) is not None]
    return Period(
        tuple(sorted(requests, key=lambda each: each.start_s)),
        {trace.trace_id: trace for trace in whole},
        tuple(trace for trace in whole if _root(trace) is None),
    )


def _root(trace: Trace) -> Span | None:
    asked = (root for root in trace.roots if root.kind is not Kind.CONSUMER)
    return next(asked, None)


def _of_root(trace: Trace, root: Span) -> EdgeRequest:
    code = root.attributes.get("http.response.status_code")
    failed = 500 if root.status is Status.ERROR else 200
    return EdgeRequest(
        trace.trace_id,
        f"{root.service} {root.name}",
        code if isinstance(code, int) else failed,
        root.duration_ms,
        str(root.attributes.get("tenant_id", "")),
        root.start_ns / 1e9,
    )


def _at_edge(request: Request) -> EdgeRequest:
    return EdgeRequest(
        request.trace_id,
        request.route,
        request.status,
        request.latency_ms,
        request.tenant,
        request.start_s,
        request.answer_bytes,
    )


def _begun_in(window: Interval | None, traces: tuple[Trace, ...]) -> tuple[Trace, ...]:
    if window is None:
        return ()
    return tuple(t for t in traces if t.spans and t.spans[0].start_ns / 1e9 in window)
