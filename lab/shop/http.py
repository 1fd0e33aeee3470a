"""Calls to other services.

httpx's instrumentation gives every attempt a CLIENT span that ends when the
response's headers are in. Where the body matters, ``exchange`` names a span
round the call *and* its body.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from contextlib import AbstractContextManager, nullcontext
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import httpx
from opentelemetry import trace
from opentelemetry.trace import INVALID_SPAN, Span

from lab.shop.problems import UpstreamFailed, UpstreamTimeout
from lab.shop.settings import seconds
from lab.shop.telemetry import on_client_spans, tracer

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import timedelta

    from lab.shop.settings import HttpClientSettings

logger = logging.getLogger(__name__)


class Upstream:
    """One callee, by its ``name`` in the topology.

    ``limit`` bounds connecting, sending and every single read; as in httpx it is
    no deadline for the whole answer. Failures are logged at ``log_level``.
    """

    def __init__(
        self,
        name: str,
        url: str,
        limit: timedelta | None,
        settings: HttpClientSettings,
        *,
        log_level: int = logging.ERROR,
    ) -> None:
        self._name = name
        self._log_level = log_level
        self._retries = settings.retries
        self._client = httpx.AsyncClient(
            base_url=url,
            timeout=seconds(limit),
            trust_env=False,
            # Callees speak plain HTTP; httpx would load all the world's CAs for each of them.
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            limits=httpx.Limits(
                max_connections=settings.http_connections,
                max_keepalive_connections=None if settings.keepalive else 0,
                keepalive_expiry=settings.keepalive_expiry.total_seconds(),
            ),
        )
        self._backoff_s = seconds(settings.backoff) or 0.0

    async def open(self) -> None:
        """Nothing is connected ahead of the first call."""

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    async def call(
        self,
        method: str,
        path: str,
        *,
        json: object = None,
        headers: Mapping[str, str] | None = None,
        exchange: str | None = None,
    ) -> httpx.Response:
        """Send a request and read the whole answer, which has a status below 500.

        Raises `UpstreamTimeout` where a limit fired here or the callee says that
        one fired there, and `UpstreamFailed` for any other failure.
        """
        for resend_count in range(self._retries):
            try:
                return await self._attempt(method, path, resend_count, json, headers, exchange)
            except (UpstreamTimeout, UpstreamFailed):
                logger.warning("%s failed, trying again", self._name)
                await asyncio.sleep(self._backoff_s * 2**resend_count)
        return await self._attempt(method, path, self._retries, json, headers, exchange)

    async def _attempt(
        self,
        method: str,
        path: str,
        resend_count: int,
        json: object,
        headers: Mapping[str, str] | None,
        exchange: str | None,
    ) -> httpx.Response:
        attributes: dict[str, str | int] = {
            "service.peer.name": self._name,
            "http.connection.reused": True,
        }
        if resend_count:
            attributes["http.request.resend_count"] = resend_count
        try:
            with _span(exchange) as whole, on_client_spans(attributes):
                response = await self._client.request(
                    method, path, json=json, headers=headers, extensions={"trace": _observe}
                )
                whole.set_attribute("http.response.body.size", len(response.content))
        except httpx.TimeoutException as error:
            self._log(error)
            raise UpstreamTimeout from error
        except httpx.HTTPError as error:
            self._log(error)
            raise UpstreamFailed from error
        if response.status_code == HTTPStatus.GATEWAY_TIMEOUT:
            raise UpstreamTimeout
        if response.is_server_error:
            raise UpstreamFailed
        return response

    def _log(self, error: httpx.HTTPError) -> None:
        logger.log(self._log_level, "%s failed: %s", self._name, type(error).__name__)


def _span(name: str | None) -> AbstractContextManager[Span]:
    return nullcontext(INVALID_SPAN) if name is None else tracer.start_as_current_span(name)


async def _observe(event: str, info: dict[str, Any]) -> None:
    """Write onto the current span what only httpcore knows.

    Its ``trace`` extension calls this as things happen: inside the CLIENT span
    up to the headers, inside the exchange's span while the body is read.
    """
    span = trace.get_current_span()
    if event == "connection.connect_tcp.started":
        span.set_attribute("http.connection.reused", False)
    elif event.endswith(".failed") and isinstance(info["exception"], asyncio.CancelledError):
        span.add_event("cancelled")
