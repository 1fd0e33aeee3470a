"""Whatever answers at Toxiproxy's control port: never *clean* unless every edge says so."""

from __future__ import annotations

import asyncio
import gzip
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.adapters.toxiproxy import MOST_BYTES, ToxiproxyInjector
from lab.domain.fault import Fault, Toxic
from lab.errors import InjectorError, LabError
from lab.shop.topology import HOST
from lab.warden.leases import Leases
from tests.support.fuzz import fuzz
from tests.support.warden_fakes import World
from tests.support.warden_parts import EDGE_NAMES, served

EDGE = "auth-users_db"
TIMEOUT = Fault(EDGE, Toxic.TIMEOUT, {"timeout": 0})
FEW_SECONDS = 20.0


@dataclass
class Oddity:
    """Answers at a control port: ``listing`` to each GET, ``answer`` to what changes things."""

    listing: bytes = b""
    answer: bytes = b"{}"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    changes: list[str] = field(default_factory=list)
    endless: bool = False
    port: int = 0

    def list(self, listing: Any) -> None:
        """Answer with this from now on, and as the real one does otherwise."""
        self.__dict__.update(vars(Oddity(json.dumps(listing).encode(), port=self.port)))


class Handler(BaseHTTPRequestHandler):
    oddity: Oddity

    def do_GET(self) -> None:
        self._say(self.oddity.listing)

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.oddity.changes.append(f"{self.command} {self.path}")
        self._say(self.oddity.answer)

    def do_DELETE(self) -> None:
        self.do_POST()

    def _say(self, body: bytes) -> None:
        self.send_response(self.oddity.status)
        for name, value in self.oddity.headers.items():
            self.send_header(name, value)
        if not self.oddity.endless:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        try:
            self.wfile.write(body)
            while self.oddity.endless:
                self.wfile.write(b" " * 2**16)
        except OSError:
            pass  # The caller has read enough.

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 -- http.server's name
        pass


@pytest.fixture(scope="module")
def odd() -> Iterator[Oddity]:
    oddity = Oddity()
    handler = type("ThisHandler", (Handler,), {"oddity": oddity})
    with served(ThreadingHTTPServer((HOST, 0), handler)) as port:
        oddity.port = port
        yield oddity


@pytest.fixture
def toxiproxy(odd: Oddity) -> Oddity:
    """One that answers as the real one does; each test makes it odd in its own way."""
    odd.list(clean())
    return odd


def clean() -> dict[str, Any]:
    """The listing of a Toxiproxy on which nothing is wrong."""
    return {
        name: {"name": name, "listen": "127.0.0.1:1", "upstream": "127.0.0.1:2", "enabled": True}
        | {"toxics": []}
        for name in EDGE_NAMES
    }


def toxic(**changes: Any) -> dict[str, Any]:
    """One toxic as Toxiproxy lists it; a field set to ``...`` is left out."""
    listed = {
        "name": "timeout_downstream",
        "type": "timeout",
        "stream": "downstream",
        "toxicity": 1,
        "attributes": {"timeout": 0},
    }
    return {key: value for key, value in (listed | changes).items() if value is not ...}


def says_clean(listing: Any) -> bool:
    """Whether a listing spells out, of each edge of the shop, that nothing is wrong with it."""
    return isinstance(listing, dict) and all(
        isinstance(listing.get(name), dict)
        and listing[name].get("name") == name
        and listing[name].get("enabled") is True
        and listing[name].get("toxics") == []
        for name in EDGE_NAMES
    )


def looks_clean(toxiproxy: Oddity) -> bool:
    """Whether the injector takes the shop for clean; an error is no *yes*, and comes soon."""
    began = time.monotonic()
    try:
        edges = asyncio.run(ToxiproxyInjector(HOST, toxiproxy.port).edges())
    except InjectorError as error:
        told = str(error)
        assert told.startswith("expected ")
        assert len(told) < 1500
        return False
    finally:
        assert time.monotonic() - began < FEW_SECONDS
    assert edges.keys() == set(EDGE_NAMES)
    return all(edge.is_clean for edge in edges.values())


# --- any answer --------------------------------------------------------------------------

junk: st.SearchStrategy[Any] = st.one_of(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    st.sampled_from([[], {}, "", "true", "false", "0", 0, 1, 10**30, [None], [[]], [{}], "clean"]),
    st.builds(lambda: [toxic()]),
    st.sampled_from(["name", "type", "stream", "toxicity", "attributes"]).flatmap(
        lambda key: st.builds(lambda value: [toxic(**{key: value})], st.none() | st.just(...))
    ),
)
places = st.tuples(
    st.sampled_from(EDGE_NAMES),
    st.sampled_from(["name", "enabled", "toxics", "listen", None, "extra"]),
)


