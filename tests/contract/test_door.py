"""The door before stores that ask nobody who he is: what it lets in, and what not."""

from __future__ import annotations

import json
import socket
import socketserver
import subprocess
import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc  # type: ignore[import-untyped]
import httpx
import pytest

from lab.adapters.tools import toolbox
from lab.settings import Settings
from lab.shop.topology import HOST
from tests.support.warden_parts import HTTP, free_ports, served, wait_until

ORIGIN = "http://127.0.0.1:18100"


class _Store(BaseHTTPRequestHandler):
    """Tells what it was asked, in a first piece, and a second one when it is told to."""

    protocol_version = "HTTP/1.1"
    second = threading.Event()

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length).decode()
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self._piece(f"{self.command} {self.path} {body}")
        if "slowly" in self.path:
            self.second.wait(10)
            self._piece(" and more")
        self.wfile.write(b"0\r\n\r\n")

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.end_headers()

    do_POST = do_DELETE = do_PUT = do_OPTIONS = do_GET  # noqa: N815 -- http.server's names

    def _piece(self, text: str) -> None:
        self.wfile.write(f"{len(text.encode()):x}\r\n{text}\r\n".encode())
        self.wfile.flush()

    def address_string(self) -> str:
        return "a socket"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
        pass


class _OnASocket(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


@pytest.fixture(scope="module")
def binary() -> Path:
    tool = next(tool for tool in toolbox.TOOLS if tool.name == "door")
    located = toolbox.find(tool, Settings())
    if located is None:
        pytest.skip("no door here; `lab tools --build` builds one")
    return located.path


@contextmanager
def opened(binary: Path, folder: Path, *doors: Mapping[str, object]) -> Iterator[None]:
    """Doors with that configuration, until the context ends."""
    (folder / "doors.json").write_text(json.dumps(doors))
    process = subprocess.Popen([binary, "-config", "doors.json"], cwd=folder)

    def listens() -> bool:
        for door in doors:
            host, _, port = str(door["listen"]).rpartition(":")
            try:
                socket.create_connection((host, int(port)), timeout=1).close()
            except OSError:
                return False
        return True

    try:
        wait_until(listens, "the doors to open")
        yield
    finally:
        process.kill()
        process.wait()


@pytest.fixture(params=["unix", "http"])
def url(request: pytest.FixtureRequest, binary: Path, tmp_path: Path) -> Iterator[str]:
    """Of a door before a store on a socket, or on a port below a path."""
    (port,) = free_ports(1)
    allow = ["GET /api/", "POST /api/push", "GET /ready"]
    door = {"listen": f"{HOST}:{port}", "allow": allow, "origins": [ORIGIN]}
    is_socket = request.param == "unix"
    # Bound by a short name, as the stack does: the path of a socket may have some 100 bytes.
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        store: socketserver.TCPServer = (
            _OnASocket("store.sock", _Store)
            if is_socket
            else ThreadingHTTPServer((HOST, 0), _Store)
        )
    with served(store):
        to = "unix:store.sock" if is_socket else f"http://{HOST}:{store.server_address[1]}/hidden"
        with opened(binary, tmp_path, {**door, "to": to}):
            yield f"http://{HOST}:{port}"


def test_what_is_listed_goes_through_and_comes_back(url: str) -> None:
    """Method, path, question and body."""
    assert HTTP.get(f"{url}/api/search?q=%7B%7D&limit=3").text.endswith(
        "/api/search?q=%7B%7D&limit=3 "
    )
    assert HTTP.post(f"{url}/api/push", content="spans").text.endswith("/api/push spans")
    assert HTTP.head(f"{url}/ready").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        *(("GET", path) for path in ("/shutdown", "/", "/readyz", "/ready/x", "/API/x")),
        *(("POST", path) for path in ("/ready", "/api/search", "/shutdown")),
        *(("DELETE", "/api/x"), ("PUT", "/api/push"), ("OPTIONS", "/api/push")),
    ],
)
def test_what_is_not_listed_does_not_exist(url: str, method: str, path: str) -> None:
    """Nor does the store hear of it."""
    assert HTTP.request(method, f"{url}{path}").status_code in {404, 405}


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "shop.example.com"},
        {"Host": "127.0.0.1.example.com:80"},
        {"Host": "0.0.0.0"},
        {"Origin": "http://shop.example.com"},
        {"Origin": "null"},
        {"Origin": f"{ORIGIN}0"},
        {"Host": "shop.example.com", "Origin": ORIGIN},
    ],
)
def test_no_page_but_its_own_is_let_in(url: str, headers: dict[str, str]) -> None:
    """Neither from another origin nor under a rebound name."""
    for method, path in (("GET", "/api/x"), ("POST", "/api/push")):
        assert HTTP.request(method, f"{url}{path}", headers=headers).status_code == 403


