"""The requests of a case as a learner sees them: in an on-call engineer's words, and chosen."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from typing import Final

from lab.domain.evidence import Evidence
from lab.domain.load import Request, Window, percentile
from lab.domain.trace import Span
from lab.domain.wording import duration, unknown_name
from lab.errors import UsageError
from lab.frozen import dataclass
from lab.investigation.reading.span_words import value_text

WINDOW_WORDS: Final[Mapping[Window, str]] = {
    Window.REFERENCE: "before",
    Window.CRIME: "incident",
    Window.RECOVERY: "after",
}
"""The windows a learner knows, in an on-call engineer's words."""

SLOW: Final = "slow"
OUTCOMES: Final = ("ok", "error", "rejected", SLOW)
"""By what requests are chosen; a slow one is ok, and slower than nearly all of its route before."""

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
    one that the request's trace reached, ``text`` stands in what a list prints of it, or in its
    trace: in a span's name, status, exception or attribute. With ``with_trace`` only requests
    count whose trace the case keeps; without a trace none answers to ``service``. ``from_s``
    and ``to_s``, which is excluded, count from the start of the first window.
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
    from_s: float | None = None
    to_s: float | None = None

    def check(self, evidence: Evidence) -> None:
        """UsageError for a word that this case does not know."""
        check_known("outcome", self.outcome, OUTCOMES)
        check_known("window", self.window, tuple(WINDOW_WORDS.values()))
        check_known(
            "tenant", self.tenant, tuple(sorted({each.tenant for each in evidence.requests} - {""}))
        )
        routes = sorted({request.route for request in evidence.requests})
        if self.route is not None and not any(_is_route(self.route, each) for each in routes):
            raise UsageError(
                f"expected --route to be one of {', '.join(routes)}, got {self.route!r}"
            )

    def tests(self, evidence: Evidence) -> tuple[Callable[[Request], bool], ...]:
        """One for each thing that is asked, the cheapest first; all of them must hold."""
        asked: list[tuple[object, Callable[[Request], bool]]] = [
            (self.outcome, _went_so(evidence, self.outcome)),
            (self.window, lambda each: WINDOW_WORDS[each.window] == self.window),
            (self.tenant, lambda each: each.tenant == self.tenant),
            (self.route, lambda each: _is_route(self.route or "", each.route)),
            (self.least_ms, lambda each: each.latency_ms >= (self.least_ms or 0.0)),
            (self.most_ms, lambda each: each.latency_ms <= (self.most_ms or 0.0)),
            *self._tests_of_time(axis_start_s(evidence)),
            (self.with_trace or None, lambda each: each.trace_id in evidence.traces),
            (self.service, lambda each: _reaches(evidence, each, self.service or "")),
            (self.text, lambda each: _says(evidence, each, _typed(self.text or ""))),
        ]
        return tuple(test for wanted, test in asked if wanted is not None)

    def _tests_of_time(
        self, zero_s: float
    ) -> Iterator[tuple[float | None, Callable[[Request], bool]]]:
        yield self.from_s, lambda each: each.start_s >= zero_s + (self.from_s or 0.0)
        yield self.to_s, lambda each: each.start_s < zero_s + (self.to_s or 0.0)


def find_requests(
    evidence: Evidence, query: RequestQuery, *, sort: str = "time", descending: bool = False
) -> list[Request]:
    """The requests that fit, sorted by one of `SORTS`; UsageError for a word nobody knows."""
    query.check(evidence)
    check_known("sort", sort, tuple(SORTS))
    tests = query.tests(evidence)
    found = [
        each
        for each in evidence.requests
        if each.window in WINDOW_WORDS and all(test(each) for test in tests)
    ]
    if not found and query.service is not None:
        services = {span.service for trace in evidence.traces.values() for span in trace}
        check_known("service", query.service, tuple(sorted(services)))
    found.sort(key=SORTS[sort], reverse=descending)
    return found


def _went_so(evidence: Evidence, outcome: str | None) -> Callable[[Request], bool]:
    if outcome != SLOW:
        return lambda each: outcome_of(each) == outcome
    from lab.investigation.reading.impact import nearly_all_before_ms  # Which asks this module.

    usual_ms = nearly_all_before_ms(evidence)
    return lambda each: is_slow(each, usual_ms)


def is_slow(request: Request, usual_ms: Mapping[str, float]) -> bool:
    """Whether it went well, and took longer than nearly all of its route before, where known."""
    return outcome_of(request) == "ok" and request.latency_ms > usual_ms.get(
        request.route, math.inf
    )


def axis_start_s(evidence: Evidence) -> float:
    """Where the time axis of a case begins: its first window's start in Unix seconds, or 0."""
    windows = (evidence.windows.get(each) for each in WINDOW_WORDS)
    return min((each.start_s for each in windows if each is not None), default=0.0)


