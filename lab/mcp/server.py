"""The tools as a server of the Model Context Protocol: the only module that knows the SDK.

The same server speaks the handshake of older revisions and the envelope of 2026-07-28; the first
message of a client decides which.
"""

from __future__ import annotations

import socket
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, cast

import anyio
import mcp_types as types
from anyio import to_thread
from mcp.server.models import InitializationOptions
from mcp.server.runner import serve_dual_era_loop
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic import BaseModel

from lab import __version__
from lab.domain.wording import visible
from lab.errors import LabError
from lab.frozen import dataclass
from lab.mcp.answers import Answer, size_of, text_of

if TYPE_CHECKING:
    from mcp.server.lowlevel.server import Server

    from lab.mcp.toolbox import Room, Tool

PROFILES: Final = ("all", "jaeger", "tempo")
"""By whose names traces are asked for; the lab's own tools are always there."""

INSTRUCTIONS: Final = (
    "A case of distributed tracing: find the span that did it, and how. Begin with read_briefing; "
    "read_documentation says how this works."
)
_NAME: Final = "deadspan"
_TITLE: Final = "Deadspan"
MOST_HTTP_BYTES: Final = 256 * 1024
"""Of a request over HTTP."""

RESOURCES_A_PAGE: Final = 200
"""Each is a few hundred bytes, and an answer has 64 KiB at most."""

_DOCS_URI: Final = "deadspan://docs/"
_CASE_URI: Final = "case://"
_BRIEFING: Final = "/briefing"


class Opening:
    """A room that is opened when it is needed, since what reads cases takes a while to import."""

    def __init__(self, make: Callable[[], Room]) -> None:
        self._make = make
        self._lock = threading.Lock()
        self._room: Room | None = None

    def __call__(self) -> Room:
        """The room, the same each time."""
        with self._lock:
            if self._room is None:
                self._room = self._make()
            return self._room


@cache
def tools_of(profile: str) -> Mapping[str, Tool]:
    """Name → tool; imported when they are first asked for, with the domain that they speak of."""
    from lab.mcp.casework import LAB
    from lab.mcp.tempo import TEMPO
    from lab.mcp.traces import JAEGER

    of = {"jaeger": JAEGER, "tempo": TEMPO, "all": (*JAEGER, *TEMPO)}
    return {each.name: each for each in (*LAB, *of[profile])}


@dataclass(frozen=True, slots=True)
class Handler:
    """What answers a method of the protocol, as the SDK's runner asks for it."""

    params_type: type[BaseModel]
    handler: Callable[[Any, Any], Awaitable[Any]]


class PipeServer:
    """All that the SDK's runner asks of a server, for a pipe.

    The SDK's own ``Server`` imports a web server and its sign-in before anything else, which is
    an eighth of the time until the first answer; it serves the same handlers over HTTP.
    """

    middleware: Sequence[Any] = ()
    cache_hints: Mapping[str, Any] = {}

    def __init__(self, handlers: Mapping[str, Handler]) -> None:
        nothing = types.RequestParams
        own = {"ping": Handler(nothing, _ping), "server/discover": Handler(nothing, self._discover)}
        self.handlers = {**own, **handlers}

    def get_request_handler(self, method: str) -> Handler | None:
        """What answers the method, if anything does."""
        return self.handlers.get(method)

    def get_notification_handler(self, _method: str) -> None:
        """Nothing that a client only tells us is of interest."""

    @property
    def server_info_stamp(self) -> dict[str, Any]:
        """Who answers, as newer revisions want it in every answer."""
        return {"name": _NAME, "version": __version__, "title": _TITLE}

    def create_initialization_options(self) -> InitializationOptions:
        """What older revisions begin with."""
        return InitializationOptions(
            server_name=_NAME,
            server_version=__version__,
            title=_TITLE,
            capabilities=_capabilities(),
            instructions=INSTRUCTIONS,
        )

    async def _discover(self, _: Any, _params: Any) -> types.DiscoverResult:
        """What newer revisions begin with."""
        return types.DiscoverResult(
            supported_versions=list(MODERN_PROTOCOL_VERSIONS),
            capabilities=_capabilities(),
            instructions=INSTRUCTIONS,
        )

    async def run(self, read: Any, write: Any) -> None:
        """Answer one client, until it closes its end."""
        server = cast("Server[Any]", self)
        await serve_dual_era_loop(server, read, write, lifespan_state={})


