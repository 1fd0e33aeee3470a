"""What every injector does; the real one over a real Toxiproxy, where there is one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from lab.adapters import toxiproxy as adapter
from lab.adapters.memory.injector import MemoryInjector
from lab.adapters.toxiproxy import ProxyAddress, ToxiproxyInjector
from lab.domain.fault import Fault, Stream, Toxic
from lab.errors import InjectorError, StackNotReady
from lab.ports.injector import Injector
from lab.shop.keeper import secret
from lab.shop.topology import HOST
from tests.support.warden_parts import (
    EDGE_NAMES,
    HTTP,
    Toxiproxy,
    free_ports,
    served,
    toxiproxy_before_stubs,
    toxiproxy_binary,
)

EDGE = "auth-users_db"
TIMEOUT = Fault(EDGE, Toxic.TIMEOUT, {"timeout": 0})
LATENCY = Fault(EDGE, Toxic.LATENCY, {"latency": 40}, Stream.UPSTREAM, 0.5)
DOWN = Fault(EDGE, None)


@pytest.fixture(params=["memory", "toxiproxy"])
def injector(request: pytest.FixtureRequest) -> Injector:
    if request.param == "memory":
        return MemoryInjector(EDGE_NAMES)
    toxiproxy: Toxiproxy = request.getfixturevalue("toxiproxy")
    return ToxiproxyInjector(HOST, toxiproxy.port)


@pytest.fixture(params=["memory", "toxiproxy"])
def visited(request: pytest.FixtureRequest) -> Injector:
    """One that has a proxy which is no edge of the shop."""
    if request.param == "memory":
        memory = MemoryInjector(EDGE_NAMES)
        memory.admit_stranger("spy")
        return memory
    toxiproxy: Toxiproxy = request.getfixturevalue("toxiproxy")
    made = {"name": "spy", "listen": f"{HOST}:0", "upstream": f"{HOST}:9", "enabled": True}
    assert HTTP.post(f"{toxiproxy.url}/proxies", json=made).status_code == 201
    return ToxiproxyInjector(HOST, toxiproxy.port)


def refused(call: Callable[[], Awaitable[object]]) -> str:
    """The reason an injector gives for not doing ``call``."""

    async def ask() -> str:
        with pytest.raises(InjectorError) as caught:
            await call()
        return str(caught.value)

    return asyncio.run(ask())


def test_every_edge_is_there_and_clean_at_first(injector: Injector) -> None:
    """Edges are the topology's, enabled, without toxics."""
    edges = asyncio.run(injector.edges())
    assert set(edges) == set(EDGE_NAMES)
    assert all(edge.is_clean for edge in edges.values())


@pytest.mark.parametrize("fault", [TIMEOUT, LATENCY, DOWN], ids=["timeout", "latency", "down"])
def test_what_is_applied_is_read_back_and_goes_again(injector: Injector, fault: Fault) -> None:
    """A fault shows on its edge alone, equal to what was asked, until it is removed."""

    async def story() -> None:
        await injector.apply(fault)
        edges = await injector.edges()
        assert edges[EDGE].shows(fault)
        assert edges[EDGE].toxics == (() if fault.is_down else (fault,))
        assert [name for name, edge in edges.items() if not edge.is_clean] == [EDGE]
        await injector.remove(fault)
        assert (await injector.edges())[EDGE].is_clean

    asyncio.run(story())


def test_removing_what_is_not_there_is_no_error(injector: Injector) -> None:
    """Removal is idempotent, so that it can be repeated after any failure."""

    async def story() -> None:
        for fault in (TIMEOUT, DOWN):
            await injector.remove(fault)
        assert (await injector.edges())[EDGE].is_clean

    asyncio.run(story())


def test_removing_one_toxic_leaves_the_other(injector: Injector) -> None:
    """Toxics of other kinds on the same edge stay."""

    async def story() -> None:
        await injector.apply(TIMEOUT)
        await injector.apply(LATENCY)
        await injector.remove(TIMEOUT)
        assert (await injector.edges())[EDGE].toxics == (LATENCY,)

    asyncio.run(story())


