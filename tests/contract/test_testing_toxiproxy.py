"""A fault before somebody's own database: on a real Toxiproxy, and gone whatever happens."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab.errors import InjectorError, ToolMissing, UsageError
from lab.settings import CHECKOUT
from lab.testing import toxiproxy
from lab.testing.toxiproxy import Proxy, proxied, started
from tests.support.warden_parts import Threads, served, toxiproxy_binary


class Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while data := self.request.recv(100):
            self.request.sendall(data)


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with served(Threads(("127.0.0.1", 0), Echo)) as port:
        yield f"127.0.0.1:{port}"


@pytest.fixture(autouse=True)
def _binary(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LAB_TOXIPROXY_BIN", str(toxiproxy_binary()))


@pytest.fixture
def proxy(upstream: str) -> Iterator[Proxy]:
    with proxied(upstream) as proxy:
        yield proxy


def took_s(proxy: Proxy, timeout_s: float = 3.0) -> float:
    began = time.monotonic()
    with socket.create_connection((proxy.host, proxy.port), timeout=timeout_s) as there:
        there.sendall(b"x")
        if there.recv(1) != b"x":
            raise ConnectionResetError
    return time.monotonic() - began


def test_each_fault_hurts_inside_its_block_and_nowhere_else(proxy: Proxy) -> None:
    """Late answers, none, refused connections, and any other toxic by its name."""
    calm_s = took_s(proxy)
    with proxy.latency(400):
        assert took_s(proxy) >= 0.4
    with proxy.timeout(), pytest.raises(TimeoutError):
        took_s(proxy, timeout_s=0.3)
    with proxy.down(), pytest.raises(ConnectionRefusedError):
        took_s(proxy)
    with proxy.fault("limit_data", stream="upstream", bytes=0), pytest.raises(ConnectionError):
        took_s(proxy)
    assert took_s(proxy) < calm_s + 0.3


def test_a_fault_is_restored_where_the_block_fails(proxy: Proxy) -> None:
    """Whatever is raised in it."""
    with pytest.raises(KeyboardInterrupt), proxy.latency(400):
        raise KeyboardInterrupt
    assert took_s(proxy) < 0.3


@pytest.mark.parametrize(
    ("toxic", "attributes", "told"),
    [
        ("latency", {"latencyy": 3}, "no attribute but"),
        ("latency", {"latency": -1}, "expected latency >= 0"),
        ("latencies", {}, "expected one of bandwidth"),
        ("slicer", {}, "expected average_size >= 1"),
    ],
)
def test_what_toxiproxy_would_take_and_not_do_is_refused(
    proxy: Proxy, toxic: str, attributes: dict[str, Any], told: str
) -> None:
    """Before it is asked: a misspelt attribute would count as 0."""
    with pytest.raises(UsageError, match=told), proxy.fault(toxic, **attributes):
        raise AssertionError("not reached")


def test_two_faults_of_one_kind_are_refused(proxy: Proxy) -> None:
    """And the first one stays, until its own block ends."""
    with proxy.latency(200), pytest.raises(InjectorError, match="409"), proxy.latency(300):
        raise AssertionError("not reached")
    assert took_s(proxy) < 0.15


def test_a_toxiproxy_that_runs_is_used_and_left_as_it_was(upstream: str) -> None:
    """Proxies of others stay; one that a dead process left is removed."""
    with started() as api:
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        mine = f"deadspan-testing-{socket.gethostname()}"
        for name in (f"{mine}-{dead.pid}-0", f"{mine}-{os.getpid()}-x", "theirs"):
            api.call(
                "POST", "/proxies", {"name": name, "listen": "127.0.0.1:0", "upstream": upstream}
            )
        toxiproxy._sweep(api)
        assert set(api.call("GET", "/proxies")) == {f"{mine}-{os.getpid()}-x", "theirs"}


KILLED = """
import sys, time
from lab.testing.toxiproxy import proxied
with proxied(sys.argv[1]) as proxy:
    with proxy.latency(5000):
        print(proxy.port, flush=True)
        time.sleep(60)
"""


def test_what_was_started_ends_with_a_killed_test(upstream: str, tmp_path: Path) -> None:
    """``kill -9`` leaves nobody who could clean up: proxy and secret are gone all the same."""
    command: list[Any] = [sys.executable, "-c", KILLED, upstream]
    there = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=CHECKOUT, env=there) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        assert [each.name for each in tmp_path.glob("*/*")] == ["secret"]
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            is_gone = probe.connect_ex(("127.0.0.1", port)) != 0
        if is_gone and not list(tmp_path.iterdir()):
            return
        time.sleep(0.05)
    raise AssertionError(f"somebody still listens at {port}, or left {list(tmp_path.iterdir())}")


def test_without_any_it_says_what_to_do(
    upstream: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Where it looked, and both ways on."""
    monkeypatch.delenv("LAB_TOXIPROXY_BIN")
    monkeypatch.setenv("LAB_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolMissing, match="give the `url` of one that runs"), proxied(upstream):
        raise AssertionError("not reached")


def test_one_that_is_not_there_is_told() -> None:
    """By the call that failed."""
    with (
        pytest.raises(InjectorError, match=r"GET http://127\.0\.0\.1:1/proxies: expected"),
        proxied("127.0.0.1:5432", url="http://127.0.0.1:1"),
    ):
        raise AssertionError("not reached")
    with pytest.raises(UsageError, match="host:port"), proxied("localhost"):
        raise AssertionError("not reached")
