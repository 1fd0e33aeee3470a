"""The desk's process, or its thread beside a command's own work."""

from __future__ import annotations

import contextlib
import ctypes
import socket
import threading
import time
from collections.abc import Iterator
from typing import Final

import uvicorn

from lab import bootstrap
from lab.desk.app import create_app
from lab.desk.desk import Desk
from lab.settings import Settings

_END_WITHIN_S: Final = 5.0
_LOOK_EVERY_S: Final = 0.02

_M_TRIM_THRESHOLD: Final = -1
_M_ARENA_MAX: Final = -8
"""What `mallopt` calls them in glibc's ``malloc.h``."""

_KEPT_BYTES: Final = 128 * 1024
"""Free memory at a heap's end that is not given back: glibc's own number, until it raises it."""


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; exits with an error where the port is taken."""
    hold_on_to_little()
    server, listener = _server(settings)
    server.run(sockets=[listener])


def hold_on_to_little() -> None:
    """Have glibc give back what is free; nothing is done where another library allocates.

    By itself it makes a heap for each thread and keeps the largest page that ever was made
    in it, which in a desk whose pages are made by a dozen threads is a dozen pages.
    """
    with contextlib.suppress(AttributeError, OSError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


@contextlib.contextmanager
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
