"""The shop's own page: a few files, and where its browser may send spans to."""

from __future__ import annotations

from pathlib import Path
from string import Template
from types import MappingProxyType
from typing import Final

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response

from lab.shop.problems import Rejected

_FRONT: Final = Path(__file__).parent / "front"
_MEDIA_TYPES: Final = MappingProxyType({".css": "text/css", ".js": "text/javascript"})


def storefront(otlp_url: str) -> APIRouter:
    """``GET /`` and its files; ``otlp_url`` is the Collector as a browser reaches it, or empty.

    The files are read once. A page that may send its token to nobody but the shop, and its
    spans to nobody but the Collector, cannot be made to tell anybody else.
    """
    page = Template((_FRONT / "index.html").read_text("utf-8")).substitute(otlp_url=otlp_url)
    files = {
        path.name: (path.read_bytes(), _MEDIA_TYPES[path.suffix])
        for path in _FRONT.iterdir()
        if path.suffix in _MEDIA_TYPES
    }
    policy = f"default-src 'self'; connect-src 'self' {otlp_url}; img-src data:; base-uri 'none'"
    headers = {"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff"}
    router = APIRouter()

    @router.get("/")
    async def front() -> HTMLResponse:
        return HTMLResponse(page, headers=headers)

    @router.get("/front/{name}")
    async def file(name: str) -> Response:
        if name not in files:
            raise Rejected(404, "Not Found")
        content, media_type = files[name]
        return Response(content, media_type=media_type, headers=headers)

    return router
