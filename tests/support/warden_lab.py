"""A warden process on a real Toxiproxy, and a tarpit that holds a call at the wanted moment."""

from __future__ import annotations

import json
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from lab.settings import CHECKOUT
from lab.shop.topology import HOST, SERVICES
from tests.support.seen import SEEN
from tests.support.warden_parts import (
    HTTP,
    StubKeeper,
    Threads,
    Toxiproxy,
    free_ports,
    served,
    stub_keeper,
    toxiproxy_before_stubs,
    wait_until,
)

WISH = {
    "holder": "a run",
    "faults": [
        {"edge": "auth-users_db", "toxic": "timeout", "attributes": {"timeout": 0}},
        {"edge": "payments-bank", "toxic": None},
    ],
    "conditions": {"checkout.pool_size": 2},
    "ttl_s": 30.0,
}


class Tarpit:
    """Stands before Toxiproxy's control API and holds the requests it is told to.

    ``before`` holds a request that has not reached Toxiproxy yet, ``after`` the
    answer of one that has been carried out. A held request dies with its sender.
    """

    def __init__(self, upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self.before: Callable[[bytes], bool] = lambda _: False
        self.after: Callable[[bytes], bool] = lambda _: False
        self.reached = threading.Event()

    def handle(self, client: socket.socket) -> None:
        request = client.recv(65536)
        if not request:
            return
        if request.startswith(b"POST") and request.endswith(b"\r\n\r\n") and b"json" in request:
            request += client.recv(65536)
        if self.before(request):
            self._hold(client)
            return
        with socket.create_connection((HOST, self._upstream_port)) as upstream:
            upstream.sendall(request.replace(b"keep-alive", b"close"))
            answer = b""
            while chunk := upstream.recv(65536):
                answer += chunk
        if self.after(request):
            self._hold(client)
            return
        client.sendall(answer)

    def _hold(self, client: socket.socket) -> None:
        self.reached.set()
        with suppress(OSError):
            client.recv(1)


@contextmanager
def tarpit_before(port: int) -> Iterator[tuple[Tarpit, int]]:
    tarpit = Tarpit(port)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            tarpit.handle(self.request)

    with served(Threads((HOST, 0), Handler)) as own_port:
        yield tarpit, own_port


@dataclass
class WardenLab:
    """A warden process among real and stub parts."""

    folder: Path
    toxiproxy: Toxiproxy
    keeper: StubKeeper
    tarpit: Tarpit
    tarpit_port: int
    port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def lease_file(self) -> Path:
        return self.folder / "lease.json"

    def start_warden(self) -> float:
        """Seconds from its start to ready."""
        self.spawn_warden()
        return wait_until(self.is_ready, "the warden to be ready", within_s=15)

    def spawn_warden(self) -> None:
        wiring = {
            "folder": str(self.folder),
            "toxiproxy_port": self.tarpit_port,
            "toxiproxy_record": str(self.toxiproxy.record),
            "keeper_url": f"http://{HOST}:{self.keeper.port}",
            "edge_ports": self.toxiproxy.edge_ports,
            "port": self.port,
        }
        command = [sys.executable, "-m", "tests.support.warden_process", json.dumps(wiring)]
        self.processes.append(subprocess.Popen(command, cwd=CHECKOUT))

    def is_ready(self) -> bool:
        """Whether the warden says that it is."""
        with suppress(httpx.HTTPError):
            return self.ask("GET", "/healthz").status_code == 200
        return False

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        url = f"http://{HOST}:{self.port}{path}"
        return HTTP.request(method, url, **options)

    def ask_in_vain(self, method: str, path: str, **options: Any) -> None:
        """Send a request whose answer will never come."""

        def ask() -> None:
            with suppress(httpx.HTTPError):
                self.ask(method, path, **options)

        threading.Thread(target=ask, daemon=True).start()

    def take(self, **changes: Any) -> str:
        answer = self.ask("POST", "/leases", json={**WISH, **changes}).raise_for_status()
        lease: str = answer.json()["lease_id"]
        return lease

    def kill_warden(self) -> None:
        self.processes[-1].kill()
        self.processes[-1].wait()

    def journal(self) -> list[dict[str, Any]]:
        text = (self.folder / "warden.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def is_unharmed(self) -> bool:
        """Whether no toxic, no cut and no setting is left."""
        return not any(self.keeper.overlays.values()) and self.toxiproxy.is_clean()

    def assert_clean(self) -> None:
        assert self.is_unharmed()
        assert not self.lease_file.exists()
        # A warden that finds nothing left to do says no more than that it has started.
        told = [entry for entry in self.journal() if entry["event"] != "warden started"]
        assert told[-1]["event"] == "removed"
        assert told[-1]["proven_clean"]


@contextmanager
def warden_lab(folder: Path) -> Iterator[WardenLab]:
    """All parts around a warden that is ready; none is left afterwards."""
    with ExitStack() as stack:
        toxiproxy = stack.enter_context(toxiproxy_before_stubs(folder))
        keeper = stack.enter_context(stub_keeper(SERVICES))
        tarpit, tarpit_port = stack.enter_context(tarpit_before(toxiproxy.port))
        lab = WardenLab(folder, toxiproxy, keeper, tarpit, tarpit_port, free_ports(1)[0])
        try:
            lab.start_warden()
            yield lab
        finally:
            for process in lab.processes:
                process.kill()
                process.wait()
            SEEN.harvest_diary(folder / "warden.jsonl")


def adds_toxic(request: bytes) -> bool:
    return request.startswith(b"POST /proxies/auth-users_db/toxics")


def removes_toxic(request: bytes) -> bool:
    return request.startswith(b"DELETE /proxies/auth-users_db/toxics")
