"""One service in this process, from its environment to its end."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

import uvicorn

from lab.shop import telemetry
from lab.shop.settings import SETTINGS

if TYPE_CHECKING:
    from lab.shop.telemetry import SpanCounter

GRACE_S: Final = 2
"""How long requests in flight may take after SIGTERM."""


def serve(name: str, counter: SpanCounter) -> None:
    """Run a service until a signal ends it; its environment says where and how.

    Its module is imported after telemetry has patched what it will import.
    """
    telemetry.start(counter)
    telemetry.log_as_json()
    settings = SETTINGS[name]()
    module = importlib.import_module(f"lab.shop.services.{name}")
    config = uvicorn.Config(
        module.create(settings, counter),
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http="httptools",
        lifespan="on",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_keep_alive=round(settings.keep_alive.total_seconds()),
        timeout_graceful_shutdown=GRACE_S,
    )
    uvicorn.Server(config).run()
