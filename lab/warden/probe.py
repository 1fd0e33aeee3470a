"""Does an edge let traffic through? Asked over the wire, not of Toxiproxy."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Mapping
from typing import Final, Protocol

from lab.shop.topology import HOST, edge_named

DEADLINE_S: Final = 1.0

_SSL_REQUEST: Final = struct.pack("!ii", 8, 80877103)
"""Length and code of Postgres' SSLRequest, the one question it answers before any login.

https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-SSL
"""

_HEALTH_REQUEST: Final = (
    b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\nConnection: close\r\n\r\n"
)
"""Without ``traceparent``, and to the one route that the shop does not trace."""


class Probe(Protocol):
    """Sends something harmless through an edge."""

    async def __call__(self, edge: str) -> str | None:
        """None where the callee answered in time, else what came instead."""
        ...


class EdgeProbe:
    """The real probe: through the edge's proxy to the callee and back within a second."""

    def __init__(self, ports: Mapping[str, int], host: str = HOST) -> None:
        self._ports = ports
        self._host = host

    async def __call__(self, edge: str) -> str | None:
        """Ask Postgres whether it speaks TLS, or a service for its health."""
        try:
            async with asyncio.timeout(DEADLINE_S):
                return await self._exchange(edge)
        except TimeoutError:
            return f"{edge}: no answer within {DEADLINE_S:.0f} s"
        except OSError as error:
            return f"{edge}: {error}"

    async def _exchange(self, edge: str) -> str | None:
        reader, writer = await asyncio.open_connection(self._host, self._ports[edge])
        try:
            if edge_named(edge).is_database:
                writer.write(_SSL_REQUEST)
                answer = await reader.read(1)
                as_expected = answer in (b"N", b"S")
            else:
                writer.write(_HEALTH_REQUEST)
                answer = await reader.readline()
                as_expected = answer.startswith((b"HTTP/1.1 200", b"HTTP/1.0 200"))
            return None if as_expected else f"{edge}: the callee answered {answer!r}"
        finally:
            writer.close()
