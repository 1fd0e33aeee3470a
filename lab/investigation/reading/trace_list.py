"""A stranger's traces as a list: which of them are meant, and in which order.

All but the text is answered by what an index knows, so no trace is read for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from lab.domain.evidence import Telemetry
from lab.domain.rows import TraceSummary
from lab.domain.trace import Span, Trace
from lab.domain.wording import unknown_name
from lab.errors import UsageError
from lab.frozen import dataclass
from lab.investigation.reading.requests import check_known
from lab.investigation.reading.span_words import value_text

OUTCOMES: Final = ("ok", "error")

SORTS: Final[Mapping[str, Callable[[TraceSummary], tuple[object, ...]]]] = {
    "time": lambda each: each.place_in_time,
    "trace": lambda each: (each.trace_id,),
    "root": lambda each: (each.service, each.name, each.place_in_time),
    "duration": lambda each: (each.duration_ms, each.place_in_time),
    "spans": lambda each: (each.spans, each.place_in_time),
    "services": lambda each: (len(each.services), each.place_in_time),
    "errors": lambda each: (each.own_errors, each.errors, each.place_in_time),
    "whole": lambda each: (each.is_whole, each.place_in_time),
}
"""By what the list may be sorted: a word for every column."""

_STRUCTURE: Final = (
    "resourceSpans scopeSpans resource scope schemaUrl attributes key value arrayValue values "
    "stringValue boolValue intValue doubleValue spans traceId spanId parentSpanId traceState flags "
    "name version kind startTimeUnixNano endTimeUnixNano events timeUnixNano links status code "
    "message true false"
).lower()
"""What stands in every line of OTLP/JSON, whatever its spans say."""


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Which traces are meant; a field that is None asks nothing.

    ``outcome`` is ``error`` where any span failed, else ``ok``. ``root`` stands in the name of
    the root span, ``service`` is one that the trace reached, ``text`` stands in an id, a name, a
    message, an attribute or the resource of a span. It took at least ``least_ms`` and at most
    ``most_ms``, and began from ``since_s`` on and before ``until_s`` (Unix seconds).
    ``incomplete`` ones lack a parent, a root or an end.
    """

    outcome: str | None = None
    root: str | None = None
    service: str | None = None
    text: str | None = None
    least_ms: float | None = None
    most_ms: float | None = None
    since_s: float | None = None
    until_s: float | None = None
    incomplete: bool = False

    def fits(self, trace: TraceSummary) -> bool:
        """Whether it is one of them, as far as its summary can tell."""
        return (
            self.outcome in {None, "error" if trace.errors else "ok"}
            and (self.service is None or self.service in trace.services)
            and (self.root is None or self.root.lower() in trace.name.lower())
            and (self.least_ms is None or trace.duration_ms >= self.least_ms)
            and (self.most_ms is None or trace.duration_ms <= self.most_ms)
            and self._is_timely(trace)
            and not (self.incomplete and trace.is_whole and not trace.unfinished)
        )

    def _is_timely(self, trace: TraceSummary) -> bool:
        """Whether it began in time; what has no start did not, where a time is asked for."""
        if self.since_s is None and self.until_s is None:
            return True
        started_s = trace.start_ns / 1e9
        return (
            trace.start_ns != 0
            and (self.since_s is None or started_s >= self.since_s)
            and (self.until_s is None or started_s < self.until_s)
        )


def find_traces(
    case: Telemetry, query: TraceQuery, *, sort: str = "time", descending: bool = False
) -> list[TraceSummary]:
    """The traces that fit, sorted by one of `SORTS`; UsageError for a word nobody knows."""
    _check(case, query, sort)
    asks = query != TraceQuery()
    found = [each for each in case.index if query.fits(each)] if asks else list(case.index)
    if query.text:
        found = _saying(case, found, query.text)
    if sort != "time" or descending:  # An index is in order of time.
        found.sort(key=SORTS[sort], reverse=descending)
    return found


def services_of(case: Telemetry) -> list[str]:
    """Every service of its traces, by name."""
    return sorted({service for each in case.index for service in each.services})


def _check(case: Telemetry, query: TraceQuery, sort: str) -> None:
    check_known("outcome", query.outcome, OUTCOMES)
    check_known("sort", sort, tuple(SORTS))
    if query.service is not None:
        known = services_of(case)
        if query.service not in known:
            raise UsageError(unknown_name("service", query.service, tuple(known)))


def _saying(case: Telemetry, traces: Sequence[TraceSummary], text: str) -> list[TraceSummary]:
    """Those with the text; a trace is read only where its line alone cannot tell."""
    wanted = text.lower()
    # What stands between = and letters beyond ASCII, which a line escapes in either case.
    plain = re.findall(r"[\x20-\x3c\x3e-\x7e]+", wanted)
    if case.lines_with is not None:
        holding = frozenset(case.lines_with(plain, [each.trace_id for each in traces]))
        traces = [each for each in traces if each.trace_id in holding]
        # Words of OTLP itself are in every line, and digits in every time.
        if plain == [wanted] and wanted not in _STRUCTURE and re.search(r"[a-z]", wanted):
            return list(traces)
    return [each for each in traces if _says(case.evidence.traces[each.trace_id], wanted)]


def _says(trace: Trace, wanted: str) -> bool:
    return any(wanted in text.lower() for span in trace for text in _texts(span))


def _texts(span: Span) -> Iterator[str]:
    """All that a span says, and what it links to; attributes as ``key=value``."""
    yield from (span.trace_id, span.span_id, span.name, span.service, span.status_message)
    yield from (span.trace_state, span.scope.name, span.scope.version)
    yield from (each.name for each in span.events)
    for link in span.links:
        yield from (link.trace_id, link.span_id)
    events, links = ([each.attributes for each in many] for many in (span.events, span.links))
    for attributes in (span.attributes, span.resource, span.scope.attributes, *events, *links):
        yield from (f"{key}={value_text(value)}" for key, value in attributes.items())
