"""Toxiproxy's control API through ``toxiproxy-python``, made safe to wait for.

The package keeps host and port in class globals, knows no timeouts, and lets a
5xx surface as ``KeyError``. It finds its ``APIConsumer`` as a global of its
modules, so one consumer with a deadline, put there, mends all its calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from functools import partial
from types import MappingProxyType
from typing import Any, ClassVar, Final, TypeVar
from urllib.parse import quote

import requests
import toxiproxy.proxy
import toxiproxy.server
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists
from toxiproxy.proxy import Proxy
from toxiproxy.server import Toxiproxy
from urllib3.exceptions import NewConnectionError

from lab.domain.fault import Fault, Stream, Toxic
from lab.errors import InjectorError, StackNotReady
from lab.frozen import dataclass
from lab.ports.injector import EdgeState
from lab.shop.topology import EDGES

CALL_DEADLINE_S: Final = 1.0
_SOCKET_TIMEOUT_S: Final = 0.8
"""Below the deadline, so that no thread is left behind that might still write."""

MOST_BYTES: Final = 2**20
"""Of one answer; a listing of all proxies has ten thousand."""

T = TypeVar("T")


def _read_bounded(response: requests.Response, **_: Any) -> None:
    """Read the body before the package does, which would take whatever comes."""
    if "Content-Encoding" in response.headers:
        raise requests.RequestException("a packed answer, which nobody asked for")
    body = bytearray()
    for part in response.iter_content(65536):
        body += part
        if len(body) > MOST_BYTES:
            response.close()
            raise requests.RequestException(f"an answer of more than {MOST_BYTES} bytes")
    response._content = bytes(body)  # Where `requests` itself puts what it has read.


class BoundedConsumer(APIConsumer):  # type: ignore[misc]
    """The package's HTTP calls, each bounded in time and size, and with 5xx as an error.

    No HTTP proxy of the user's stands between the lab and its own loopback.
    """

    _BOUNDS: Final[Mapping[str, Any]] = {
        "timeout": _SOCKET_TIMEOUT_S,
        "allow_redirects": False,
        "stream": True,
        "hooks": {"response": _read_bounded},
        "proxies": {"no_proxy": "*"},
    }
    told: ClassVar[Mapping[str, str]] = {}
    """The headers with the secret of the Toxiproxy that is spoken to just now."""

    @classmethod
    def _with(cls, asked: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**cls._BOUNDS, "headers": cls.told, **asked}

    @classmethod
    def get(cls, url: str, params: Any = None, **kwargs: Any) -> requests.Response:
        """Fetch ``url``."""
        return _checked(super().get(url, params, **cls._with(kwargs)))

    @classmethod
    def post(cls, url: str, data: Any = None, json: Any = None, **kwargs: Any) -> requests.Response:
        """Send ``data`` or ``json`` to ``url``."""
        return _checked(super().post(url, data, json, **cls._with(kwargs)))

    @classmethod
    def delete(cls, url: str, **kwargs: Any) -> requests.Response:
        """Delete ``url``."""
        return _checked(super().delete(url, **cls._with(kwargs)))


def _checked(response: requests.Response) -> requests.Response:
    response.raise_for_status()
    return response


toxiproxy.proxy.APIConsumer = BoundedConsumer
toxiproxy.server.APIConsumer = BoundedConsumer

_package = threading.Lock()
"""Held while the class globals point at one Toxiproxy; two may be spoken to in turn."""

EDGE_NAMES: Final = tuple(edge.name for edge in EDGES)


@dataclass(frozen=True, slots=True)
class ProxyAddress:
    """``host:port`` where a proxy listens, and of whom it leads to."""

    listen: str
    upstream: str

    def __str__(self) -> str:
        """For people."""
        return f"{self.listen} → {self.upstream}"


class ToxiproxyInjector:
    """`Injector` over a real Toxiproxy.

    ``headers`` go with every call, as its guard asks for; ``proxies`` says where each
    edge's proxy listens and whom it leads to, as Toxiproxy shows it, where that is known.

    Every call raises InjectorError where Toxiproxy refuses, hangs, or does not
    show afterwards what was asked, and StackNotReady where nobody listens.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
        proxies: Mapping[str, ProxyAddress] = MappingProxyType({}),
    ) -> None:
        self._host = host
        self._port = port
        self._headers = headers
        self._proxies = proxies
        self._server = Toxiproxy()

    async def edges(self) -> Mapping[str, EdgeState]:
        """Read every proxy with its toxics, in one call."""
        listing = await self._listing()
        return {name: self._edge_state(name, proxy) for name, proxy in listing.items()}

    async def apply(self, fault: Fault) -> None:
        """Put ``fault`` on its edge and read it back.

        Refuses what Toxiproxy takes without a word although it does nothing: an
        unknown attribute, a toxic on a disabled proxy, harm that is there already.
        """
        problems = fault.problems()
        if problems:
            raise InjectorError(f"{fault.edge}: {'; '.join(problems)}")
        proxy, before = await self._look_at(fault.edge)
        if not before.enabled:
            raise InjectorError(f"{fault.edge}: expected it enabled, found it cut already")
        if before.shows(fault):
            raise InjectorError(f"{fault.edge}: expected no {fault.toxic_name}, found one already")
        await self._call(f"apply {fault}", lambda: _apply(proxy, fault))
        _, after = await self._look_at(fault.edge)
        if not after.shows(fault) or not (fault.is_down or fault in after.toxics):
            raise InjectorError(f"expected to read back {fault}, found {after}")

    async def remove(self, fault: Fault) -> None:
        """Take ``fault`` off, if it is there, and read that back."""
        proxy, before = await self._look_at(fault.edge)
        if not before.shows(fault):
            return
        await self._call(f"remove {fault}", lambda: _remove(proxy, fault))
        _, after = await self._look_at(fault.edge)
        if after.shows(fault):
            raise InjectorError(f"expected {fault} to be gone, found {after}")

    async def reset(self) -> None:
        """Remove strangers, lead every edge where it belongs, free all of harm; read it back."""
        with contextlib.suppress(InjectorError):  # What cannot be listed can be reset all the same.
            for name, edge in (await self.edges()).items():
                if edge.strange:
                    await self._call(f"put {name[:80]!r} right", partial(self._put_right, name))
        await self._call("reset", self._server.reset)
        hurt = [name for name, edge in (await self.edges()).items() if not edge.is_clean]
        if hurt:
            raise InjectorError(f"expected every edge clean after /reset, found {hurt}")

    async def _look_at(self, edge: str) -> tuple[Proxy, EdgeState]:
        listing = await self._listing()
        if edge not in EDGE_NAMES:
            raise InjectorError(f"expected an edge of {sorted(EDGE_NAMES)}, found {edge!r}")
        state = self._edge_state(edge, listing[edge])
        # Addresses are the configuration's business; what is asked for here needs the name alone.
        return Proxy(name=edge, upstream=None, listen=None, enabled=state.enabled), state

    async def _listing(self) -> dict[str, Any]:
        listing = await self._call("list its proxies", _list_proxies)
        if not isinstance(listing, dict):
            raise InjectorError(f"expected proxies by name, found {str(listing)[:200]}")
        # Of an edge that is not there nobody can say that it is clean.
        missing = [name for name in EDGE_NAMES if name not in listing]
        if missing:
            raise InjectorError(
                f"expected Toxiproxy to have a proxy for every edge, found none for {missing}; "
                "`lab down`, then `lab up`"
            )
        return listing

    def _edge_state(self, name: str, proxy: Any) -> EdgeState:
        if name not in EDGE_NAMES:
            # What is on it harms nobody: that it is there is what must not be.
            return EdgeState(name, True, (), strange=f"a proxy of no edge, {_address(proxy)}")
        state, found = _edge_state(name, proxy), _address(proxy)
        expected = self._proxies.get(name, found)
        if found == expected:
            return state
        return replace(state, strange=f"{found} instead of {expected}")

    def _put_right(self, name: str) -> None:
        path = f"/proxies/{quote(name, safe='')}"
        if (address := self._proxies.get(name)) is None:
            BoundedConsumer.delete(path)
        else:
            BoundedConsumer.post(path, json={**asdict(address), "enabled": True})

    async def _call(self, what: str, call: Callable[[], T]) -> T:
        """One request in a thread of its own; ``what`` says what it is for."""
        address = f"{self._host}:{self._port}"
        try:
            async with asyncio.timeout(CALL_DEADLINE_S):
                return await asyncio.to_thread(self._blocking, call)
        except (TimeoutError, requests.Timeout) as error:
            raise InjectorError(
                f"expected Toxiproxy at {address} to {what} within {CALL_DEADLINE_S:.0f} s, "
                "found its control API hung"
            ) from error
        except requests.RequestException as error:
            if _is_refused(error):
                raise StackNotReady(
                    f"expected Toxiproxy at {address} to {what}, found nobody listening; `lab up`"
                ) from error
            raise InjectorError(f"expected Toxiproxy to {what}, found {error}") from error
        except (InvalidToxic, NotFound, ProxyExists) as error:
            refusal = str(error)[:200]
            raise InjectorError(f"expected Toxiproxy to {what}, it refused: {refusal}") from error
        except (ValueError, RecursionError) as error:
            raise InjectorError(
                f"expected Toxiproxy to {what} and to answer in JSON, found {str(error)[:200]}"
            ) from error

    def _blocking(self, call: Callable[[], T]) -> T:
        if not _package.acquire(timeout=CALL_DEADLINE_S - _SOCKET_TIMEOUT_S):
            # Better not at all than later: by then nobody waits for it any more.
            raise requests.Timeout("another call is stuck")
        try:
            self._server.update_api_consumer(self._host, self._port)
            BoundedConsumer.told = self._headers
            return call()
        finally:
            _package.release()


