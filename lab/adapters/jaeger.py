"""Jaeger v2 by its HTTP API, version 3 (Jaeger's documentation, *APIs*)."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self

import httpx

from lab.adapters import traceql as queries
from lab.adapters.otlp.fields import MalformedOtlpError, message
from lab.adapters.otlp.traces import read_traces
from lab.adapters.store_http import Answer, StoreHttp
from lab.domain.trace import Trace

DEADLINE_S: Final = 2.0
"""For one trace by its id."""

SEARCH_DEADLINE_S: Final = 10.0
"""For one page of a search: Jaeger looks through all that it holds for each."""

PAGE_S: Final = 5.0
MOST_A_PAGE: Final = 150
"""Traces in one answer; of those of the shop, some 5 MB."""

SHORTEST_PAGE_S: Final = 0.01
LONGEST_TRACE_S: Final = 60.0
"""Jaeger knows when a span began and not when it ended: so far back is what may still run."""

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
    ``transport`` is for tests.
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
        self._search_deadline_s = search_deadline_s
        self._http = StoreHttp("Jaeger", url, deadline_s=deadline_s, transport=transport)
        self._metrics = StoreHttp("Jaeger", metrics_url, deadline_s=deadline_s, transport=transport)

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
        await self._http.close()
        await self._metrics.close()

    async def trace(self, trace_id: str) -> Trace | None:
        """The trace as received so far, a 404 otherwise.

        Raw, as else Jaeger changes what people would trip over: it moves clocks, drops links
        and adds warnings.
        """
        trace_id = self._http.own_trace_id(trace_id)
        answer = await self._http.get(f"/api/v3/traces/{trace_id}", raw_traces="true")
        traces = self._traces(answer)
        if traces and trace_id not in traces:
            raise self._http.undocumented(
                answer, f"spans of the trace asked for, got {min(traces)}"
            )
        return traces.get(trace_id)

    async def search(self, traceql: str, *, start_s: float, end_s: float) -> frozenset[str]:
        """Ids of the traces that run inside the interval (Unix seconds) and answer the query.

        NeedsTraceQL for a query that predicates cannot say.
        """
        question = queries.read(traceql)
        found: set[str] = set()
        for service, operation in question.operations:
            async for traces in self._pages(service, operation, start_s, end_s):
                found.update(
                    trace_id
                    for trace_id, trace in traces.items()
                    if _overlaps(trace, start_s, end_s) and question.is_answered_by(trace)
                )
        return frozenset(found)

    async def spans_received(self) -> int:
        """How many spans Jaeger has written since it started; none before the first."""
        answer = await self._metrics.get("/metrics")
        self._metrics.expect_ok(answer)
        text = answer.text
        if "otelcol_" not in text:
            raise self._metrics.undocumented(answer, "Jaeger's own counters")
        try:
            return sum(int(float(value)) for value in _WRITTEN.findall(text))
        except (ValueError, OverflowError) as error:
            raise self._metrics.undocumented(
                answer, "counters in Prometheus' text format"
            ) from error

    async def _pages(
        self, service: str, operation: str, start_s: float, end_s: float
    ) -> AsyncIterator[dict[str, Trace]]:
        """All traces with such a span in the interval, a page at a time; halves of a full one."""
        since_s, page_s = start_s - LONGEST_TRACE_S, PAGE_S
        while since_s < end_s:
            until_s = min(since_s + page_s, end_s)
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
            if len(traces) < MOST_A_PAGE:
                yield traces
                since_s, page_s = until_s, PAGE_S
            elif page_s > SHORTEST_PAGE_S:
                page_s /= 2
            else:
                raise self._http.undocumented(
                    answer, f"fewer than {MOST_A_PAGE} traces in {page_s:.3f} s"
                )

    def _traces(self, answer: Answer) -> dict[str, Trace]:
        """The traces in ``{"result": …}``; none in a 404, its word for nothing found."""
        if answer.status == httpx.codes.NOT_FOUND:
            return {}
        self._http.expect_ok(answer)
        try:
            document = message(self._http.json(answer), "document")
            return read_traces(document.get("result"))
        except MalformedOtlpError as error:
            raise self._http.undocumented(answer, f"traces ({error})") from error


def _overlaps(trace: Trace, start_s: float, end_s: float) -> bool:
    return any(span.start_ns < end_s * 1e9 and span.end_ns >= start_s * 1e9 for span in trace)


def _rfc3339(unix_s: float) -> str:
    return datetime.fromtimestamp(unix_s, UTC).isoformat()
