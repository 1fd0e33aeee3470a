"""Wires between services that a test can cut, block and mend: plain TCP forwarders."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from lab.shop import topology


class Wire:
    """One forwarder. ``blocked`` swallows what the far end says; ``cut`` refuses to connect."""

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.blocked = False
        self.connections = 0
        self._target = target
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def mend(self) -> None:
        self.blocked = False
        if self._server is None:
            self._server = await asyncio.start_server(self._carry, "127.0.0.1", self.port)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        await asyncio.gather(
            self._pump(reader, far_writer, can_block=False),
            self._pump(far_reader, writer, can_block=True),
        )

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, can_block: bool
    ) -> None:
        try:
            while data := await reader.read(65536):
                if not (can_block and self.blocked):
                    writer.write(data)
                    await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
            self._open.discard(writer)


class Wires:
    """The wire of every edge of the shop, in a thread of their own."""

    def __init__(self, offset: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._wires = {edge.name: _wire(edge, offset) for edge in topology.EDGES}

    def __enter__(self) -> Wires:
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.mend_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut_all()
        self._loop.call_soon_threadsafe(self._loop.stop)

    def port(self, edge: str) -> int:
        return self._wires[edge].port

    def connections(self, edge: str) -> int:
        """How often the edge was connected so far."""
        return self._wires[edge].connections

    def cut(self, edge: str) -> None:
        """Break what is open and refuse what is new."""
        self._do(self._wires[edge].cut())

    def block(self, edge: str) -> None:
        """Take everything and answer nothing."""
        self._wires[edge].blocked = True

    def mend(self, edge: str) -> None:
        self._do(self._wires[edge].mend())

    def cut_all(self) -> None:
        for edge in self._wires:
            self.cut(edge)

    def mend_all(self) -> None:
        for edge in self._wires:
            self.mend(edge)

    def _do(self, step: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(step, self._loop).result(5)


def _wire(edge: topology.Edge, offset: int) -> Wire:
    target = "postgres" if edge.is_database else edge.callee
    return Wire(topology.port(edge.name, offset), topology.port(target, offset))