def _list_proxies() -> Any:
    """Proxies with their toxics; the package's own listing forgets the toxics."""
    return BoundedConsumer.get("/proxies").json()


def _apply(proxy: Proxy, fault: Fault) -> None:
    if fault.is_down:
        proxy.disable()
        return
    proxy.add_toxic(
        name=fault.toxic_name,
        type=str(fault.toxic),
        stream=str(fault.stream),
        toxicity=fault.toxicity,
        attributes=dict(fault.attributes),
    )


def _remove(proxy: Proxy, fault: Fault) -> None:
    if fault.is_down:
        proxy.enable()
    else:
        proxy.destroy_toxic(fault.toxic_name)


def _address(proxy: Any) -> ProxyAddress:
    """As shown, cut to what a message can hold; a proxy that shows none has none that is ours."""
    shown = proxy if isinstance(proxy, dict) else {}
    return ProxyAddress(str(shown.get("listen"))[:80], str(shown.get("upstream"))[:80])


def _edge_state(name: str, proxy: Any) -> EdgeState:
    """One proxy of the listing; InjectorError where it is not as Toxiproxy 2.12 writes it.

    Nothing is converted: a guess could make harm look like none.
    """
    try:
        called, enabled = proxy["name"], _exactly(bool, proxy["enabled"])
        toxics = tuple(_toxic(name, toxic) for toxic in _exactly(list, proxy["toxics"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InjectorError(
            f"expected proxy {name[:80]!r} with its toxics, found {str(error)[:200]} in "
            f"{str(proxy)[:200]}"
        ) from error
    if called != name:
        raise InjectorError(
            f"expected proxy {name[:80]!r}, found {str(called)[:80]!r} in its place"
        )
    return EdgeState(edge=name, enabled=enabled, toxics=toxics)


def _toxic(edge: str, toxic: Any) -> Fault:
    toxicity = toxic["toxicity"]
    if isinstance(toxicity, bool) or not 0 <= toxicity <= 1:
        raise ValueError(f"toxicity {toxicity!r}")
    return Fault(
        edge=edge,
        toxic=Toxic(toxic["type"]),
        attributes={name: _exactly(int, value) for name, value in toxic["attributes"].items()},
        stream=Stream(toxic["stream"]),
        toxicity=float(toxicity),
    )


def _exactly(kind: type[T], value: Any) -> T:
    if type(value) is not kind:
        raise TypeError(f"{value!r} instead of {kind.__name__}")
    return value


def _is_refused(error: requests.RequestException) -> bool:
    """Whether nobody listened at all, as opposed to a connection that broke."""
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, NewConnectionError)