async def _ping(_: Any, _params: Any) -> types.EmptyResult:
    return types.EmptyResult()


def _capabilities() -> types.ServerCapabilities:
    return types.ServerCapabilities(
        tools=types.ToolsCapability(list_changed=False),
        resources=types.ResourcesCapability(subscribe=False, list_changed=False),
    )


def server_of(room: Opening, profile: str = "all") -> PipeServer:
    """A server over ``room``; calls are answered one after the other."""
    at_once = anyio.CapacityLimiter(1)

    async def list_tools(_: Any, _params: Any) -> types.ListToolsResult:
        threading.Thread(target=_read_ahead, args=(room,), name="read-ahead", daemon=True).start()
        tools = await to_thread.run_sync(tools_of, profile, limiter=at_once)
        return types.ListToolsResult(tools=[_described(each) for each in tools.values()])

    async def call_tool(_: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        arguments = params.arguments or {}
        return await to_thread.run_sync(
            _called, profile, room, params.name, arguments, limiter=at_once
        )

    async def list_resources(_: Any, params: Any) -> types.ListResourcesResult:
        found = await to_thread.run_sync(_resources, room, limiter=at_once)
        return _page(found, params.cursor if params else None)

    async def list_templates(_: Any, _params: Any) -> types.ListResourceTemplatesResult:
        template = types.ResourceTemplate(
            uri_template=f"{_CASE_URI}{{id}}{_BRIEFING}", name="briefing", mime_type="text/markdown"
        )
        return types.ListResourceTemplatesResult(resource_templates=[template])

    async def read_resource(_: Any, params: Any) -> types.ReadResourceResult:
        text = await to_thread.run_sync(_resource, room, params.uri, limiter=at_once)
        found = types.TextResourceContents(uri=params.uri, text=text, mime_type="text/markdown")
        return types.ReadResourceResult(contents=[found])

    page = types.PaginatedRequestParams
    return PipeServer(
        {
            "tools/list": Handler(page, list_tools),
            "tools/call": Handler(types.CallToolRequestParams, call_tool),
            "resources/list": Handler(page, list_resources),
            "resources/templates/list": Handler(page, list_templates),
            "resources/read": Handler(types.ReadResourceRequestParams, read_resource),
        }
    )


def _read_ahead(room: Opening) -> None:
    room().read_ahead()


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        description=tool.says,
        input_schema=tool.schema(),
        output_schema=tool.output_schema(),
        annotations=types.ToolAnnotations(
            read_only_hint=not tool.writes,
            destructive_hint=False,
            idempotent_hint=not tool.writes,
            open_world_hint=False,
        ),
    )


def _called(
    profile: str, opening: Opening, name: str, arguments: Mapping[str, Any]
) -> types.CallToolResult:
    """What the tool says; of a mistake what to do next, of a bug only that there is one."""
    room, tools = opening(), tools_of(profile)
    if name not in tools:
        return _refusal(room, f"expected one of {', '.join(tools)}, got {name!r:.80}")
    try:
        answer = tools[name].answer(room, arguments)
    except LabError as error:
        return _refusal(room, str(error))
    except Exception:  # noqa: BLE001 — what it says may be of the machine, or of the truth
        traceback.print_exc(file=sys.stderr)
        return _refusal(room, f"{name} failed by a mistake of the lab's own; its log has more")
    room.sent(size_of(answer))
    return _result(answer)


def _result(answer: Answer) -> types.CallToolResult:
    text = types.TextContent(text=text_of(answer))
    return types.CallToolResult(content=[text], structured_content=answer)


