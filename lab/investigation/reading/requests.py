"""The requests of a case as a learner sees them: in an on-call engineer's words, and chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from lab.domain.evidence import Evidence
from lab.domain.load import Request, Window
from lab.domain.trace import Span, Trace
from lab.errors import UsageError

WINDOW_WORDS: Final[Mapping[Window, str]] = {
    Window.REFERENCE: "before",
    Window.CRIME: "incident",
    Window.RECOVERY: "after",
}
"""The windows a learner knows, in an on-call engineer's words."""

OUTCOMES: Final = ("ok", "error", "rejected")

SORTS: Final[Mapping[str, Callable[[Request], tuple[object, ...]]]] = {
    "time": lambda request: (request.start_s,),
    "latency": lambda request: (request.latency_ms,),
    "route": lambda request: (request.route, request.start_s),
    "status": lambda request: (request.status, request.start_s),
    "tenant": lambda request: (request.tenant, request.start_s),
    "bytes": lambda request: (request.answer_bytes, request.start_s),
}
"""By what a list of requests may be sorted."""


def outcome_of(request: Request) -> str:
    """``error`` (5xx or no answer), ``rejected`` (4xx) or ``ok``."""
    if request.is_server_error:
        return "error"
    return "rejected" if request.is_rejected else "ok"


@dataclass(frozen=True, slots=True)
class RequestQuery:
    """Which requests of the three windows are meant; a field that is None asks nothing.

    ``window`` is one of `WINDOW_WORDS`, ``route`` the whole route or its path. ``service`` is
    one that the request's trace reached, ``text`` stands in its route, tenant or trace id, or
    in its trace: in a span's name, status, exception or attribute. With ``with_trace`` only
    requests count whose trace the case keeps; without a trace none answers to ``service``.
    """

    outcome: str | None = None
    route: str | None = None
    window: str | None = None
    tenant: str | None = None
    service: str | None = None
    text: str | None = None
    least_ms: float | None = None
    most_ms: float | None = None
    with_trace: bool = True

    def check(self, evidence: Evidence) -> None:
        """UsageError for a word that this case does not know."""
        _known("outcome", self.outcome, OUTCOMES)
        _known("window", self.window, tuple(WINDOW_WORDS.values()))
        _known("tenant", self.tenant, tuple(sorted({each.tenant for each in evidence.requests})))
        routes = sorted({request.route for request in evidence.requests})
        if self.route is not None and not any(_is_route(self.route, each) for each in routes):
            raise UsageError(
                f"expected --route to be one of {', '.join(routes)}, got {self.route!r}"
            )

    def fits(self, request: Request, traces: Mapping[str, Trace]) -> bool:
        """Whether ``request``, whose trace is among ``traces`` or not, is one of them."""
        return self._fits_edge(request) and self._fits_trace(request, traces)

    def _fits_edge(self, request: Request) -> bool:
        return (
            request.window in WINDOW_WORDS
            and self.outcome in {None, outcome_of(request)}
            and self.window in {None, WINDOW_WORDS[request.window]}
            and self.tenant in {None, request.tenant}
            and (self.route is None or _is_route(self.route, request.route))
            and (self.least_ms is None or request.latency_ms >= self.least_ms)
            and (self.most_ms is None or request.latency_ms <= self.most_ms)
        )

    def _fits_trace(self, request: Request, traces: Mapping[str, Trace]) -> bool:
        if request.trace_id not in traces and (self.with_trace or self.service is not None):
            return False
        if self.service is None and self.text is None:
            return True  # Without a look into the trace, which may have to be read first.
        trace = traces.get(request.trace_id)
        if trace is not None and self.service is not None and not _reaches(trace, self.service):
            return False
        return self.text is None or _says(self.text.lower(), request, trace)


def find_requests(
    evidence: Evidence, query: RequestQuery, *, sort: str = "time", descending: bool = False
) -> list[Request]:
    """The requests that fit, sorted by one of `SORTS`; UsageError for a word nobody knows."""
    query.check(evidence)
    _known("sort", sort, tuple(SORTS))
    found = [each for each in evidence.requests if query.fits(each, evidence.traces)]
    found.sort(key=SORTS[sort], reverse=descending)
    return found


def into_window_s(evidence: Evidence, request: Request) -> float:
    """Seconds from the start of its window to that of the request; 0 outside every window."""
    window = evidence.windows.get(request.window)
    return round(request.start_s - window.start_s, 3) if window else 0.0


def _reaches(trace: Trace, service: str) -> bool:
    return any(span.service == service for span in trace)


def _says(wanted: str, request: Request, trace: Trace | None) -> bool:
    edge = f"{request.route}\n{request.tenant}\n{request.trace_id}".lower()
    return wanted in edge or (trace is not None and any(_says_span(wanted, each) for each in trace))


def _says_span(wanted: str, span: Span) -> bool:
    texts = (span.name, span.service, span.span_id, span.status_message, *span.exceptions)
    return any(wanted in text.lower() for text in texts) or any(
        wanted in f"{key}={value}".lower() for key, value in span.attributes.items()
    )


def _is_route(wanted: str, route: str) -> bool:
    return wanted.lower() in {route.lower(), route.lower().partition(" ")[2]}


def routes_meant(evidence: Evidence, wanted: str) -> list[str]:
    """Those of the case's routes that ``wanted`` names, whole or by the path."""
    return sorted({each.route for each in evidence.requests if _is_route(wanted, each.route)})


def _known(option: str, word: str | None, words: tuple[str, ...]) -> None:
    if word is not None and word not in words:
        raise UsageError(f"expected --{option} to be one of {', '.join(words)}, got {word!r}")
