"""Commands that lead to the desk: desk, open. They need case folders only, no stack."""

from __future__ import annotations

import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from lab import bootstrap, umask
from lab.commands.common import console, notes
from lab.commands.exchange import SUFFIX
from lab.errors import StackNotReady
from lab.settings import Settings

BrowserOption = Annotated[
    bool, typer.Option("--browser/--no-browser", help="Open it in a browser as well.")
]


def desk(browser: BrowserOption = False) -> None:
    """Serve the desk at its port until Ctrl-C, or say where the stack's own serves it."""
    show(Settings(), "/", browser)


def open_case(
    case_id: Annotated[
        str | None,
        typer.Argument(
            metavar="[CASE|FILE]", help="The newest where not given; or a case file, or any traces."
        ),
    ] = None,
    browser: BrowserOption = True,
) -> None:
    """Open a case at the desk; serves the desk where none is running.

    A case file is imported first, unless it is here already; so are traces in a file, such as
    `pytest --spans=on-failure` keeps.
    """
    from lab.adapters.cases.bring import Wish, bring_file, bring_files, is_case_file

    settings = Settings()
    archive = bootstrap.archive(settings)
    if case_id is not None and (case_id.endswith(SUFFIX) or is_case_file(Path(case_id))):
        case_id = bring_file(archive, Path(case_id)).case_id
    elif case_id is not None and Path(case_id).is_file():
        case_id = bring_files(archive, [Path(case_id)], Wish(), lambda *_: None).case_id
    else:
        case_id = archive.open(case_id).case_id
    show(settings, f"/cases/{case_id}", browser)


def show(settings: Settings, path: str, browser: bool) -> None:
    """Say where the desk has ``path``, and serve it until Ctrl-C where nobody does."""
    address = settings.url("desk") + path
    if is_served(settings):
        console.print(address, soft_wrap=True)
        if browser:
            _browse(address)
        return
    from lab.desk.server import serve

    notes.print(f"the desk is at {address}; Ctrl-C ends it", soft_wrap=True)
    if browser:
        # The server takes this thread over and is ready in a moment.
        threading.Timer(0.5, _browse, (address,)).start()
    serve(settings)


def _browse(address: str) -> None:
    with umask.asked_for():  # A browser that starts by this is the user's, and so is what it saves.
        webbrowser.open(address)


def is_served(settings: Settings) -> bool:
    """Whether a desk answers at the port; StackNotReady where something else holds it."""
    import httpx

    from lab.adapters.stack.processes import describe, pid_listening_on
    from lab.adapters.stack.readiness import port_is_free
    from lab.shop.topology import HOST

    port = settings.port("desk")
    if port_is_free(HOST, port):
        return False
    try:
        answer = httpx.get(f"{settings.url('desk')}/healthz", timeout=1.0, trust_env=False)
        if answer.json() == {"status": "ok"}:
            return True
    except (httpx.HTTPError, ValueError):
        pass
    raise StackNotReady(
        f"expected port {port} to be free for the desk, found it held by "
        f"{describe(pid_listening_on(port))}; end that process, or set LAB_PORT_OFFSET"
    )