def test_reset_cleans_every_edge(injector: Injector) -> None:
    """Toxics go and cut edges come back."""

    async def story() -> None:
        await injector.apply(TIMEOUT)
        await injector.apply(Fault("payments-bank", None))
        await injector.reset()
        assert all(edge.is_clean for edge in (await injector.edges()).values())

    asyncio.run(story())


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(EDGE, Toxic.LATENCY, {"latancy": 5}), "latancy"),
        (Fault(EDGE, Toxic.LATENCY, {"latency": -5}), "-5"),
        (Fault(EDGE, Toxic.LATENCY, {"latency": 5}, toxicity=1.5), "1.5"),
        (Fault(EDGE, None, {"latency": 5}), "latency"),
        (Fault("auth-nobody", Toxic.TIMEOUT), "auth-nobody"),
    ],
    ids=["misspelt", "negative", "toxicity", "down-with-attribute", "no-such-edge"],
)
def test_what_toxiproxy_would_swallow_is_refused(
    injector: Injector, fault: Fault, reason: str
) -> None:
    """The reason names what is wrong, and nothing is changed."""
    assert reason in refused(lambda: injector.apply(fault))
    assert all(edge.is_clean for edge in asyncio.run(injector.edges()).values())


@pytest.mark.parametrize("fault", [TIMEOUT, DOWN], ids=["toxic", "down"])
def test_an_edge_that_is_down_takes_no_more(injector: Injector, fault: Fault) -> None:
    """A toxic on a disabled proxy would do nothing in silence."""
    asyncio.run(injector.apply(DOWN))
    assert "cut already" in refused(lambda: injector.apply(fault))


def test_the_same_toxic_is_not_put_on_twice(injector: Injector) -> None:
    """Two leases could not both remove it."""
    asyncio.run(injector.apply(TIMEOUT))
    assert "already" in refused(lambda: injector.apply(TIMEOUT))


def test_a_toxic_bites(toxiproxy: Toxiproxy) -> None:
    """What is read back also works: 120 ms of latency are 120 ms on the wire, at best."""
    injector = ToxiproxyInjector(HOST, toxiproxy.port)
    url = f"http://{HOST}:{toxiproxy.edge_ports['gateway-catalog']}/healthz"

    def best_s() -> float:
        times_s = []
        for _ in range(5):
            start_s = time.monotonic()
            assert HTTP.get(url).status_code == 200
            times_s.append(time.monotonic() - start_s)
        return min(times_s)

    plain_s = best_s()
    asyncio.run(injector.apply(Fault("gateway-catalog", Toxic.LATENCY, {"latency": 120})))
    bitten_s = best_s()
    assert bitten_s >= 0.119
    assert bitten_s - plain_s < 0.24, "expected one way to be slower, not both"


def test_nobody_listening_is_not_a_hang() -> None:
    """A Toxiproxy that is down is told apart from one that is stuck."""
    injector = ToxiproxyInjector(HOST, free_ports(1)[0])
    with pytest.raises(StackNotReady, match="lab up"):
        asyncio.run(injector.edges())


