"""Real Toxiproxy, stub callees and a stub shop keeper for tests of the warden."""

from __future__ import annotations

import json
import os
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from lab.adapters.tools import toolbox
from lab.errors import ToolMissing
from lab.settings import Settings
from lab.shop.keeper import secret
from lab.shop.topology import EDGES, HOST

HTTP = httpx.Client(trust_env=False, timeout=20, limits=httpx.Limits(max_keepalive_connections=0))
"""One for all questions: each new client would read the certificate store again."""

EDGE_NAMES = tuple(edge.name for edge in EDGES)


def toxiproxy_binary() -> Path:
    """The Toxiproxy of this machine; the test is skipped, with the reason, where it has none."""
    tool = next(tool for tool in toolbox.TOOLS if tool.name == "toxiproxy")
    try:
        located = toolbox.find(tool, Settings())
    except ToolMissing as error:
        pytest.skip(str(error))
    if located is None:
        pytest.skip("no Toxiproxy: `lab tools` builds one, or set LAB_TOXIPROXY_BIN")
    return located.path


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on just now, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]


class _Callee(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
        pass


class _Database(socketserver.BaseRequestHandler):
    """Answers an SSLRequest as a Postgres without TLS does."""

    def handle(self) -> None:
        if len(self.request.recv(8)) == 8:
            self.request.sendall(b"N")


class Threads(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True


@contextmanager
def served(server: socketserver.TCPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Toxiproxy:
    """A Toxiproxy process before stub callees; ``record`` holds its pid for whoever restarts it."""

    binary: Path
    config: Path
    record: Path
    port: int
    edge_ports: dict[str, int]
    secret_file: Path | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        return int(json.loads(self.record.read_text())["pid"])

    def start(self) -> None:
        command = [
            str(self.binary), "-host", HOST, "-port", str(self.port), "-config", str(self.config),
        ]  # fmt: skip
        if self.secret_file is not None:
            command += ["-secret-file", str(self.secret_file)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.record.write_text(json.dumps({"pid": process.pid, "command": command}))
        wait_until(lambda: bool(self.edges()), "Toxiproxy to list its proxies")

    def kill(self) -> None:
        """End it, whoever started it last, stopped or not."""
        pid = self.pid
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass

    def edges(self) -> dict[str, dict[str, object]]:
        """Asked directly, without the code under test."""
        try:
            found: dict[str, dict[str, object]] = HTTP.get(
                f"{self.url}/proxies", headers=dict(secret.headers(self.secret_file)), timeout=1
            ).json()
        except httpx.HTTPError:
            return {}
        return found

    def reset(self) -> None:
        for name in self.edges().keys() - set(EDGE_NAMES):
            HTTP.delete(f"{self.url}/proxies/{name}", timeout=1)
        HTTP.post(f"{self.url}/reset", timeout=1)

    def is_clean(self) -> bool:
        edges = self.edges()
        return bool(edges) and all(e["enabled"] and not e["toxics"] for e in edges.values())


@contextmanager
def toxiproxy_before_stubs(folder: Path, secret_file: Path | None = None) -> Iterator[Toxiproxy]:
    """Every edge of the topology, each before a callee that answers the warden's probe."""
    binary = toxiproxy_binary()
    callee = ThreadingHTTPServer((HOST, 0), _Callee)
    database = Threads((HOST, 0), _Database)
    with served(callee) as callee_port, served(database) as database_port:
        control, *ports = free_ports(1 + len(EDGES))
        proxies = [
            {
                "name": edge.name,
                "listen": f"{HOST}:{port}",
                "upstream": f"{HOST}:{database_port if edge.is_database else callee_port}",
                "enabled": True,
            }
            for edge, port in zip(EDGES, ports, strict=True)
        ]
        config = folder / "toxiproxy.json"
        config.write_text(json.dumps(proxies))
        toxiproxy = Toxiproxy(
            binary,
            config,
            folder / "process.json",
            control,
            dict(zip(EDGE_NAMES, ports, strict=True)),
            secret_file,
        )
        toxiproxy.start()
        try:
            yield toxiproxy
        finally:
            toxiproxy.kill()


@dataclass
class StubKeeper:
    """The shop parent's control HTTP as `lab.shop.keeper.parent` speaks it, without services."""

    overlays: dict[str, dict[str, str]] = field(default_factory=dict)
    refuses: bool = False
    port: int = 0


@contextmanager
def stub_keeper(services: tuple[str, ...]) -> Iterator[StubKeeper]:
    keeper = StubKeeper({name: {} for name in services})

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(200, {"services": {name: self._one(name) for name in keeper.overlays}})

        def do_PUT(self) -> None:
            wish = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = self.path.rsplit("/", 1)[1]
            if name not in keeper.overlays:
                self._answer(404, {"error": f"no service {name}"})
            elif keeper.refuses and wish["environment"]:
                self._answer(504, {"error": "did not become ready", "log": ["boom"]})
            else:
                keeper.overlays[name] = wish["environment"]
                self._answer(200, self._one(name))

        def _one(self, name: str) -> dict[str, object]:
            return {
                "pid": 1,
                "healthy": True,
                "restarts_unasked": 0,
                "environment": keeper.overlays[name],
                "spans_ended": 0,
            }

        def _answer(self, status: int, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
            pass

    with served(ThreadingHTTPServer((HOST, 0), Handler)) as port:
        keeper.port = port
        yield keeper


def wait_until(
    holds: Callable[[], bool], awaited: str, *, within_s: float = 15.0, every_s: float = 0.02
) -> float:
    """Seconds until ``holds()``; fails, naming what was ``awaited``, when it does not come."""
    start_s = time.monotonic()
    while not holds():
        assert time.monotonic() < start_s + within_s, f"expected {awaited} within {within_s} s"
        time.sleep(every_s)
    return time.monotonic() - start_s
