"""Tempo by its HTTP API (Grafana's documentation, *Tempo HTTP API*), every call with a deadline."""

from __future__ import annotations

import asyncio
import math
import re
from types import TracebackType
from typing import Any, Final, Self

import httpx

from lab.adapters.otlp_fields import MalformedOtlpError, parse
from lab.adapters.otlp_json import read_traces
from lab.domain.trace import Trace
from lab.errors import TraceStoreError

DEADLINE_S: Final = 2.0
"""For one answer, from the request's first byte to the answer's last."""

MOST_FOUND: Final = 2000
"""How many traces a search may find; more than a case's windows can hold."""

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_RECEIVED: Final = re.compile(
    r"^tempo_distributor_spans_received_total(?:\{[^}]*\})?\s+(?P<value>\S+)", re.MULTILINE
)


class TempoStore:
    """`lab.ports.TraceStore` over one Tempo; an async context manager.

    ``url`` is the base of its HTTP API; ``transport`` is for tests.
    """

    def __init__(
        self,
        url: str,
        *,
        deadline_s: float = DEADLINE_S,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=deadline_s,
            transport=transport,
            trust_env=False,  # A proxy of the user's is for the outside world.
            # On loopback, packing an answer costs more than it saves.
            headers={"Accept-Encoding": "identity"},
        )

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
        await self._client.aclose()

    async def trace(self, trace_id: str) -> Trace | None:
        """The trace as received so far; None while none of it is there.

        An unknown trace is a 404 in some versions of Tempo, and in others a 200 with
        ``{"trace": {}}``. Late spans are in the answer as soon as they were received,
        unlike in a search.
        """
        trace_id = trace_id.lower()
        if not _TRACE_ID.fullmatch(trace_id):
            raise TraceStoreError(f"expected a trace id of 32 hex digits, got {trace_id!r}")
        response = await self._get(f"/api/v2/traces/{trace_id}")
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        self._expect_ok(response)
        document = self._json(response)
        try:
            return read_traces(document).get(trace_id)
        except MalformedOtlpError as error:
            raise self._undocumented(response, f"a trace ({error})") from error

    async def search(self, traceql: str, *, start_s: float, end_s: float) -> frozenset[str]:
        """Ids of the traces that answer the query inside the interval (Unix seconds).

        Tempo searches what was cut to its log: some seconds behind what `trace` sees.
        """
        response = await self._get(
            "/api/search",
            q=traceql,
            start=math.floor(start_s),
            end=math.ceil(end_s),
            limit=MOST_FOUND,
        )
        self._expect_ok(response)
        found = self._json(response)
        try:
            # Tempo writes an id as a number would be, without its leading zeros.
            ids = (str(trace["traceID"]).lower().zfill(32) for trace in found.get("traces") or ())
            return frozenset(ids)
        except (AttributeError, TypeError, KeyError) as error:
            raise self._undocumented(response, "a list of traces with their ids") from error

    async def spans_received(self) -> int:
        """How many spans Tempo has taken in since it started, of all tenants."""
        response = await self._get("/metrics")
        self._expect_ok(response)
        try:
            return sum(int(float(value)) for value in _RECEIVED.findall(response.text))
        except (ValueError, OverflowError) as error:
            raise self._undocumented(response, "counters in Prometheus' text format") from error

    async def _get(self, path: str, **parameters: str | int) -> httpx.Response:
        try:
            # httpx bounds each read, so an answer that trickles would never time out.
            async with asyncio.timeout(self._deadline_s):
                return await self._client.get(path, params=parameters)
        except TimeoutError as error:
            raise self._unreachable(f"no answer within {self._deadline_s:g} s") from error
        except httpx.HTTPError as error:
            raise self._unreachable(str(error) or type(error).__name__) from error

    def _expect_ok(self, response: httpx.Response) -> None:
        if response.status_code != httpx.codes.OK:
            raise self._undocumented(response, "200")

    def _json(self, response: httpx.Response) -> Any:
        try:
            return parse(response.content)
        except MalformedOtlpError as error:
            raise self._undocumented(response, str(error)) from error

    def _unreachable(self, why: str) -> TraceStoreError:
        return TraceStoreError(
            f"expected Tempo to answer at {self._url}, found: {why}; "
            "`lab status` shows which part is down, `lab up` starts it"
        )

    def _undocumented(self, response: httpx.Response, expected: str) -> TraceStoreError:
        return TraceStoreError(
            f"GET {response.url}: expected {expected}, "
            f"found {response.status_code} {response.text[:120]!r}; "
            "is another program answering at Tempo's port? `lab doctor` says who"
        )