@pytest.mark.parametrize("stuck", ["silent", "drip"])
def test_a_stuck_control_api_is_given_up_within_a_second(stuck: str) -> None:
    """A control API that accepts and never finishes an answer costs 1 s, not for ever."""
    release = threading.Event()

    class Stuck(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if stuck == "drip":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                while not release.wait(0.1):
                    self.wfile.write(b" ")
            release.wait(20)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
            pass

    async def ask(port: int) -> float:
        start_s = time.monotonic()
        with pytest.raises(InjectorError, match="hung"):
            await ToxiproxyInjector(HOST, port).edges()
        release.set()
        return time.monotonic() - start_s

    server = ThreadingHTTPServer((HOST, 0), Stuck)
    with served(server) as port:
        # Three times the second for a busy machine; the server itself holds out far longer.
        assert asyncio.run(ask(port)) < 3


def test_a_stranger_s_proxy_is_told_and_a_reset_removes_it(visited: Injector) -> None:
    """It has no harm on it and harms all the same: it may listen before the warden."""

    async def story() -> None:
        edges = await visited.edges()
        assert edges["spy"].strange
        assert [edge.edge for edge in edges.values() if not edge.is_clean] == ["spy"]
        await visited.reset()
        assert set(await visited.edges()) == set(EDGE_NAMES)

    asyncio.run(story())


def test_an_edge_that_was_led_elsewhere_is_told_and_led_back(toxiproxy: Toxiproxy) -> None:
    """Where it listens and whom it leads to, as the stack has set it up."""
    known = {
        proxy["name"]: ProxyAddress(proxy["listen"], proxy["upstream"])
        for proxy in json.loads(toxiproxy.config.read_text())
    }
    injector = ToxiproxyInjector(HOST, toxiproxy.port, proxies=known)
    elsewhere = {"upstream": f"{HOST}:9"}
    assert HTTP.patch(f"{toxiproxy.url}/proxies/{EDGE}", json=elsewhere).status_code == 200

    async def story() -> None:
        edges = await injector.edges()
        assert f"{HOST}:9 instead of" in edges[EDGE].strange
        assert [edge.edge for edge in edges.values() if not edge.is_clean] == [EDGE]
        await injector.reset()
        assert all(edge.is_clean for edge in (await injector.edges()).values())

    asyncio.run(story())


def test_a_guard_lets_in_only_who_tells_the_secret_by_a_loopback_name(tmp_path: Path) -> None:
    """Anybody of this machine reaches the port; reading is refused as well as changing."""
    secret.make(tmp_path / "secret")
    with toxiproxy_before_stubs(tmp_path, tmp_path / "secret") as toxiproxy:
        told = dict(secret.headers(tmp_path / "secret"))

        def status(method: str, path: str, **headers: str) -> int:
            return HTTP.request(method, f"{toxiproxy.url}{path}", headers=headers).status_code

        for method, path in (
            ("GET", "/proxies"),
            ("POST", "/reset"),
            ("DELETE", f"/proxies/{EDGE}"),
        ):
            assert status(method, path) == 401
            assert status(method, path, Authorization="Bearer guessed") == 401
            assert status(method, path, **told, Host="evil.example") == 403
        assert status("GET", "/proxies", **told) == 200
        injector = ToxiproxyInjector(HOST, toxiproxy.port, headers=told)
        asyncio.run(injector.apply(TIMEOUT))
        assert not toxiproxy.is_clean()
        assert "401" in refused(ToxiproxyInjector(HOST, toxiproxy.port).edges)


@pytest.mark.parametrize("content", [None, "", " \n"])
def test_a_guard_without_its_secret_does_not_start(tmp_path: Path, content: str | None) -> None:
    """A file that is gone or empty must not let everybody in."""
    if content is not None:
        (tmp_path / "secret").write_text(content)
    command = [str(toxiproxy_binary()), "-port", "0", "-secret-file", str(tmp_path / "secret")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "secret" in done.stderr


def test_a_call_behind_a_stuck_one_is_given_up_for_good(toxiproxy: Toxiproxy) -> None:
    """It is refused, and does not harm the edge once the stuck one is over."""
    injector = ToxiproxyInjector(HOST, toxiproxy.port)
    with adapter._package:
        assert "hung" in refused(lambda: injector.apply(TIMEOUT))
    time.sleep(0.3)
    assert toxiproxy.is_clean()


@pytest.mark.parametrize(
    ("status", "answer"),
    [
        (200, "no JSON"),
        (200, "[]"),
        (200, '{"a-b": 1}'),
        (200, '{"a-b": {"name": "a-b", "enabled": true}}'),
        (200, '{"a-b": {"name": "a-b", "enabled": true, "toxics": [{"type": "curse"}]}}'),
        (500, '{"error": "boom"}'),
        (404, "not found"),
        (403, "forbidden"),
    ],
)
def test_an_answer_out_of_the_ordinary_is_an_injector_error(status: int, answer: str) -> None:
    """Whatever Toxiproxy says, no foreign error comes out."""

    class Odd(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
            pass

    with served(ThreadingHTTPServer((HOST, 0), Odd)) as port:
        injector = ToxiproxyInjector(HOST, port)
        assert refused(injector.edges)
