"""What the migrations leave in the databases, and that they leave it once."""

from __future__ import annotations

import asyncio
import hashlib

import asyncpg
import pytest

from lab.adapters.stack.postgres import Server
from lab.load.actors import TENANTS
from lab.shop.migrate import migrate


async def value(server: Server, database: str, query: str) -> object:
    connection = await asyncpg.connect(server.dsn(database), ssl=False)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


@pytest.mark.parametrize(
    ("database", "query", "expected"),
    [
        ("users", "SELECT count(*) FROM users", 1200),
        ("users", "SELECT count(*) FROM users WHERE tenant_id = 'acme'", 120),
        ("users", "SELECT string_agg(DISTINCT tenant_id, ' ') FROM users", " ".join(TENANTS)),
        ("users", "SELECT tenant_id FROM users WHERE email = 'user0011@example.com'", "birch"),
        ("catalog", "SELECT count(*) FROM products WHERE tenant_id = 'acme'", 1500),
        ("catalog", "SELECT count(*) FROM products WHERE tenant_id = 'juniper'", 20),
        ("catalog", "SELECT count(*) FROM products WHERE tenant_id IS NULL", 0),
        ("catalog", "SELECT count(*) FROM related", 840),
        ("catalog", "SELECT count(*) FROM stock WHERE quantity > 1000000", 1680),
        ("ledger", "SELECT name FROM accounts WHERE id = 1", "merchant"),
    ],
)
def test_the_seed_is_what_the_cases_count_on(
    postgres: Server, database: str, query: str, expected: object
) -> None:
    """Users, tenants, products, stock and accounts are there in the promised numbers."""
    assert asyncio.run(value(postgres, database, query)) == expected


def test_a_second_run_applies_nothing(postgres: Server) -> None:
    """What was applied is noted and not applied again."""
    assert asyncio.run(migrate(postgres.dsn)) == ()


def test_passwords_are_salted(postgres: Server) -> None:
    """The digest of a seeded password needs the user's own salt."""
    query = "SELECT password_sha256 = sha256(salt || 'password-0042') FROM users WHERE id = 42"
    assert asyncio.run(value(postgres, "users", query)) is True
    stored = asyncio.run(
        value(postgres, "users", "SELECT password_sha256 FROM users WHERE id = 42")
    )
    assert stored != hashlib.sha256(b"password-0042").digest()
