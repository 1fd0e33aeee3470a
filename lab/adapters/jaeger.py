"""Jaeger v2 by its HTTP API, version 3 (Jaeger's documentation, *APIs*)."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import httpx

from lab.adapters import traceql as queries
from lab.adapters.otlp.fields import MalformedOtlpError, message
from lab.adapters.otlp.traces import read_traces
from lab.adapters.store_http import Answer, StoreHttp, whole_id
from lab.domain.trace import Trace

DEADLINE_S: Final = 2.0
"""For one trace by its id."""

SEARCH_DEADLINE_S: Final = 10.0
"""For one page of a search: Jaeger looks through all that it holds for each."""

PAGE_S: Final = 5.0
"""Of an interval that is searched: it is read in answers, and not at once."""

MOST_A_PAGE: Final = 150
"""Traces in one answer; of those of the shop, some 5 MB."""

SHORTEST_PAGE_S: Final = 0.01
LONGEST_TRACE_S: Final = 20.0
"""Twice as long as anything in the shop waits: what began so long ago no longer runs."""

_WRITTEN: Final = re.compile(
    r"^otelcol_exporter_sent_spans(?:_total)?\{[^}\n]*exporter=\"jaeger_storage_exporter\"[^}\n]*\}"
    r"[ \t]+(\S+)$",
    re.MULTILINE,
)


class JaegerStore:
    """`TraceStore` over one Jaeger; an async context manager.

    ``url`` is the base of its HTTP API, ``metrics_url`` of what it tells about itself. It
    speaks no TraceQL: a search reads the traces of its interval and asks each of them what
    the query says in the domain's own predicates, and NeedsTraceQL refuses every other.
    It holds so many traces and forgets the oldest first, so of a run that was too long for it
    the reference lacks before a search does. ``transport`` is for tests.
    """

    def __init__(
        self,
        url: str,
        metrics_url: str,
        *,
        deadline_s: float = DEADLINE_S,
        search_deadline_s: float = SEARCH_DEADLINE_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.searchable_after_s = 0.0
        self._search_deadline_s = search_deadline_s
        self._settled: dict[tuple[str, float, float], frozenset[str]] = {}
        self._deadline_s = deadline_s
        self._http = StoreHttp("Jaeger", url, transport=transport)
        self._metrics = StoreHttp("Jaeger", metrics_url, transport=transport)

    async def __aenter__(self) -> Self:
        """Be open for as long as the context lasts."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._http.client.aclose()
        await self._metrics.client.aclose()

    async def trace(self, trace_id: str) -> Trace | None:
        """The trace as received so far; None while none of it is there.

        Raw: else Jaeger adds warnings to spans, moves attributes and leaves out what comes twice.
        """
        trace_id = whole_id(trace_id)
        answer = await self._http.get(
            f"/api/v3/traces/{trace_id}", self._deadline_s, raw_traces="true"
        )
        return self._http.the_one(trace_id, self._traces(answer), answer)

    async def search(self, traceql: str, *, start_s: float, end_s: float) -> frozenset[str]:
        """Ids of the traces that run inside the interval (Unix seconds) and answer the query.

        NeedsTraceQL for a query that predicates cannot say.
        """
        question = queries.read(traceql)
        found: set[str] = set()
        since_s = start_s - LONGEST_TRACE_S
        while since_s < end_s:
            until_s = min(since_s + PAGE_S, end_s)
            page, began_s = (traceql, since_s, until_s), time.time()
            ids = self._settled.get(page)
            if ids is None:
                traces = await self._traces_of(question, since_s, until_s)
                ids = frozenset(
                    trace_id
                    for trace_id, trace in traces.items()
                    if _overlaps(trace, start_s, end_s) and question.is_answered_by(trace)
                )
            if began_s - until_s > LONGEST_TRACE_S:
                self._settled[page] = ids
            found |= ids
            since_s = until_s
        return frozenset(found)

    async def spans_received(self) -> int:
        """How many spans Jaeger has written since it started; none before the first."""
        answer = await self._metrics.get("/metrics", self._deadline_s)
        text = answer.text
        if answer.status != httpx.codes.OK or "otelcol_" not in text:
            raise self._metrics.undocumented(answer, "Jaeger's own counters")
        try:
            return sum(int(float(value)) for value in _WRITTEN.findall(text))
        except (ValueError, OverflowError) as error:
            raise self._metrics.undocumented(
                answer, "counters in Prometheus' text format"
            ) from error

    async def _traces_of(
        self, question: queries.Question, since_s: float, until_s: float
    ) -> dict[str, Trace]:
        """All traces that may answer and of which something began then."""
        found: dict[str, Trace] = {}
        for service, operation in question.operations:
            asked: dict[str, str | int] = {
                "query.service_name": service,
                "query.operation_name": operation,
                "query.start_time_min": _rfc3339(since_s),
                "query.start_time_max": _rfc3339(until_s),
                "query.num_traces": MOST_A_PAGE,
                "query.raw_traces": "true",
            }
            answer = await self._http.get("/api/v3/traces", self._search_deadline_s, **asked)
            traces = self._traces(answer)
            if len(traces) >= MOST_A_PAGE:
                if until_s - since_s < SHORTEST_PAGE_S:
                    raise self._http.undocumented(
                        answer, f"fewer than {MOST_A_PAGE} traces in {SHORTEST_PAGE_S:g} s"
                    )
                middle_s = (since_s + until_s) / 2
                earlier = await self._traces_of(question, since_s, middle_s)
                return earlier | await self._traces_of(question, middle_s, until_s)
            found |= traces
        return found

    def _traces(self, answer: Answer) -> dict[str, Trace]:
        """The traces in ``{"result": …}``; none in a 404, its word for nothing found."""
        if answer.status == httpx.codes.NOT_FOUND:
            return {}
        try:
            document = message(self._http.json(answer), "document")
            # Without a result it is no answer of Jaeger's, and must not count as none found.
            return read_traces(document.get("result"))
        except MalformedOtlpError as error:
            raise self._http.undocumented(answer, f"traces ({error})") from error


def _overlaps(trace: Trace, start_s: float, end_s: float) -> bool:
    return any(span.start_ns < end_s * 1e9 and span.end_ns >= start_s * 1e9 for span in trace)


def _rfc3339(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat()
