"""What `TOXIC_LIMITS` allows, tried once against a real Toxiproxy with data flowing."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import socketserver
from collections.abc import Iterator, Sequence

import pytest

from lab.adapters.memory.injector import MemoryInjector
from lab.adapters.toxiproxy import ToxiproxyInjector
from lab.domain.fault import TOXIC_LIMITS, Fault, Stream, Toxic
from lab.errors import InjectorError, LeaseError
from lab.ports.injector import Injector
from lab.shop.topology import HOST
from lab.warden.applying import check_request
from tests.support.warden_parts import (
    EDGE_NAMES,
    HTTP,
    Threads,
    Toxiproxy,
    served,
    toxiproxy_before_stubs,
)

EDGE = "gateway-catalog"
DATA = b"x" * 70_000
"""More than Toxiproxy reads at once, which is 32 KiB."""

PATIENCE_S = 0.15


def edges_of(toxic: Toxic) -> Iterator[dict[str, int]]:
    """Its attributes, each at its least and its most, in every combination that is allowed."""
    limits = TOXIC_LIMITS[toxic]
    for values in itertools.product(*limits.values()):
        attributes = dict(zip(limits, values, strict=True))
        if attributes.get("size_variation"):
            attributes["size_variation"] = attributes["average_size"]
        yield attributes


def beyond(toxic: Toxic) -> Iterator[tuple[str, Fault]]:
    """One step over each limit, with everything else as it may be."""
    legal = {name: limits.least for name, limits in TOXIC_LIMITS[toxic].items()}
    for name, limits in TOXIC_LIMITS[toxic].items():
        for value in (limits.least - 1, limits.most + 1, 2**62, 2**63, 2**64):
            yield name, Fault(EDGE, toxic, {**legal, name: value})


ALLOWED = [
    Fault(EDGE, toxic, attributes, stream)
    for toxic in Toxic
    for attributes in edges_of(toxic)
    for stream in Stream
]
ROLLED = [Fault(EDGE, Toxic.LATENCY, {"latency": 1}, toxicity=1e-6)]
SLICER = {"average_size": 100, "size_variation": 100, "delay": 0}
REFUSED = [
    *itertools.chain.from_iterable(map(beyond, Toxic)),
    ("size_variation", Fault(EDGE, Toxic.SLICER, {**SLICER, "size_variation": 101})),
    ("toxicity", Fault(EDGE, Toxic.LATENCY, toxicity=-1e-6)),
    ("toxicity", Fault(EDGE, Toxic.LATENCY, toxicity=1.000001)),
    ("toxicity", Fault(EDGE, Toxic.LATENCY, toxicity=1 / 3)),
    ("toxicity", Fault(EDGE, Toxic.LATENCY, toxicity=1e-7)),
    ("toxicity", Fault(EDGE, Toxic.LATENCY, toxicity=float("nan"))),
]


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                self.request.sendall(data)


@pytest.fixture(scope="module")
def echoing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Toxiproxy]:
    """A Toxiproxy of this module's own, whose `EDGE` leads to an echo."""
    with (
        toxiproxy_before_stubs(tmp_path_factory.mktemp("toxiproxy")) as toxiproxy,
        served(Threads((HOST, 0), _Echo)) as port,
    ):
        HTTP.patch(f"{toxiproxy.url}/proxies/{EDGE}", json={"upstream": f"{HOST}:{port}"})
        yield toxiproxy


def talk(connections: Sequence[socket.socket]) -> int:
    """Send data through each, as far as it lets itself be sent; how much came back."""
    received = 0
    for each in connections:
        each.settimeout(PATIENCE_S)
        with contextlib.suppress(OSError):
            each.sendall(DATA)
            left = len(DATA)
            while left > 0 and (part := each.recv(65536)):
                received += len(part)
                left -= len(part)
    return received


def connected(toxiproxy: Toxiproxy) -> socket.socket:
    return socket.create_connection((HOST, toxiproxy.edge_ports[EDGE]), timeout=5)


@pytest.mark.parametrize("fault", [*ALLOWED, *ROLLED], ids=str)
def test_whatever_is_allowed_toxiproxy_survives(echoing: Toxiproxy, fault: Fault) -> None:
    """On connections old and new; it is read back, taken off in time, and all flows again."""
    injector = ToxiproxyInjector(HOST, echoing.port)
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(connected(echoing))
        assert talk([old]) == len(DATA)
        asyncio.run(injector.apply(fault))
        new = stack.enter_context(connected(echoing))
        talk([old, new])
        asyncio.run(injector.remove(fault))
        assert echoing.is_clean()
        assert talk([stack.enter_context(connected(echoing))]) == len(DATA)


@pytest.mark.parametrize("injector", ["memory", "toxiproxy"])
@pytest.mark.parametrize(("name", "fault"), REFUSED, ids=str)
def test_one_step_beyond_is_refused_before_toxiproxy_hears_of_it(
    injector: str, name: str, fault: Fault, request: pytest.FixtureRequest
) -> None:
    """By both injectors and by the warden, which say what of it is wrong."""
    wanted: Injector = MemoryInjector(EDGE_NAMES)
    if injector == "toxiproxy":
        wanted = ToxiproxyInjector(HOST, request.getfixturevalue("echoing").port)
    with pytest.raises(InjectorError, match=f"expected {name} "):
        asyncio.run(wanted.apply(fault))
    assert all(edge.is_clean for edge in asyncio.run(wanted.edges()).values())
    with pytest.raises(LeaseError, match=f"{EDGE}: expected {name} "):
        check_request([fault], {}, 60.0)
