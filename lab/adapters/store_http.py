"""A trace store's HTTP API: every call with a deadline, and no answer without an end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx

from lab.adapters.otlp.fields import MalformedOtlpError, parse
from lab.errors import TraceStoreError

MOST_BYTES: Final = 16 * 2**20
"""Of one answer; as much as the largest trace that is read, with all its spans carry."""


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

    ``headers`` go with each request, ``proxied`` lets a proxy of the user's stand between,
    ``transport`` is for tests.
    """

    def __init__(
        self,
        store: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        proxied: bool = False,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._store = store
        # On loopback, packing an answer costs more than it saves. Each call has its own deadline.
        headers = {**(headers or {}), "Accept-Encoding": "identity"}
        self.client = httpx.AsyncClient(
            base_url=url, timeout=60, transport=transport, trust_env=proxied, headers=headers
        )

    async def get(self, path: str, within_s: float, **parameters: str | int) -> Answer:
        """Ask once; any status is an answer."""
        try:
            # httpx bounds each read, so an answer that trickles would never time out.
            async with (
                asyncio.timeout(within_s),
                self.client.stream("GET", path, params=parameters) as response,
            ):
                return Answer(str(response.url), response.status_code, await self._read(response))
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

    def json(self, answer: Answer) -> Any:
        """The JSON of a 200."""
        if answer.status != httpx.codes.OK:
            raise self.undocumented(answer, "200")
        try:
            return parse(answer.body)
        except MalformedOtlpError as error:
            raise self.undocumented(answer, str(error)) from error

    def _unreachable(self, why: str) -> TraceStoreError:
        return TraceStoreError(
            f"expected {self._store} to answer at {self.client.base_url}, found: {why}; "
            "`lab status` shows which part is down, `lab up` starts it"
        )

    def undocumented(self, answer: Answer, expected: str) -> TraceStoreError:
        """It answers something else than its documentation says."""
        return TraceStoreError(
            f"GET {answer.url}: expected {expected}, found {answer.status} {answer.text[:120]!r}; "
            f"is another program answering at {self._store}'s port? `lab doctor` says who"
        )
