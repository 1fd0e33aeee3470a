"""What every injector does; the real one over a real Toxiproxy, where there is one."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lab.adapters import toxiproxy as adapter
from lab.adapters.memory.injector import MemoryInjector
from lab.adapters.toxiproxy import ToxiproxyInjector
from lab.domain.fault import Fault, Stream, Toxic
from lab.errors import InjectorError, StackNotReady
from lab.ports.injector import Injector
from lab.shop.topology import HOST
from tests.support.warden_parts import EDGE_NAMES, HTTP, Toxiproxy, free_ports, served

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
