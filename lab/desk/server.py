"""The desk's process, or its thread beside a command's own work."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn

from lab import bootstrap
from lab.desk.app import create_app
from lab.desk.desk import Desk
from lab.settings import Settings

_END_WITHIN_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.02


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; exits with an error where the port is taken."""
    server, listener = _server(settings)
    server.run(sockets=[listener])


@contextmanager
def serving(settings: Settings) -> Iterator[None]:
    """Serve as long as the context lasts, from its first moment on.

    Ends with this process, however that ends.
    """
    server, listener = _server(settings)
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listener]}, name="desk", daemon=True
    )
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(_LOOK_EVERY_S)
        yield
    finally:
        server.should_exit = True
        thread.join(_END_WITHIN_S)


def _server(settings: Settings) -> tuple[uvicorn.Server, socket.socket]:
    desk = Desk(bootstrap.archive(settings), bootstrap.clock(), settings)
    config = uvicorn.Config(
        create_app(desk),
        host=settings.listen_host,
        port=settings.port("desk"),
        access_log=False,
        log_level="warning",
        # A browser that reads a stream of events would hold the process for ever.
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config), config.bind_socket()