@fuzz(150)
@given(
    changes=st.lists(st.tuples(places, junk), max_size=2),
    dropped=st.sets(st.sampled_from(EDGE_NAMES), max_size=1),
)
def test_only_what_is_spelled_out_as_clean_is_taken_for_clean(
    odd: Oddity, changes: list[tuple[tuple[str, str | None], Any]], dropped: set[str]
) -> None:
    """A flag as text, a list as a map, a proxy that is missing: harm that cannot be ruled out."""
    listing = clean()
    for (edge, name), value in changes:
        if name is None:
            listing[edge] = value
        elif isinstance(listing[edge], dict):
            listing[edge][name] = value
    for edge in dropped:
        del listing[edge]
    odd.list(listing)
    assert looks_clean(odd) is says_clean(listing)


@fuzz(60)
@given(st.binary(max_size=60) | st.text(max_size=30).map(str.encode))
def test_any_bytes_are_an_injector_error(odd: Oddity, body: bytes) -> None:
    """What is no listing says nothing about any edge."""
    odd.list(clean())
    odd.listing = body
    assert not looks_clean(odd)


def test_a_listing_cut_anywhere_is_an_injector_error(toxiproxy: Oddity) -> None:
    """No beginning of a listing passes for the whole of it."""
    whole = toxiproxy.listing
    for end in range(0, len(whole), 53):
        toxiproxy.listing = whole[:end]
        assert not looks_clean(toxiproxy)


# --- named answers -----------------------------------------------------------------------


def test_a_clean_listing_is_clean(toxiproxy: Oddity) -> None:
    """The answer from which all others here are made."""
    assert looks_clean(toxiproxy)


TOXICS: dict[str, Any] = {
    "an unknown type": toxic(type="curse"),
    "no type": toxic(type=...),
    "an odd name": toxic(name="../../reset\x1b[2J"),
    "no name": toxic(name=...),
    "an unknown stream": toxic(stream="sideways"),
    "no attributes": toxic(attributes=...),
    "attributes of none": toxic(attributes=None),
    "unknown attributes": toxic(attributes={"timeuot": 5}),
    "a fraction": toxic(attributes={"timeout": 0.5}),
    "a number as text": toxic(attributes={"timeout": "0"}),
    "a number without end": toxic(attributes={"timeout": float("inf")}),
    "a toxicity as text": toxic(toxicity="0"),
    "a toxicity of none": toxic(toxicity=float("nan")),
    "a toxicity beyond 1": toxic(toxicity=2),
    "no object": "timeout",
    "null": None,
}


@pytest.mark.parametrize("what", TOXICS)
def test_a_toxic_that_is_not_understood_is_harm_all_the_same(toxiproxy: Oddity, what: str) -> None:
    """Whatever stands in a list of toxics, its edge is not clean."""
    listing = clean()
    listing[EDGE]["toxics"] = [TOXICS[what]]
    toxiproxy.list(listing)
    assert not looks_clean(toxiproxy)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"status": 500}, "500 Server Error"),
        ({"status": 503, "listing": b""}, "503 Server Error"),
        ({"status": 404, "listing": b"x" * 10_000}, "it refused: b'xxx"),
        ({"status": 302, "headers": {"Location": "/version"}}, "found"),
        ({"listing": b""}, "Expecting value"),
        ({"listing": b"null"}, "expected proxies by name, found None"),
        ({"listing": b"[" * 100_000}, "to answer in JSON, found maximum recursion depth"),
        ({"listing": b"9" * 5000}, "to answer in JSON, found Exceeds the limit"),
        ({"listing": b" " * (MOST_BYTES + 1)}, f"more than {MOST_BYTES} bytes"),
        ({"listing": b"{}", "endless": True}, f"more than {MOST_BYTES} bytes"),
        (
            {"listing": gzip.compress(b"{}"), "headers": {"Content-Encoding": "gzip"}},
            "a packed answer, which nobody asked for",
        ),
        ({"headers": {"Content-Type": "text/plain; charset=hex"}, "listing": b"{"}, "found"),
        ({"listing": b"{}"}, "expected Toxiproxy to have a proxy for every edge, found none for"),
    ],
)
def test_what_toxiproxy_never_says_is_an_error_with_a_reason(
    toxiproxy: Oddity, changes: dict[str, Any], says: str
) -> None:
    """The message is short and says what came instead."""
    for name, value in changes.items():
        setattr(toxiproxy, name, value)
    if toxiproxy.status == 302:
        toxiproxy.listing = b"moved"
    began = time.monotonic()
    with pytest.raises(InjectorError) as refused:
        asyncio.run(ToxiproxyInjector(HOST, toxiproxy.port).edges())
    assert says in str(refused.value)
    assert len(str(refused.value)) < 1500
    assert time.monotonic() - began < FEW_SECONDS


