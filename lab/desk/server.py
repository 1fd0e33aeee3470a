"""The desk's process."""

from __future__ import annotations

import uvicorn

from lab import bootstrap
from lab.desk.app import create_app
from lab.desk.desk import Desk
from lab.settings import Settings


def serve(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; exits with an error where the port is taken."""
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
    uvicorn.Server(config).run(sockets=[config.bind_socket()])
