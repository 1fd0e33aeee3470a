"""Who is asking: passwords in exchange for tokens, tokens for users."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from pydantic import BaseModel

from lab.shop.app import shop_app
from lab.shop.database import Database
from lab.shop.problems import Rejected
from lab.shop.settings import AuthSettings

if TYPE_CHECKING:
    import asyncpg
    from fastapi import FastAPI

    from lab.shop.telemetry import SpanCounter

FIND_USER = "SELECT id, tenant_id, email, salt, password_sha256 FROM users WHERE email = $1"
OPEN_SESSION = (
    "INSERT INTO sessions (token_sha256, user_id, expires_at) VALUES ($1, $2, now() + $3)"
)
FIND_SESSION = (
    "SELECT users.id, users.tenant_id, users.email FROM sessions"
    " JOIN users ON users.id = sessions.user_id"
    " WHERE sessions.token_sha256 = $1 AND sessions.expires_at > now()"
)


class Password(BaseModel):
    """What a customer knows."""

    password: str


class User(BaseModel):
    """Whom a token stands for."""

    user_id: int
    tenant_id: str
    email: str


class Session(User):
    """A user and the token that will stand for them."""

    token: str


def create(settings: AuthSettings, counter: SpanCounter) -> FastAPI:
    """Auth, with its pool of connections to ``users_db``."""
    router = APIRouter()
    users = Database("users_db", settings)

    @router.post("/sessions", status_code=201)
    async def log_in(email: str, body: Password) -> Session:
        async with users.connection() as connection:
            user = await connection.fetchrow(FIND_USER, email)
            if user is None or not _matches(body.password, user):
                raise Rejected(401, "Unknown e-mail or wrong password")
            token = secrets.token_urlsafe(32)
            await connection.execute(
                OPEN_SESSION, _digest(token), user["id"], settings.session_lifetime
            )
        return Session(
            token=token, user_id=user["id"], tenant_id=user["tenant_id"], email=user["email"]
        )

    @router.get("/session")
    async def who_is_it(request: Request) -> User:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            raise Rejected(401, "Log in first")
        async with users.connection() as connection:
            user = await connection.fetchrow(FIND_SESSION, _digest(token))
        if user is None:
            raise Rejected(401, "Log in first")
        return User(user_id=user["id"], tenant_id=user["tenant_id"], email=user["email"])

    return shop_app(counter, router, [users])


def _digest(token: str) -> bytes:
    """What is stored of a token: enough to know it again, useless to whoever reads the table."""
    return hashlib.sha256(token.encode()).digest()


def _matches(password: str, user: asyncpg.Record) -> bool:
    """Compare in constant time.

    One round of salted SHA-256 is weak against theft of the table and chosen
    with open eyes: a slow hash would make the machine's cores, not the
    network, the bottleneck of every experiment.
    """
    given = hashlib.sha256(user["salt"] + password.encode()).digest()
    return hmac.compare_digest(given, user["password_sha256"])