@pytest.mark.parametrize(
    "stranger",
    [{"name": "redis", "toxics": "?"}, 3, None, [], {"name": "x", "listen": [1] * 10_000}],
    ids=["unreadable", "a number", "nothing", "a list", "long"],
)
@pytest.mark.parametrize("name", ["redis", "", "a/b", "\x1b[2J", "x" * 10_000])
def test_a_proxy_of_no_edge_is_noticed_whatever_is_shown_of_it(
    toxiproxy: Oddity, name: str, stranger: Any
) -> None:
    """Nobody of the lab made it, and it may stand before the warden, open to a network."""
    toxiproxy.list(clean() | {name: stranger})
    edges = asyncio.run(ToxiproxyInjector(HOST, toxiproxy.port).edges())
    assert [edge.edge for edge in edges.values() if edge.strange] == [name]
    assert len(edges[name].strange) < 300


@pytest.mark.parametrize(
    "answer", [b"", b"null", b"[]", b"<html>", b"9" * 5000, b"[" * 100_000, b'{"ok": true}']
)
@pytest.mark.parametrize("fault", [TIMEOUT, Fault(EDGE, None)], ids=["toxic", "down"])
def test_harm_is_in_place_only_where_it_is_read_back(
    toxiproxy: Oddity, answer: bytes, fault: Fault
) -> None:
    """Whatever is answered to the change itself, the listing afterwards decides."""
    toxiproxy.answer = answer
    with pytest.raises(InjectorError):
        asyncio.run(ToxiproxyInjector(HOST, toxiproxy.port).apply(fault))
    assert toxiproxy.changes


@pytest.mark.parametrize("answer", [b"", b"null", b"<html>", b'{"ok": true}'])
def test_harm_is_gone_only_where_it_is_read_back(toxiproxy: Oddity, answer: bytes) -> None:
    """A removal that was answered and left the toxic in place has failed."""
    listing = clean()
    listing[EDGE]["toxics"] = [toxic()]
    toxiproxy.list(listing)
    toxiproxy.answer = answer
    injector = ToxiproxyInjector(HOST, toxiproxy.port)
    with pytest.raises(InjectorError):
        asyncio.run(injector.remove(TIMEOUT))
    with pytest.raises(InjectorError):
        asyncio.run(injector.reset())


def test_no_thread_goes_on_reading_an_answer_without_end(toxiproxy: Oddity) -> None:
    """What was given up is over: nothing grows behind the caller's back."""
    toxiproxy.endless = True
    before = threading.active_count()
    for _ in range(3):
        assert not looks_clean(toxiproxy)
    deadline = time.monotonic() + FEW_SECONDS
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() <= before


# --- the warden on top -------------------------------------------------------------------


def warden_on(toxiproxy: Oddity, world: World) -> Leases:
    """A warden whose probes all pass, so that only Toxiproxy's answers can raise a doubt."""
    return world.warden(ToxiproxyInjector(HOST, toxiproxy.port))


def doubtful(edge: dict[str, Any]) -> bytes:
    """A listing in which one edge is not as it should be."""
    return json.dumps(clean() | {EDGE: clean()[EDGE] | edge}).encode()


DOUBTS: dict[str, bytes] = {
    "no edges": b"{}",
    "one edge missing": json.dumps({k: v for k, v in clean().items() if k != EDGE}).encode(),
    "a flag as text": doubtful({"enabled": "true"}),
    "toxics as a map": doubtful({"toxics": {}}),
    "no toxics": doubtful({"toxics": None}),
    "an unknown toxic": doubtful({"toxics": [toxic(type="curse")]}),
    "another's name": doubtful({"name": "gateway-auth"}),
    "cut short": json.dumps(clean()).encode()[:-1],
    "a page of HTML": b"<html>It works!</html>",
    "bottomless JSON": b"[" * 100_000,
}


@pytest.mark.parametrize("what", DOUBTS)
def test_a_warden_in_doubt_never_calls_the_shop_clean(toxiproxy: Oddity, what: str) -> None:
    """Healing tries everything there is, says that it failed, and proves nothing."""
    toxiproxy.listing = DOUBTS[what]
    world = World()

    async def story() -> None:
        with pytest.raises(LabError, match="expected"):
            await warden_on(toxiproxy, world).heal()

    asyncio.run(story())
    assert "POST /reset" in toxiproxy.changes
    assert "restart" in world.diary
    assert "removed" not in [event for event, _ in world.journal.entries]


def test_a_warden_believes_a_listing_that_is_clean(toxiproxy: Oddity) -> None:
    """The twin of the doubts: with nothing odd in the answers, healing is proven."""
    removal = asyncio.run(warden_on(toxiproxy, World()).heal())
    assert removal.proven_clean


@pytest.mark.parametrize("what", DOUBTS)
def test_no_lease_is_given_on_edges_that_cannot_be_read(toxiproxy: Oddity, what: str) -> None:
    """Harm is refused before it is done, and nothing is written down as held."""
    toxiproxy.listing = DOUBTS[what]
    world = World()

    async def story() -> None:
        warden = warden_on(toxiproxy, world)
        with pytest.raises(LabError, match="expected"):
            await warden.take(holder="a run", faults=[TIMEOUT], conditions={}, ttl_s=3.0)

    asyncio.run(story())
    assert world.storage.lease is None
    assert toxiproxy.changes == []
