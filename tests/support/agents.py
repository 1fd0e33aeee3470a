"""A room of agents over cases in memory, and the SDK's own client before it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import anyio
from mcp import Client
from mcp.shared.memory import create_client_server_memory_streams

from lab.adapters.memory.case_archive import MemoryArchive
from lab.adapters.memory.clock import FakeClock
from lab.domain.case import Case
from lab.mcp.rooms import CasesRoom
from lab.mcp.server import Opening, server_of
from lab.mcp.toolbox import Room

Mode = Literal["auto", "legacy"]


class AgentsRoom:
    """Cases in memory, their clock and ledger; no store runs."""

    def __init__(self, place: Path, *cases: Case) -> None:
        self.clock = FakeClock()
        self.archive = MemoryArchive(place, self.clock)
        for case in cases:
            self.archive.seal(case)
        self.room = CasesRoom(self.archive, self.clock, lambda *_: None)


def asked(
    room: Room,
    story: Callable[[Client], Awaitable[Any]],
    *,
    mode: Mode = "auto",
    profile: str = "all",
) -> Any:
    """What ``story`` comes to with a client in this process."""

    async def run() -> Any:
        async with Client(_in_memory(room, profile), mode=mode) as client:
            return await story(client)

    return asyncio.run(run())


@asynccontextmanager
async def _in_memory(room: Room, profile: str) -> AsyncIterator[Any]:
    """The client's ends of two streams, as over pipes."""
    server = server_of(Opening(lambda: room), profile)
    async with (
        create_client_server_memory_streams() as (client_ends, server_ends),
        anyio.create_task_group() as group,
    ):
        group.start_soon(server.run, *server_ends)
        yield client_ends
        group.cancel_scope.cancel()


def called(room: Room, tool: str, **arguments: Any) -> Any:
    """The result of one call."""
    return asked(room, lambda client: client.call_tool(tool, arguments))


def told(room: Room, tool: str, **arguments: Any) -> Any:
    """The structured answer of one call, which must not be refused."""
    found = called(room, tool, **arguments)
    assert not found.is_error, found.content
    return found.structured_content


def refused(room: Room, tool: str, **arguments: Any) -> str:
    """What a call was refused with."""
    found = called(room, tool, **arguments)
    assert found.is_error, found.content
    said: str = found.content[0].text
    return said
