"""The warden is killed, on real parts, in every phase of a lease; no fault outlives it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import socketserver
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.settings import CHECKOUT
from lab.shop.topology import HOST, SERVICES
from tests.busy_machine import quickest
from tests.warden_parts import (
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
class Lab:
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
        return wait_until(self._is_ready, "the warden to be ready", within_s=15)

    def spawn_warden(self) -> None:
        wiring = {
            "folder": str(self.folder),
            "toxiproxy_port": self.tarpit_port,
            "toxiproxy_record": str(self.toxiproxy.record),
            "keeper_url": f"http://{HOST}:{self.keeper.port}",
            "edge_ports": self.toxiproxy.edge_ports,
            "port": self.port,
        }
        command = [sys.executable, "-m", "tests.warden_process", json.dumps(wiring)]
        self.processes.append(subprocess.Popen(command, cwd=CHECKOUT))

    def _is_ready(self) -> bool:
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

    def take(self) -> str:
        lease: str = self.ask("POST", "/leases", json=WISH).raise_for_status().json()["lease_id"]
        return lease

    def kill_warden(self) -> None:
        self.processes[-1].kill()
        self.processes[-1].wait()

    def journal(self) -> list[dict[str, Any]]:
        text = (self.folder / "warden.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def assert_clean(self) -> None:
        assert self.toxiproxy.is_clean()
        assert not any(self.keeper.overlays.values())
        assert not self.lease_file.exists()
        assert self.journal()[-1]["event"] == "removed"
        assert self.journal()[-1]["proven_clean"]


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    with ExitStack() as stack:
        toxiproxy = stack.enter_context(toxiproxy_before_stubs(tmp_path))
        keeper = stack.enter_context(stub_keeper(SERVICES))
        tarpit, tarpit_port = stack.enter_context(tarpit_before(toxiproxy.port))
        lab = Lab(tmp_path, toxiproxy, keeper, tarpit, tarpit_port, free_ports(1)[0])
        lab.start_warden()
        yield lab
        for process in lab.processes:
            process.kill()
            process.wait()


def adds_toxic(request: bytes) -> bool:
    return request.startswith(b"POST /proxies/auth-users_db/toxics")


def removes_toxic(request: bytes) -> bool:
    return request.startswith(b"DELETE /proxies/auth-users_db/toxics")


def test_a_warden_killed_while_a_lease_is_held(lab: Lab) -> None:
    """Its successor removes toxic, cut and setting before it is ready."""
    lab.take()
    assert not lab.toxiproxy.is_clean()
    assert lab.keeper.overlays["checkout"] == {"SHOP_POOL_SIZE": "2"}
    assert stat.S_IMODE(lab.lease_file.stat().st_mode) == 0o600
    lab.kill_warden()
    assert not lab.toxiproxy.is_clean(), "nobody is left to remove it"
    lab.start_warden()
    lab.assert_clean()


def test_a_warden_killed_between_the_write_ahead_and_the_call(lab: Lab) -> None:
    """The file names a toxic that never came to be; the settings that did go again."""
    lab.tarpit.before = adds_toxic
    lab.ask_in_vain("POST", "/leases", json=WISH)
    assert lab.tarpit.reached.wait(15)
    assert json.loads(lab.lease_file.read_text())["state"] == "applying"
    lab.kill_warden()
    assert lab.keeper.overlays["checkout"]
    lab.start_warden()
    lab.assert_clean()


def test_a_warden_killed_between_the_call_and_the_read_back(lab: Lab) -> None:
    """The toxic is there although nobody saw it succeed."""
    lab.tarpit.after = adds_toxic
    lab.ask_in_vain("POST", "/leases", json=WISH)
    assert lab.tarpit.reached.wait(15)
    lab.kill_warden()
    assert not lab.toxiproxy.is_clean()
    lab.start_warden()
    lab.assert_clean()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_warden_killed_while_removing(lab: Lab, moment: str) -> None:
    """Before or after the toxic went: its successor finishes the removal."""
    lease = lab.take()
    setattr(lab.tarpit, moment, removes_toxic)
    lab.ask_in_vain("DELETE", f"/leases/{lease}")
    assert lab.tarpit.reached.wait(15)
    assert json.loads(lab.lease_file.read_text())["state"] == "removing"
    lab.kill_warden()
    setattr(lab.tarpit, moment, lambda _: False)
    lab.start_warden()
    lab.assert_clean()


def test_a_client_that_dies(lab: Lab) -> None:
    """No heartbeat comes, and everything is gone a second after the time to live."""

    async def run_out() -> float:
        asked_s = time.monotonic()
        lab.ask("POST", "/leases", json={**WISH, "ttl_s": 1.0}).raise_for_status()
        held_s = time.monotonic()
        wait_until(lambda: not lab.lease_file.exists(), "the lease to run out")
        gone_s = time.monotonic()
        assert gone_s - asked_s >= 1.0
        wait_until(lambda: lab.journal()[-1]["event"] == "removed", "the removal's record")
        lab.assert_clean()
        return gone_s - held_s

    assert asyncio.run(quickest(run_out, below_s=2.0)) < 2.0


def test_a_warden_told_to_stop(lab: Lab) -> None:
    """SIGTERM ends the lease on the way out."""
    lab.take()
    lab.processes[-1].terminate()
    lab.processes[-1].wait(15)
    lab.assert_clean()


def test_a_second_warden(lab: Lab) -> None:
    """It finds the port taken and leaves the first one's lease alone."""
    lab.take()
    lab.spawn_warden()
    assert lab.processes[-1].wait(15) != 0
    assert lab.ask("GET", "/leases/current").json()["state"] == "held"
    assert not lab.toxiproxy.is_clean()


def test_a_control_api_that_hangs(lab: Lab) -> None:
    """A stopped Toxiproxy answers neither removal nor reset, so it is restarted."""
    lease = lab.take()
    os.kill(lab.toxiproxy.pid, signal.SIGSTOP)
    removal = lab.ask("DELETE", f"/leases/{lease}").raise_for_status().json()
    assert (removal["method"], removal["proven_clean"]) == ("restart", True)
    lab.assert_clean()
    assert lab.journal()[-1]["method"] == "restart"


def test_a_removal_that_hangs_alone(lab: Lab) -> None:
    """Where only the removal of a toxic hangs, `/reset` is enough."""
    lease = lab.take()
    lab.tarpit.before = removes_toxic
    removal = lab.ask("DELETE", f"/leases/{lease}").raise_for_status().json()
    assert (removal["method"], removal["proven_clean"]) == ("reset", True)
    lab.assert_clean()


def test_a_toxiproxy_that_dies_under_a_lease(lab: Lab) -> None:
    """The warden waits for it to come back, and takes nothing from the new one."""
    lab.kill_warden()
    lab.tarpit_port = lab.toxiproxy.port  # a tarpit would accept in a dead Toxiproxy's place
    lab.start_warden()
    lease = lab.take()
    lab.toxiproxy.kill()
    threading.Timer(1.0, lab.toxiproxy.start).start()
    removal = lab.ask("DELETE", f"/leases/{lease}").raise_for_status().json()
    assert removal["proven_clean"]
    lab.assert_clean()


def test_a_setting_that_a_service_cannot_start_with(lab: Lab) -> None:
    """The refusal carries the service's last words, and nothing is left."""
    lab.keeper.refuses = True
    answer = lab.ask("POST", "/leases", json=WISH)
    assert answer.status_code == 422
    assert "boom" in answer.json()["message"]
    lab.assert_clean()
