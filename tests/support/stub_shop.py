"""A shop for tests of the load generator: as slow and as sick as told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lab.load.actors import TENANTS


@dataclass
class StubShop:
    """``delay_s`` before every answer but a login's; ``status`` in place of the right one;
    ``breaks_off`` closes the connection in the middle of the body. Spans sent to
    ``/v1/traces`` are taken and thrown away.
    """

    url: str = ""
    delay_s: float = 0.0
    status: int | None = None
    breaks_off: bool = False
    refuses_login: bool = False
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    def answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if path == "/login":
            if self.refuses_login:
                return 401, {"title": "Unauthorized", "status": 401}
            number = int(body["email"][4:8])
            return 200, {"token": f"t{number}", "tenant_id": TENANTS[number % 10]}
        time.sleep(self.delay_s)
        if self.status is not None:
            return self.status, {"title": "As told", "status": self.status}
        if path.startswith("/products?"):
            return 200, {"items": [{"product_id": 7}, {"product_id": 8}], "page": 1}
        if path == "/checkout":
            if body["card"]["number"].endswith("0069"):
                return 400, {"title": "Card declined", "status": 400}
            return 201, {"order_id": "o"}
        return 200, {"product_id": 7}


def _handler(shop: StubShop) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            self._serve({})

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/v1/traces":
                self._reply(200, b"")
            else:
                self._serve(json.loads(body))

        def _serve(self, body: dict[str, Any]) -> None:
            shop.requests.append((f"{self.command} {self.path}", dict(self.headers)))
            status, answer = shop.answer(self.command, self.path, body)
            self._reply(status, json.dumps(answer).encode())

        def _reply(self, status: int, content: bytes) -> None:
            breaks_off = shop.breaks_off and self.path.startswith(("/products", "/checkout"))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content) + (100 if breaks_off else 0)))
            self.end_headers()
            self.wfile.write(content)
            self.close_connection = breaks_off

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """Say nothing: actors that lose patience, or are killed, reset their connections."""


@contextmanager
def stub_shop() -> Iterator[StubShop]:
    shop = StubShop()
    server = _Server(("127.0.0.1", 0), _handler(shop))
    shop.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield shop
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
