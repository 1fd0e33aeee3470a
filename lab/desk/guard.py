"""Who may ask the desk, and what its answers may do in a browser."""

from __future__ import annotations

import hmac
import secrets
from typing import Annotated, Final

from fastapi import Form, Request, Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lab.errors import LabError
from lab.shop.keeper import own_pages

TOKEN: Final = "desk_token"  # noqa: S105 (the name of a cookie and of a form field)

_HEADERS: Final = {
    # No file of another host, no inline script or style, no frame around the desk.
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; object-src 'none'",
    "X-Content-Type-Options": "nosniff",
    # With `no-referrer` browsers send `Origin: null` along with the desk's own forms
    # (https://fetch.spec.whatwg.org/#append-a-request-origin-header).
    "Referrer-Policy": "same-origin",
}

_OTHERS: Final = frozenset({"cross-site", "same-site"})


class ForgedRequest(LabError):
    """A form came without the token of the page it belongs to."""


class Guard:
    """Refuses foreign hosts and origins, and puts the same headers on every answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let pass what this machine's own browser or programs ask."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    own[name] = value
                # What is on a page today, a ledger may change tomorrow.
                own.setdefault("Cache-Control", "no-store")
            await send(message)

        if own_pages.is_foreign(headers.get("host", ""), headers.get("origin")):
            refusal = PlainTextResponse("only this machine's own pages may ask the desk\n", 403)
            await refusal(scope, receive, send_guarded)
            return
        await self._app(scope, receive, send_guarded)


def token_of(request: Request) -> str:
    """The token for the forms of a page: the browser's own, or a new one."""
    return request.cookies.get(TOKEN) or secrets.token_urlsafe(24)


def keep_token(response: Response, token: str) -> None:
    """Leave the token with the browser, out of reach of other sites' forms and of scripts."""
    response.set_cookie(TOKEN, token, httponly=True, samesite="lax", path="/")


def check_site(request: Request) -> None:
    """Dependency of every GET that writes into the ledger: ForgedRequest from another page.

    Browsers say so on every request (https://w3c.github.io/webappsec-fetch-metadata/), on
    those of an image or a link too, which carry no ``Origin``; programs leave it out. Another
    port of this machine is the *same site*, and its page may be anybody's.
    """
    if request.headers.get("sec-fetch-site") in _OTHERS:
        raise ForgedRequest(
            "expected this desk's own pages to lead here, because it is noted that you looked; "
            "open the case at the desk, and the page from there"
        )


def check_token(request: Request, desk_token: Annotated[str, Form()] = "") -> None:
    """Dependency of every form's POST: ForgedRequest unless form and cookie hold one token."""
    kept = request.cookies.get(TOKEN, "")
    if not kept or not hmac.compare_digest(kept.encode(), desk_token.encode()):
        raise ForgedRequest(
            "expected the form of a page of this desk; open the page again and send it from there"
        )
