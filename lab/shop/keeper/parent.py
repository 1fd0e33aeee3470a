"""The shop's parent: imports once, forks the services, answers on the control port.

Control speaks JSON on 127.0.0.1: ``GET /services`` tells of every service,
``PUT /services/{name}`` with ``{"environment": {…}}`` replaces a service's
overlay and restarts that service if it changed, or if ``"restart": true`` is
said; ``PUT /services`` replaces what lies over the environments of all. One
thread does everything: a process that forks must not have others.
"""

from __future__ import annotations

import http.client
import importlib
import json
import logging
import os
import selectors
import signal
import time
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import FrameType, MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.util._importlib_metadata import entry_points

from lab.shop import propagators, topology
from lab.shop.keeper import own_pages, secret
from lab.shop.keeper.children import Child, Children
from lab.shop.keeper.environment import (
    ANYWHERE,
    LEVELS,
    condition_environment,
    known_settings,
    service_environment,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lab.shop.keeper.environment import OtlpProtocol

logger = logging.getLogger(__name__)

READY_S: Final = 10.0
"""How long a restarted service may take to be healthy."""

MAX_BODY_BYTES: Final = 64 * 1024

_PROBE_S: Final = 0.3
_TEND_S: Final = 0.2
_HOPELESS: Final = 3
_LOG_LINES: Final = 20
_EXPORTER: Final = MappingProxyType(
    {
        "http/protobuf": "opentelemetry.exporter.otlp.proto.http",
        "grpc": "opentelemetry.exporter.otlp.proto.grpc",
    }
)
_SIGNALS: Final = ("trace_exporter", "metric_exporter", "_log_exporter")


def run(
    *,
    offset: int,
    log_dir: Path | None,
    only: str | None = None,
    secret_file: Path | None = None,
) -> None:
    """Run the shop until SIGTERM. The database's user and password are PGUSER and PGPASSWORD.

    ``only`` one service, in a container of its own, where callees have host names;
    its log then goes to standard error. Where there is a ``secret_file``, every request has to
    tell what is in it.
    """
    protocol: OtlpProtocol = (
        "grpc" if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") == "grpc" else "http/protobuf"
    )
    if log_dir is not None:
        log_dir.mkdir(parents=True, exist_ok=True)

    def environment_of(service: str) -> dict[str, str]:
        known = service_environment(
            service,
            offset=offset,
            otlp_protocol=protocol,
            carried_by=os.environ.get("OTEL_PROPAGATORS") or propagators.USUAL,
            postgres_user=os.environ.get("PGUSER", "shop"),
            postgres_password=os.environ.get("PGPASSWORD", ""),
            by_name=only is not None,
        )
        # Of a container, what a deployment sets goes before what the topology says.
        return known if only is None else {**known, **os.environ}

    children = Children(environment_of, log_dir, topology.SERVICES if only is None else (only,))
    told = secret.read(secret_file)
    control = Control(children, offset, only and topology.own_host(only), told)
    import_ahead(protocol)
    children.start_all()
    control.serve()
    children.stop_all()


def import_ahead(protocol: OtlpProtocol) -> None:
    """Import what every child would, and look its entry points up."""
    for module in (
        "asyncpg",
        "fastapi.telemetry._asgi",
        "httpcore",
        "httptools",
        "httpx",
        "opentelemetry.distro",
        "opentelemetry.instrumentation.asyncpg",
        "opentelemetry.instrumentation.httpx",
        "opentelemetry.instrumentation.logging",
        "opentelemetry.sdk._configuration",
        "pydantic.v1",
        "requests",
        "uvicorn.lifespan.on",
        "uvicorn.protocols.http.httptools_impl",
        "uvloop",
        *(f"{_EXPORTER[protocol]}.{part}" for part in _SIGNALS),
    ):
        importlib.import_module(module)
    entry_points(group="opentelemetry_instrumentor")


class Control:
    """The control port, and the loop that keeps the children alive.

    ``own_name`` is its host in a network of containers; without one it is on loopback alone.
    """

    def __init__(
        self,
        children: Children,
        offset: int,
        own_name: str | None = None,
        told: str | None = None,
    ) -> None:
        self._children = children
        self._offset = offset
        self._stopping = False
        self.told = told
        self.names = (*own_pages.NAMES, own_name) if own_name else own_pages.NAMES
        host = ANYWHERE if own_name else topology.HOST
        self._server = _Server((host, topology.port("shop_control", offset)), self)

    def serve(self) -> None:
        """Answer and tend until SIGTERM or SIGINT."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        with self._server, selectors.DefaultSelector() as selector:
            selector.register(self._server, selectors.EVENT_READ)
            while not self._stopping:
                if selector.select(_TEND_S):
                    self._server.handle_request()
                self._children.tend()

    def services(self) -> dict[str, Any]:
        """The answer to ``GET /services``."""
        children = self._children.by_name
        return {"services": {name: self.describe(each) for name, each in children.items()}}

    def describe(self, child: Child) -> dict[str, Any]:
        """What is known of one service."""
        return {
            "pid": child.pid,
            "healthy": self._is_healthy(child.name),
            "restarts_unasked": child.restarts_unasked,
            "environment": child.overlay,
            "spans_ended": child.counter.count,
        }

    def child(self, name: str) -> Child | None:
        """A service by its name."""
        return self._children.by_name.get(name)

    def replace_overlay(self, child: Child, overlay: dict[str, str], *, restart: bool) -> bool:
        """Give a service another overlay; return whether it is healthy with it."""
        if not restart and overlay == child.overlay:
            return self._is_healthy(child.name)
        self._children.restart(child, overlay)
        return self._gets_healthy(child)

    def replace_level(self, level: dict[str, str]) -> Child | None:
        """Lay ``level`` over all environments; the first service that is not healthy with it."""
        children = self._children.by_name.values()
        if not self._children.set_level(level):
            return None
        return next((child for child in children if not self._gets_healthy(child)), None)

    def _gets_healthy(self, child: Child) -> bool:
        deadline_s = time.monotonic() + READY_S
        while time.monotonic() < deadline_s and not self._stopping:
            if self._is_healthy(child.name):
                return True
            self._children.tend()
            if child.crashes_in_a_row >= _HOPELESS:
                break
            time.sleep(0.02)
        return False

    def last_words(self, child: Child) -> list[str]:
        """The end of a service's log."""
        log_file = self._children.log_file(child.name)
        if log_file is None or not log_file.exists():
            return []
        text = log_file.read_text(encoding="utf-8", errors="replace")
        return text.splitlines()[-_LOG_LINES:]

    def _is_healthy(self, name: str) -> bool:
        port = topology.port(name, self._offset)
        connection = http.client.HTTPConnection(topology.HOST, port, timeout=_PROBE_S)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _stop(self, _: int, __: FrameType | None) -> None:
        self._stopping = True


class _Server(HTTPServer):
    """Knows whom its handlers speak for."""

    timeout = 0

    def __init__(self, address: tuple[str, int], control: Control) -> None:
        super().__init__(address, _Handler)
        self.control = control


class _Handler(BaseHTTPRequestHandler):
    """One exchange on the control port."""

    server: _Server
    timeout = 2

    def do_GET(self) -> None:
        """``GET /services``."""
        if not self._is_meant_for_us():
            return
        if self.path != "/services":
            self._answer(HTTPStatus.NOT_FOUND, {"error": "expected GET /services"})
            return
        self._answer(HTTPStatus.OK, self.server.control.services())

    def do_PUT(self) -> None:
        """``PUT /services/{name}``, or ``PUT /services`` for what all have in common."""
        if not self._is_meant_for_us():
            return
        control = self.server.control
        everybody = self.path == "/services"
        child = control.child(self.path.removeprefix("/services/"))
        if child is None and not everybody:
            known = ", ".join(topology.SERVICES)
            self._answer(HTTPStatus.NOT_FOUND, {"error": f"expected /services/ and one of {known}"})
            return
        try:
            length = int(self.headers["Content-Length"] or 0)
            if not 0 <= length <= MAX_BODY_BYTES:
                self._answer(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    {"error": f"expected at most {MAX_BODY_BYTES} bytes"},
                )
                return
            overlay, restart = _wish(self.rfile.read(length))
            _expect_known(child.name if child else None, overlay)
        except ValueError as error:
            self._answer(HTTPStatus.BAD_REQUEST, {"error": str(error)})
            return
        if child is None:
            self._answer_level(overlay)
        elif control.replace_overlay(child, overlay, restart=restart):
            self._answer(HTTPStatus.OK, control.describe(child))
        else:
            self._answer_sick(child)

    def _answer_level(self, level: dict[str, str]) -> None:
        sick = self.server.control.replace_level(level)
        if sick is None:
            self._answer(HTTPStatus.OK, {"environment": level})
        else:
            self._answer_sick(sick)

    def _answer_sick(self, child: Child) -> None:
        self._answer(
            HTTPStatus.GATEWAY_TIMEOUT,
            {
                "error": f"expected {child.name} to be healthy within {READY_S:.0f} s",
                "log": self.server.control.last_words(child),
            },
        )

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- http.server's name
        """Keep the access log out of the shop's output."""

    def _is_meant_for_us(self) -> bool:
        """Refuse a foreign Host or Origin, as a page in a browser has, and who tells no secret."""
        control = self.server.control
        if not own_pages.is_foreign(
            self.headers["Host"] or "", self.headers["Origin"], control.names
        ):
            if secret.is_told(self.headers[secret.HEADER], control.told):
                return True
            self._answer(HTTPStatus.UNAUTHORIZED, {"error": "expected the lab's own secret"})
            return False
        self._answer(
            HTTPStatus.FORBIDDEN, {"error": f"expected Host {topology.HOST} and no other Origin"}
        )
        return False

    def _answer(self, status: HTTPStatus, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _expect_known(service: str | None, overlay: Mapping[str, str]) -> None:
    """`ValueError` names what no deployment of ``service``, or of all of them, may set.

    An environment can do anything: let a service listen elsewhere, write its secrets into a
    file, load another's code. What the warden changes is a closed list, and so is a level.
    """
    if service is None:
        known = {name for level in LEVELS.values() for name in level}
    else:
        known = {condition_environment(each, "")[0] for each in known_settings(service)}
    if unknown := sorted(overlay.keys() - known):
        raise ValueError(
            f"expected only {', '.join(sorted(known))}, found {', '.join(unknown)[:500]}"
        )


def _wish(body: bytes) -> tuple[dict[str, str], bool]:
    """``{"environment": {…}, "restart": false}``; `ValueError` says what is wrong with it."""
    document = json.loads(body)
    environment = document.get("environment") if isinstance(document, dict) else None
    if not isinstance(environment, dict) or not all(
        isinstance(value, str) for value in environment.values()
    ):
        raise ValueError(f'expected {{"environment": {{"NAME": "value"}}}}, got {document!r}')
    return environment, document.get("restart") is True
