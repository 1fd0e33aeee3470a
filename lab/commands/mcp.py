"""The command that serves cases to agents: mcp. It needs case folders only, no stack."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from lab import bootstrap
from lab.commands.common import notes, run_async
from lab.errors import StackNotReady, ToolMissing, UsageError
from lab.settings import Settings

if TYPE_CHECKING:
    from lab.mcp.toolbox import Room


def mcp(
    case_id: Annotated[
        str | None,
        typer.Argument(metavar="[CASE]", help="Only this case; all of this checkout else."),
    ] = None,
    profile: Annotated[
        Literal["all", "jaeger", "tempo"],
        typer.Option(help="By whose names traces are asked for."),
    ] = "all",
    http: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Streamable HTTP on 127.0.0.1; 0 for a free port.",
        ),
    ] = None,
    task: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A task file of `lab bench export` instead.")
    ] = None,
    accusation: Annotated[
        Path, typer.Option(metavar="FILE", help="Of a task: where the accusation is written to.")
    ] = Path("accusation.json"),
) -> None:
    """Serve cases to an agent by the Model Context Protocol, over standard input and output.

    An agent's client starts this by itself: give it the command. Every call stands in the
    case's ledger, and `lab debrief` shows the way that the agent took.
    """
    if find_spec("mcp_types") is None:
        raise ToolMissing(
            "expected the package mcp, found that it is not installed; `make doctor` installs what "
            "lock/dev.txt holds, or: pip install --require-hashes -r lock/agents.txt"
        )
    from lab.mcp import lighten_the_sdk

    lighten_the_sdk()
    from lab.mcp import server

    if case_id is not None and task is not None:
        raise UsageError("expected a case or --task, got both")
    room = server.Opening(_cases(Settings(), case_id) if task is None else _exam(task, accusation))
    if http is None:
        run_async(lambda: server.serve_stdio(room, profile))
        return
    from lab.shop.keeper.own_pages import NAMES

    listener = _listener(http)
    notes.print(f"served at http://127.0.0.1:{listener.getsockname()[1]}/mcp; Ctrl-C ends it")
    run_async(lambda: server.serve_http(room, profile, listener, NAMES))


def _cases(settings: Settings, case_id: str | None) -> Callable[[], Room]:
    if case_id is not None:
        # Whoever starts this is told at once that there is none.
        bootstrap.archive(settings).level(case_id)

    def make() -> Room:
        from lab.mcp.rooms import CasesRoom

        live = partial(bootstrap.search_live, settings)
        return CasesRoom(bootstrap.archive(settings), bootstrap.clock(), live, case_id)

    return make


def _exam(task: Path, accusation: Path) -> Callable[[], Room]:
    from lab.mcp.exam import ExamRoom
    from lab.mcp.task_file import read

    return partial(ExamRoom, read(task), accusation)


def _listener(port: int) -> socket.socket:
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as error:
        raise StackNotReady(
            f"expected port {port} to be free, found: {error.strerror}; say another --http PORT"
        ) from error
