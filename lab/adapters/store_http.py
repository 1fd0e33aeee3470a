"""A trace store's HTTP API: every call with a deadline, and no answer without an end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Final, Self

import httpx

from lab.adapters.otlp.fields import MalformedOtlpError, parse
from lab.domain.trace import Trace
from lab.errors import TraceStoreError
from lab.frozen import dataclass

MOST_BYTES: Final = 16 * 2**20
"""Of one answer; as much as the largest trace that is read, with all its spans carry."""


TRACE_ID: Final = re.compile(r"[0-9a-f]{32}")


def whole_id(trace_id: str) -> str:
    """A trace id in lower case; TraceStoreError where it is none, for it becomes a path."""
    trace_id = trace_id.lower()
    if not TRACE_ID.fullmatch(trace_id):
        raise TraceStoreError(f"expected a trace id of 32 hex digits, got {trace_id!r}")
    return trace_id


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
    ``transport`` is for tests. An async context manager.
    """

    most_bytes = MOST_BYTES
    less = ""
    """What to do about an answer of more than that."""

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
        await self.client.aclose()

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
            raise self.failed(f"no answer within {within_s:g} s") from error
        except UnicodeEncodeError as error:
            raise self.failed(f"{error.object[:80]!r}, which no address can hold") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self.failed(str(error) or type(error).__name__) from error

    async def _read(self, response: httpx.Response) -> bytes:
        packed = response.headers.get("Content-Encoding", "identity")
        if packed != "identity":
            # A few packed bytes can become gigabytes.
            raise self.failed(f"an answer packed as {packed[:40]!r}, which was not asked for")
        body = bytearray()
        async for part in response.aiter_bytes():
            body += part
            if len(body) > self.most_bytes:
                most_mib = self.most_bytes // 2**20
                raise self.failed(f"an answer of more than {most_mib} MiB{self.less}")
        return bytes(body)

    def json(self, answer: Answer) -> Any:
        """The JSON of a 200."""
        if answer.status != httpx.codes.OK:
            raise self.undocumented(answer, "200")
        try:
            return parse(answer.body)
        except MalformedOtlpError as error:
            raise self.undocumented(answer, str(error)) from error

    def the_one(self, trace_id: str, traces: Mapping[str, Trace], answer: Answer) -> Trace | None:
        """That trace of an answer that should hold no other; None where it holds nothing."""
        if traces and trace_id not in traces:
            raise self.undocumented(answer, f"spans of the trace asked for, got {min(traces)}")
        return traces.get(trace_id)

    def failed(self, found: str) -> TraceStoreError:
        """The error that says what was found in place of an answer, and what to do."""
        return TraceStoreError(
            f"expected {self._store} to answer at {self.client.base_url}, found: {found}; "
            "`lab status` shows which part is down, `lab up` starts it"
        )

    def undocumented(self, answer: Answer, expected: str) -> TraceStoreError:
        """It answers something else than its documentation says."""
        return TraceStoreError(
            f"GET {answer.url}: expected {expected}, found {answer.status} {answer.text[:120]!r}; "
            f"is another program answering at {self._store}'s port? `lab doctor` says who"
        )