@pytest.mark.parametrize(
    "headers", [{}, {"Host": "localhost:1"}, {"Host": "[::1]:1"}, {"Origin": ORIGIN}]
)
def test_programs_and_its_own_page_are_let_in(url: str, headers: dict[str, str]) -> None:
    """By any name of this machine."""
    assert HTTP.get(f"{url}/api/x", headers=headers).status_code == 200


def test_an_answer_that_grows_is_seen_growing(url: str) -> None:
    """The first piece comes while the store still works on the second."""
    _Store.second.clear()
    with HTTP.stream("GET", f"{url}/api/slowly") as answer:
        pieces = answer.iter_text()
        assert next(pieces).endswith("/api/slowly ")
        _Store.second.set()
        assert "".join(pieces) == " and more"


def test_a_store_that_is_gone_is_told(binary: Path, tmp_path: Path) -> None:
    """By an answer of its own, so that nobody takes the door for the store."""
    (port,) = free_ports(1)
    door = {"listen": f"{HOST}:{port}", "to": "unix:none.sock", "allow": ["GET /ready"]}
    with opened(binary, tmp_path, door):
        answer = HTTP.get(f"http://{HOST}:{port}/ready")
    assert answer.status_code == httpx.codes.BAD_GATEWAY
    assert "nobody answers behind this door" in answer.text


def test_grpc_goes_through_the_same_port(binary: Path, tmp_path: Path) -> None:
    """As Grafana streams what a search finds; what is not listed is refused there too."""

    def answer(asked: bytes, _: grpc.ServicerContext) -> Iterator[bytes]:
        yield asked + b" one"
        yield asked + b" two"

    raw = grpc.unary_stream_rpc_method_handler(answer)
    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("tempopb.StreamingQuerier", {"Search": raw}),)
    )
    behind = server.add_insecure_port(f"{HOST}:0")
    server.start()
    (port,) = free_ports(1)
    door: dict[str, object] = {
        "listen": f"{HOST}:{port}",
        "to": f"http://{HOST}:{behind}",
        "allow": ["POST /tempopb.StreamingQuerier/"],
    }
    try:
        with opened(binary, tmp_path, door), grpc.insecure_channel(f"{HOST}:{port}") as channel:
            search = channel.unary_stream("/tempopb.StreamingQuerier/Search")
            assert list(search(b"{}", timeout=10)) == [b"{} one", b"{} two"]
            with pytest.raises(grpc.RpcError):
                list(channel.unary_stream("/tempopb.Pusher/Push")(b"{}", timeout=10))
    finally:
        server.stop(None)


@pytest.mark.parametrize("content", [None, "", "{}", "[1]"])
def test_a_configuration_that_is_none_is_refused(
    binary: Path, tmp_path: Path, content: str | None
) -> None:
    """At once, and in words."""
    if content is not None:
        (tmp_path / "doors.json").write_text(content)
    done = subprocess.run(
        [binary, "-config", "doors.json"], cwd=tmp_path, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 1
    assert "doors.json" in done.stderr
