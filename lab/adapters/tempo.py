"""Tempo by its HTTP API (Grafana's documentation, *Tempo HTTP API*)."""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Final, Self

import httpx

from lab.adapters.otlp.fields import MalformedOtlpError
from lab.adapters.otlp.traces import read_traces
from lab.adapters.store_http import TRACE_ID, StoreHttp, whole_id
from lab.domain.trace import Trace

DEADLINE_S: Final = 2.0
"""For one answer, from the request's first byte to the answer's last."""

SEARCH_DEADLINE_S: Final = 10.0
"""A search reads the whole log, which after a quarter of an hour's load takes some seconds."""

MOST_FOUND: Final = 2000
"""How many traces a search may find; more than a case's windows can hold."""

SEARCHABLE_AFTER_S: Final = 3.0
"""A trace is cut to the log once it was idle for so long (``deploy/tempo/tempo.yaml``)."""

_RECEIVED: Final = re.compile(
    r"^tempo_distributor_spans_received_total(?:\{[^}\n]*\})?[ \t]+(?P<value>\S+)", re.MULTILINE
)


class TempoStore:
    """`TraceStore` over one Tempo; an async context manager.

    ``url`` is the base of its HTTP API; ``transport`` is for tests. ``received`` counts the
    spans it took where others store theirs in it too, and its own counter says too much.
    """

    def __init__(
        self,
        url: str,
        *,
        deadline_s: float = DEADLINE_S,
        search_deadline_s: float = SEARCH_DEADLINE_S,
        transport: httpx.AsyncBaseTransport | None = None,
        received: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self.searchable_after_s = SEARCHABLE_AFTER_S
        self._received = received
        self._search_deadline_s = search_deadline_s
        self._deadline_s = deadline_s
        self._http = StoreHttp("Tempo", url, transport=transport)

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

    async def trace(self, trace_id: str) -> Trace | None:
        """The trace as received so far; None while none of it is there.

        An unknown trace is a 404 in some versions of Tempo, and in others a 200 with
        ``{"trace": {}}``. Late spans are in the answer as soon as they were received,
        unlike in a search.
        """
        trace_id = whole_id(trace_id)
        answer = await self._http.get(f"/api/v2/traces/{trace_id}", self._deadline_s)
        if answer.status == httpx.codes.NOT_FOUND:
            return None
        try:
            traces = read_traces(self._http.json(answer))
        except MalformedOtlpError as error:
            raise self._http.undocumented(answer, f"a trace ({error})") from error
        return self._http.the_one(trace_id, traces, answer)

    async def search(self, traceql: str, *, start_s: float, end_s: float) -> frozenset[str]:
        """Ids of the traces that answer the query inside the interval (Unix seconds).

        Tempo searches what was cut to its log: some seconds behind what `trace` sees.
        """
        answer = await self._http.get(
            "/api/search",
            self._search_deadline_s,
            q=traceql,
            start=math.floor(start_s),
            end=math.ceil(end_s),
            limit=MOST_FOUND,
        )
        found = self._http.json(answer)
        try:
            # Tempo writes an id as a number would be, without its leading zeros.
            ids = {trace["traceID"].lower().zfill(32) for trace in found.get("traces") or ()}
        except (AttributeError, TypeError, KeyError) as error:
            raise self._http.undocumented(answer, "a list of traces with their ids") from error
        strange = [each for each in ids if not TRACE_ID.fullmatch(each)]
        if strange:
            raise self._http.undocumented(answer, f"ids of hex digits, got {strange[0][:40]!r}")
        return frozenset(ids)

    async def spans_received(self) -> int:
        """How many spans Tempo has taken in since it started, of all tenants.

        Unless told to count otherwise. It counts none before the first; a page without
        any of its counters is not its own.
        """
        if self._received is not None:
            return await self._received()
        answer = await self._http.get("/metrics", self._deadline_s)
        text = answer.text
        if answer.status != httpx.codes.OK or "tempo_" not in text:
            raise self._http.undocumented(answer, "Tempo's own counters")
        try:
            return sum(int(float(value)) for value in _RECEIVED.findall(text))
        except (ValueError, OverflowError) as error:
            raise self._http.undocumented(answer, "counters in Prometheus' text format") from error
