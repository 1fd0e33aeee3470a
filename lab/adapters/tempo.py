"""Tempo by its HTTP API (Grafana's documentation, *Tempo HTTP API*), every call with a deadline."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import httpx

from lab.adapters.otlp.fields import MalformedOtlpError, parse
from lab.adapters.otlp.traces import read_traces
from lab.domain.trace import Trace
from lab.errors import TraceStoreError

DEADLINE_S: Final = 2.0
"""For one answer, from the request's first byte to the answer's last."""

SEARCH_DEADLINE_S: Final = 10.0
"""A search reads the whole log, which after a quarter of an hour's load takes some seconds."""

MOST_FOUND: Final = 2000
"""How many traces a search may find; more than a case's windows can hold."""

MOST_BYTES: Final = 16 * 2**20
"""Of one answer; as much as the largest trace that is read, with all its spans carry."""

_TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")
_RECEIVED: Final = re.compile(
    r"^tempo_distributor_spans_received_total(?:\{[^}\n]*\})?[ \t]+(?P<value>\S+)", re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came over the wire, within the deadline and the size limit."""

    url: str
    status: int
    body: bytes

    @property
    def text(self) -> str:
        """As UTF-8, whatever charset it claims: some that Python knows are no text at all."""
        return self.body.decode(errors="replace")


class TempoStore:
    """`TraceStore` over one Tempo; an async context manager.

    ``url`` is the base of its HTTP API; ``headers`` go with each request, for one that
    asks for a tenant or a key; ``proxied`` lets a proxy of the user's stand between, for one
    in the outside world; ``transport`` is for tests. ``received`` counts the spans it
    took where others store theirs in it too, and its own counter says too much.
    """

    def __init__(
        self,
        url: str,
        *,
        deadline_s: float = DEADLINE_S,
        search_deadline_s: float = SEARCH_DEADLINE_S,
        headers: Mapping[str, str] | None = None,
        proxied: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
        received: Callable[[], Awaitable[int]] | None = None,
    ) -> None:
        self._received = received
        self._url = url
        self._deadline_s = deadline_s
        self._search_deadline_s = search_deadline_s
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=max(deadline_s, search_deadline_s),
            transport=transport,
            trust_env=proxied,
            # On loopback, packing an answer costs more than it saves.
            headers={**(headers or {}), "Accept-Encoding": "identity"},
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
        answer = await self._get(f"/api/v2/traces/{trace_id}")
        if answer.status == httpx.codes.NOT_FOUND:
            return None
        self._expect_ok(answer)
        try:
            traces = read_traces(self._json(answer))
        except MalformedOtlpError as error:
            raise self._undocumented(answer, f"a trace ({error})") from error
        if traces and trace_id not in traces:
            raise self._undocumented(answer, f"spans of the trace asked for, got {min(traces)}")
        return traces.get(trace_id)

    async def search(self, traceql: str, *, start_s: float, end_s: float) -> frozenset[str]:
        """Ids of the traces that answer the query inside the interval (Unix seconds).

        Tempo searches what was cut to its log: some seconds behind what `trace` sees.
        """
        answer = await self._get(
            "/api/search",
            self._search_deadline_s,
            q=traceql,
            start=math.floor(start_s),
            end=math.ceil(end_s),
            limit=MOST_FOUND,
        )
        self._expect_ok(answer)
        found = self._json(answer)
        try:
            # Tempo writes an id as a number would be, without its leading zeros.
            ids = {trace["traceID"].lower().zfill(32) for trace in found.get("traces") or ()}
        except (AttributeError, TypeError, KeyError) as error:
            raise self._undocumented(answer, "a list of traces with their ids") from error
        strange = [each for each in ids if not _TRACE_ID.fullmatch(each)]
        if strange:
            raise self._undocumented(answer, f"ids of hex digits, got {strange[0][:40]!r}")
        return frozenset(ids)

    async def spans_received(self) -> int:
        """How many spans Tempo has taken in since it started, of all tenants.

        Unless told to count otherwise. It counts none before the first; a page without
        any of its counters is not its own.
        """
        if self._received is not None:
            return await self._received()
        answer = await self._get("/metrics")
        self._expect_ok(answer)
        text = answer.text
        if "tempo_" not in text:
            raise self._undocumented(answer, "Tempo's own counters")
        try:
            return sum(int(float(value)) for value in _RECEIVED.findall(text))
        except (ValueError, OverflowError) as error:
            raise self._undocumented(answer, "counters in Prometheus' text format") from error

    async def _get(
        self, path: str, within_s: float | None = None, **parameters: str | int
    ) -> _Answer:
        within_s = within_s or self._deadline_s
        try:
            # httpx bounds each read, so an answer that trickles would never time out.
            async with (
                asyncio.timeout(within_s),
                self._client.stream("GET", path, params=parameters) as response,
            ):
                body = await self._read(response)
                return _Answer(str(response.url), response.status_code, body)
        except TimeoutError as error:
            raise self._unreachable(f"no answer within {within_s:g} s") from error
        except httpx.HTTPError as error:
            raise self._unreachable(str(error) or type(error).__name__) from error

    async def _read(self, response: httpx.Response) -> bytes:
        packed = response.headers.get("Content-Encoding", "identity")
        if packed != "identity":
            # A few packed bytes can become gigabytes.
            raise self._unreachable(f"an answer packed as {packed[:40]!r}, which was not asked for")
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise self._unreachable(f"an answer of more than {MOST_BYTES // 2**20} MiB")
        return bytes(body)

    def _expect_ok(self, answer: _Answer) -> None:
        if answer.status != httpx.codes.OK:
            raise self._undocumented(answer, "200")

    def _json(self, answer: _Answer) -> Any:
        try:
            return parse(answer.body)
        except MalformedOtlpError as error:
            raise self._undocumented(answer, str(error)) from error

    def _unreachable(self, why: str) -> TraceStoreError:
        return TraceStoreError(
            f"expected Tempo to answer at {self._url}, found: {why}; "
            "`lab status` shows which part is down, `lab up` starts it"
        )

    def _undocumented(self, answer: _Answer, expected: str) -> TraceStoreError:
        return TraceStoreError(
            f"GET {answer.url}: expected {expected}, "
            f"found {answer.status} {answer.text[:120]!r}; "
            "is another program answering at Tempo's port? `lab doctor` says who"
        )
