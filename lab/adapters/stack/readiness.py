"""Waiting for real readiness: a probe answers, or says what it saw instead."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import httpx

from lab.errors import WaitTimeout

Probe = Callable[[], Awaitable[str | None]]
"""Looks once, quickly. None means ready; anything else is what was seen instead."""

_EVERY_S: Final = 0.04
_HTTP_TIMEOUT_S: Final = 0.8


async def until_ready(awaited: str, probe: Probe, *, deadline_s: float) -> None:
    """Look until ``probe`` finds nothing missing; WaitTimeout says what it last saw."""
    started = time.monotonic()
    tries = 0
    while True:
        tries += 1
        seen = await probe()
        if seen is None:
            return
        waited_s = time.monotonic() - started
        if waited_s >= deadline_s:
            raise WaitTimeout(awaited, waited_s=waited_s, tries=tries, last_seen=seen)
        await asyncio.sleep(_EVERY_S)


def answers(client: httpx.AsyncClient, url: str) -> Probe:
    """A probe that is satisfied by a 200 from ``url``."""

    async def probe() -> str | None:
        try:
            response = await client.get(url, timeout=_HTTP_TIMEOUT_S)
        except httpx.HTTPError as error:
            return f"{type(error).__name__} at {url}"
        if response.status_code == httpx.codes.OK:
            return None
        return f"{response.status_code} {response.text[:80].strip()!r} at {url}"

    return probe


def responds(client: httpx.AsyncClient, url: str) -> Probe:
    """A probe that is satisfied by any answer: somebody is at work behind ``url``."""

    async def probe() -> str | None:
        try:
            await client.get(url, timeout=_HTTP_TIMEOUT_S)
        except httpx.HTTPError as error:
            return f"{type(error).__name__} at {url}"
        return None

    return probe


def holds_proxies(
    client: httpx.AsyncClient,
    url: str,
    names: frozenset[str],
    headers: Callable[[], Mapping[str, str]],
) -> Probe:
    """A probe that is satisfied when Toxiproxy's API lists every proxy in ``names``.

    ``headers`` are what its guard asks for; they are looked up at each look.
    """

    async def probe() -> str | None:
        try:
            response = await client.get(
                f"{url}/proxies", headers=dict(headers()), timeout=_HTTP_TIMEOUT_S
            )
            missing = names - frozenset(response.raise_for_status().json())
        except (httpx.HTTPError, ValueError) as error:
            return f"{type(error).__name__} at {url}"
        return f"no proxy for {', '.join(sorted(missing))}" if missing else None

    return probe


def port_is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as candidate:
        # As servers do: a connection that is still being closed is no obstacle.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind((host, port))
        except OSError:
            return False
    return True