def into_window_s(evidence: Evidence, request: Request) -> float:
    """Seconds from the start of its window to that of the request; 0 outside every window."""
    window = evidence.windows.get(request.window)
    return round(request.start_s - window.start_s, 3) if window else 0.0


@dataclass(frozen=True, slots=True)
class RequestGroup:
    """Requests that share a value, counted by window and outcome; percentiles in ms, of all."""

    value: str
    requests: int
    before: int
    incident: int
    after: int
    errors: int
    rejected: int
    p50_ms: float
    p95_ms: float
    most_ms: float


EDGE_KEYS: Final[Mapping[str, Callable[[Request], str]]] = {
    "route": lambda request: request.route,
    "tenant": lambda request: request.tenant,
    "outcome": outcome_of,
    "status": lambda request: str(request.status or "none"),
    "window": lambda request: WINDOW_WORDS[request.window],
}
"""What every request can be grouped by; by an attribute of its spans only where they are kept."""


def group_requests(
    evidence: Evidence, requests: Iterable[Request], key: str
) -> tuple[RequestGroup, ...]:
    """The requests by one of `EDGE_KEYS` or an attribute of spans, the largest group first.

    A request whose spans hold several values of an attribute is in a group of each. One whose
    trace is not kept is in none, for nobody can tell; one that lacks the attribute in *none*.
    UsageError where no kept span has such an attribute.
    """
    if key not in EDGE_KEYS and key not in (known := attribute_names(evidence)):
        raise UsageError(unknown_name("attribute to group by", key, (*EDGE_KEYS, *known)))
    grouped: dict[str, list[Request]] = {}
    for request in requests:
        for value in _values(evidence, request, key):
            grouped.setdefault(value, []).append(request)
    found = [_group(value, group) for value, group in grouped.items()]
    return tuple(sorted(found, key=lambda each: (-each.requests, each.value)))


def attribute_names(evidence: Evidence) -> tuple[str, ...]:
    """Every attribute that some kept span carries, by name."""
    spans = chain.from_iterable(evidence.traces.values())
    return tuple(sorted({name for span in spans for name in span.attributes}))


def _values(evidence: Evidence, request: Request, key: str) -> Iterable[str]:
    if key in EDGE_KEYS:
        return (EDGE_KEYS[key](request),)
    trace = evidence.traces.get(request.trace_id)
    if trace is None:
        return ()
    return {value_text(each.attributes[key]) for each in trace if key in each.attributes} or {
        "none"
    }


def _group(value: str, requests: list[Request]) -> RequestGroup:
    latencies = sorted(each.latency_ms for each in requests)
    words = [WINDOW_WORDS[each.window] for each in requests]
    outcomes = [outcome_of(each) for each in requests]
    return RequestGroup(
        value=value,
        requests=len(requests),
        before=words.count("before"),
        incident=words.count("incident"),
        after=words.count("after"),
        errors=outcomes.count("error"),
        rejected=outcomes.count("rejected"),
        p50_ms=percentile(latencies, 0.5),
        p95_ms=percentile(latencies, 0.95),
        most_ms=latencies[-1],
    )


def _reaches(evidence: Evidence, request: Request, service: str) -> bool:
    trace = evidence.traces.get(request.trace_id)
    return trace is not None and any(span.service == service for span in trace)


def _typed(text: str) -> str:
    """As somebody copied it from a list, where an id ends in an ellipsis."""
    return text.strip().rstrip("…").lower()


def _says(evidence: Evidence, request: Request, wanted: str) -> bool:
    trace = evidence.traces.get(request.trace_id)
    return wanted in _printed(evidence, request).lower() or (
        trace is not None and any(_says_span(wanted, each) for each in trace)
    )


def _printed(evidence: Evidence, request: Request) -> str:
    """What a list prints of the request."""
    return "\n".join(
        (
            request.trace_id,
            request.route,
            request.tenant,
            outcome_of(request),
            str(request.status or "none"),
            duration(request.latency_ms),
            f"{request.answer_bytes} B",
            f"{WINDOW_WORDS[request.window]} {into_window_s(evidence, request):.1f} s",
        )
    )


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


def in_words(request: Request, size: str = "") -> str:
    """What was asked, and how it ended: ``GET /home: 200 after 12ms, tenant acme, incident``.

    ``size`` stands behind the duration.
    """
    when = WINDOW_WORDS.get(request.window, request.window.value)
    took = f"{request.status or 'no answer'} after {duration(request.latency_ms)}{size}"
    tenant = f"tenant {request.tenant}, " if request.tenant else ""
    return f"{request.route}: {took}, {tenant}{when}"


def check_known(option: str, word: str | None, words: tuple[str, ...]) -> None:
    """UsageError where a word was given for the option that is none of those."""
    if word is not None and word not in words:
        raise UsageError(f"expected --{option} to be one of {', '.join(words)}, got {word!r}")