def _refusal(room: Room, said: str) -> types.CallToolResult:
    text = visible(said)  # It quotes what was given, which may be no text that can be sent.
    room.sent(len(text.encode()))
    return types.CallToolResult(content=[types.TextContent(text=text)], is_error=True)


def _resources(opening: Opening) -> list[types.Resource]:
    from lab.mcp.casework import DOCS

    return [*map(_briefing, opening().case_ids()), *map(_docs, DOCS)]


def _page(found: list[types.Resource], cursor: str | None) -> types.ListResourcesResult:
    """So many as an answer may hold, from where the last one ended; MCPError for another cursor."""
    starts = {str(number): number for number in range(0, len(found), RESOURCES_A_PAGE)}
    if cursor is not None and cursor not in starts:
        raise MCPError(types.INVALID_PARAMS, f"expected a nextCursor of ours, got {cursor!r:.80}")
    end = starts.get(cursor or "", 0) + RESOURCES_A_PAGE
    return types.ListResourcesResult(
        resources=found[end - RESOURCES_A_PAGE : end],
        next_cursor=str(end) if end < len(found) else None,
    )


def _briefing(case_id: str) -> types.Resource:
    uri = f"{_CASE_URI}{case_id}{_BRIEFING}"
    return types.Resource(uri=uri, name=f"{case_id} briefing", mime_type="text/markdown")


def _docs(topic: str) -> types.Resource:
    return types.Resource(uri=f"{_DOCS_URI}{topic}", name=topic, mime_type="text/markdown")


def _resource(opening: Opening, uri: str) -> str:
    """The text of a resource; MCPError where there is none of that address."""
    from lab.mcp.casework import DOCS

    room = opening()
    if uri.startswith(_DOCS_URI) and (topic := uri.removeprefix(_DOCS_URI)) in DOCS:
        text = DOCS[topic]
    elif uri.startswith(_CASE_URI) and uri.endswith(_BRIEFING):
        try:
            dossier = room.dossier(uri.removeprefix(_CASE_URI).removesuffix(_BRIEFING))
        except LabError as error:
            raise MCPError(types.INVALID_PARAMS, str(error)) from error
        room.note(dossier.case_id, "read_briefing")
        text = f"# {dossier.title}\n\n{dossier.briefing}"
    else:
        raise MCPError(types.INVALID_PARAMS, f"expected a listed resource, got {uri!r:.120}")
    room.sent(len(text.encode()))
    return text


def _input_schema(profile: str, name: str) -> Mapping[str, Any] | None:
    found = tools_of(profile).get(name)
    return None if found is None else found.schema()


async def serve_stdio(room: Opening, profile: str) -> None:
    """Serve whoever started this process, until it closes our standard input.

    Standard output carries the protocol alone: what else is printed goes to standard error.
    """
    async with stdio_server() as (read, write):
        await server_of(room, profile).run(read, write)


async def serve_http(
    room: Opening, profile: str, listener: socket.socket, names: Sequence[str]
) -> None:
    """Serve streamable HTTP under ``/mcp`` at a socket that listens on loopback.

    Only whoever calls this machine by one of ``names`` is let in, and no page of another origin.
    """
    import uvicorn
    from mcp.server.lowlevel.server import Server
    from mcp.server.transport_security import TransportSecuritySettings

    guard = TransportSecuritySettings(
        allowed_hosts=[f"{each}:*" for each in names],
        allowed_origins=[f"http://{each}:*" for each in names],
    )
    server: Server[Any] = Server(
        _NAME,
        version=__version__,
        title=_TITLE,
        instructions=INSTRUCTIONS,
        get_tool_input_schema=lambda name: _input_schema(profile, name),
    )
    for method, each in server_of(room, profile).handlers.items():
        server.add_request_handler(method, each.params_type, each.handler)
    app = server.streamable_http_app(
        json_response=True, transport_security=guard, max_request_body_size=MOST_HTTP_BYTES
    )
    config = uvicorn.Config(app, access_log=False, log_level="warning", timeout_graceful_shutdown=1)
    await uvicorn.Server(config).serve(sockets=[listener])
