"""HTTP to the lab's own parts on loopback."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import httpx


def is_here(url: str) -> bool:
    """Whether ``url`` is of this machine: a proxy of the user's is for the outside world."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def transport() -> httpx.AsyncHTTPTransport:
    """A transport that reads no certificate authorities.

    Everything on loopback is plain HTTP, so there is no certificate to check,
    and reading the bundle takes tens of milliseconds for every client made.
    """
    return httpx.AsyncHTTPTransport(verify=False)


def client(timeout_s: float = 2.0) -> httpx.AsyncClient:
    """A client that ignores the user's proxy settings, which are for the outside world."""
    return httpx.AsyncClient(trust_env=False, transport=transport(), timeout=timeout_s)
