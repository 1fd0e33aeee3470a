"""HTTP to wherever a user says: an address or a proxy that is none is their mistake."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies

import httpx
from pydantic import HttpUrl, TypeAdapter, ValidationError

from lab.adapters import loopback
from lab.errors import UsageError

_URL: Final = TypeAdapter(HttpUrl)


@contextlib.contextmanager
def client_to(url: str, what: str) -> Iterator[None]:
    """A client of ``url`` is made inside; UsageError where that cannot be one of ``what``.

    Looked at first, since httpx finds out about a port only once it connects, and then by
    whatever error the socket has for it.
    """
    try:
        _URL.validate_python(url)
        httpx.URL(url)
        is_here = loopback.is_here(url)
    except (ValueError, httpx.InvalidURL) as error:
        raise UsageError(
            f"expected the address of {what}, got {url[:200]!r}: {_why(error)}"
        ) from error
    try:
        if not is_here:
            _check_proxies()
        yield
    except (ValueError, httpx.InvalidURL, ImportError, OSError) as error:
        raise UsageError(
            f"expected to reach {url} through what HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY "
            f"and SSL_CERT_FILE say, found: {_why(error)}; set them right, or unset them"
        ) from error


def _check_proxies() -> None:
    for name, proxy in getproxies().items():
        if name != "no" and urlsplit(proxy if "://" in proxy else f"http://{proxy}").port == 0:
            raise ValueError(f"{name}: port 0 is none")


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return str(error.errors(include_url=False)[0]["msg"])
    return str(error).partition("\n")[0] or type(error).__name__
