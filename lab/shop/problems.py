"""What the shop says when it cannot do as asked.

One tree::

    Problem                    status  title
    ├── UpstreamTimeout          504   Gateway Timeout    a limit fired, here or further down
    ├── UpstreamFailed           502   Bad Gateway        any other failure of a callee
    └── Rejected                 4xx   its own            the shop works and says no
        └── CardDeclined         400   Card declined      the bank said no

A foreign error (asyncpg's, httpx's) is caught in `database` and `http` alone and
re-raised as one of these, ``from`` its cause. What a customer gets to see is the
title and a support code; what happened is in the logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx


class Problem(Exception):
    """Base of all: an HTTP ``status`` and a ``title`` that names no internals."""

    status = 500
    title = "Internal Server Error"

    def extras(self) -> dict[str, str]:
        """Further members of the problem document (RFC 9457, section 3.2)."""
        return {}


class UpstreamTimeout(Problem):
    """A limit fired, here or further down."""

    status = 504
    title = "Gateway Timeout"


class UpstreamFailed(Problem):
    """A callee failed in any other way."""

    status = 502
    title = "Bad Gateway"


class Rejected(Problem):
    """The shop works and says no."""

    def __init__(self, status: int, title: str) -> None:
        super().__init__(title)
        self.status = status
        self.title = title


class CardDeclined(Rejected):
    """The bank said no; ``reason`` is its word for why."""

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(400, "Card declined")
        self.args = (message,)
        self.reason = reason

    def extras(self) -> dict[str, str]:
        """The bank's reason, which the customer may know."""
        return {"reason": self.reason}


def rejection(response: httpx.Response) -> Rejected:
    """What a callee said no to, in its own words, for the next caller up."""
    document = response.json()
    if "reason" in document:
        return CardDeclined(document["title"], reason=document["reason"])
    return Rejected(response.status_code, document["title"])
