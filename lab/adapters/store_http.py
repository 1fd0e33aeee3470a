"""A trace store's HTTP API: every call with a deadline, and no answer without an end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from lab.adapters.otlp.fields import MalformedOtlpError, parse
from lab.errors import TraceStoreError

MOST_BYTES: Final = 16 * 2**20
"""Of one answer; as much as the largest trace that is read, with all its spans carry."""

TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Answer:
    """What came over the wire, within the deadline and the size limit."""

    url: str
    status: int
    body: bytes

    @property
    def text(self) -> str:
        """As UTF-8, whatever charset it claims: some that Python knows are no text at all."""
        return self.body.decode(errors="replace")


class StoreHttp:
    """GETs below ``url``; all that goes wrong is a TraceStoreError that names ``store``.

    ``deadline_s`` is for one answer, from the request's first byte to the answer's last,
    where a call does not say other.
    """

    def __init__(
        self,
        store: str,
        url: str,
        *,
        deadline_s: float,
        headers: Mapping[str, str] | None = None,
        proxied: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._store = store
        self._url = url
        self._deadline_s = deadline_s
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=None,  # noqa: S113 — each call has a deadline, which bounds its reads as well
            transport=transport,
            trust_env=proxied,
            # On loopback, packing an answer costs more than it saves.
            headers={**(headers or {}), "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def get(
        self, path: str, within_s: float | None = None, **parameters: str | int
    ) -> Answer:
        """Ask once."""
        within_s = within_s or self._deadline_s
        try:
            # httpx bounds each read, so an answer that trickles would never time out.
            async with (
                asyncio.timeout(within_s),
                self._client.stream("GET", path, params=parameters) as response,
            ):
                body = await self._read(response)
                return Answer(str(response.url), response.status_code, body)
        except TimeoutError as error:
            raise self.unreachable(f"no answer within {within_s:g} s") from error
        except httpx.HTTPError as error:
            raise self.unreachable(str(error) or type(error).__name__) from error

    async def _read(self, response: httpx.Response) -> bytes:
        packed = response.headers.get("Content-Encoding", "identity")
        if packed != "identity":
            # A few packed bytes can become gigabytes.
            raise self.unreachable(f"an answer packed as {packed[:40]!r}, which was not asked for")
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > MOST_BYTES:
                raise self.unreachable(f"an answer of more than {MOST_BYTES // 2**20} MiB")
        return bytes(body)

    def expect_ok(self, answer: Answer) -> None:
        """Refuse what is no 200."""
        if answer.status != httpx.codes.OK:
            raise self.undocumented(answer, "200")

    def json(self, answer: Answer) -> Any:
        """The JSON in it."""
        try:
            return parse(answer.body)
        except MalformedOtlpError as error:
            raise self.undocumented(answer, str(error)) from error

    def own_trace_id(self, trace_id: str) -> str:
        """``trace_id`` in lower case, if it is one: no path but a trace's is ever asked for."""
        if not TRACE_ID.fullmatch(trace_id.lower()):
            raise TraceStoreError(f"expected a trace id of 32 hex digits, got {trace_id!r}")
        return trace_id.lower()

    def unreachable(self, why: str) -> TraceStoreError:
        """It does not answer, or not to an end."""
        return TraceStoreError(
            f"expected {self._store} to answer at {self._url}, found: {why}; "
            "`lab status` shows which part is down, `lab up` starts it"
        )

    def undocumented(self, answer: Answer, expected: str) -> TraceStoreError:
        """It answers something else than its documentation says."""
        return TraceStoreError(
            f"GET {answer.url}: expected {expected}, "
            f"found {answer.status} {answer.text[:120]!r}; "
            f"is another program answering at {self._store}'s port? `lab doctor` says who"
        )
