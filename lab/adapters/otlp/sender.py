"""Spans to any endpoint that takes OTLP by HTTP, in the binary form that all of them read."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

import httpx
from google.protobuf import json_format  # type: ignore[import-untyped]
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from lab.adapters import loopback, outside
from lab.adapters.otlp.traces import write_traces
from lab.domain.trace import Trace
from lab.errors import ReplayRefused
from lab.frozen import dataclass

PATH: Final = "/v1/traces"
"""Where OTLP/HTTP takes traces (OpenTelemetry specification, *OTLP/HTTP Request*)."""

DEADLINE_S: Final = 20.0
TRIES: Final = 5
LONGEST_PAUSE_S: Final = 10.0
_TRY_AGAIN: Final = frozenset({429, 502, 503, 504})
"""The specification's *Retryable Response Codes*; no other is asked twice."""

_ID_FIELDS: Final = frozenset({"traceId", "spanId", "parentSpanId"})


@dataclass(frozen=True, slots=True)
class Sent:
    """What an endpoint said to one batch: how many spans it would not take, and why."""

    rejected: int = 0
    why: str = ""


class OtlpSender:
    """Sends to ``endpoint`` (its base, or its whole path to traces); an async context manager.

    ``headers`` go with each request: a tenant, or a key.
    """

    def __init__(self, endpoint: str, headers: Mapping[str, str] | None = None) -> None:
        with outside.client_to(endpoint, "an OTLP/HTTP endpoint such as http://127.0.0.1:4318"):
            path = urlsplit(endpoint).path
            self._url = endpoint if path.endswith(PATH) else endpoint.rstrip("/") + PATH
            self._client = httpx.AsyncClient(
                timeout=DEADLINE_S,
                headers=headers,
                trust_env=not loopback.is_here(endpoint),
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
        """Close the connection."""
        await self._client.aclose()

    async def send(self, traces: Iterable[Trace]) -> Sent:
        """Send the traces in one request, again where the endpoint asks for it.

        ReplayRefused where it does not answer, or refuses all of them.
        """
        body = encoded(traces)
        for attempt in range(1, TRIES + 1):
            answer = await self._post(body)
            if answer.status_code not in _TRY_AGAIN or attempt == TRIES:
                break
            await asyncio.sleep(_pause_s(answer, attempt))
        if answer.status_code != httpx.codes.OK:
            raise self._refused(f"{answer.status_code} {answer.text[:120]!r}")
        return _partial_success(answer)

    async def _post(self, body: bytes) -> httpx.Response:
        try:
            return await self._client.post(
                self._url, content=body, headers={"Content-Type": "application/x-protobuf"}
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._refused(str(error) or type(error).__name__) from error

    def _refused(self, found: str) -> ReplayRefused:
        shown = urlsplit(self._url)
        return ReplayRefused(
            f"expected {shown.scheme}://{shown.hostname}:{shown.port or ''}{shown.path} to take "
            f"spans by OTLP/HTTP, found: {found}; "
            "is it the endpoint's HTTP port (4318 by custom, not 4317), and is it told the right "
            "--header?"
        )


def encoded(traces: Iterable[Trace]) -> bytes:
    """The traces as an ``ExportTraceServiceRequest`` in protobuf's binary form."""
    document = _with_base64_ids(write_traces(traces))
    request = json_format.ParseDict(document, ExportTraceServiceRequest())
    return bytes(request.SerializeToString())


def _with_base64_ids(value: Any) -> Any:
    """Protobuf's own JSON writes bytes as base64; OTLP's writes ids as hex."""
    if isinstance(value, list):
        return [_with_base64_ids(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(bytes.fromhex(each)).decode()
        if key in _ID_FIELDS
        else _with_base64_ids(each)
        for key, each in value.items()
    }


def _pause_s(answer: httpx.Response, attempt: int) -> float:
    """As long as the endpoint asks for, or twice as long each time."""
    try:
        asked_s = float(answer.headers.get("Retry-After", ""))
    except ValueError:
        asked_s = 0.25 * 2**attempt
    return min(max(asked_s, 0.0), LONGEST_PAUSE_S)


def _partial_success(answer: httpx.Response) -> Sent:
    """What the endpoint left out, where it says so; an empty answer took everything."""
    try:
        if answer.headers.get("Content-Type", "").startswith("application/json"):
            said = json_format.Parse(
                answer.text or "{}", ExportTraceServiceResponse(), ignore_unknown_fields=True
            )
        else:
            said = ExportTraceServiceResponse.FromString(answer.content)
    except (DecodeError, json_format.ParseError):
        return Sent()
    partial = said.partial_success
    return Sent(int(partial.rejected_spans), str(partial.error_message))
