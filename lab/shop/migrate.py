"""Bring the four databases to the state that ``deploy/postgres/`` describes.

Every file ``deploy/postgres/<database>/NNN_<what>.sql`` is applied once, in the
order of its name, each in a transaction together with the note that it was.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Final

import asyncpg

from lab.shop import topology

if TYPE_CHECKING:
    from collections.abc import Callable

MIGRATIONS: Final = Path(__file__).resolve().parent.parent.parent / "deploy" / "postgres"

_CONNECT_S: Final = 5.0
_ONE_AT_A_TIME: Final = 20_261_122
"""Key of the advisory lock that makes a second migrator wait."""


async def migrate(dsn_for: Callable[[str], str]) -> tuple[str, ...]:
    """Create what is missing and return what was applied: ``users/001_….sql``, ….

    ``dsn_for`` gives the DSN of a database by its name inside Postgres, among
    them ``postgres``, from which missing databases are created. Connect to the
    server itself, not through an edge. Nothing to do takes some milliseconds.
    """
    await _create_databases(dsn_for("postgres"))
    applied = await asyncio.gather(
        *(_apply_missing(dsn_for(database), database) for database in topology.DATABASES.values())
    )
    return tuple(name for names in applied for name in names)


async def _create_databases(dsn: str) -> None:
    connection = await asyncpg.connect(dsn, ssl=False, timeout=_CONNECT_S)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _ONE_AT_A_TIME)
        existing = {
            row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")
        }
        for database in topology.DATABASES.values():
            if database not in existing:
                await connection.execute(f"CREATE DATABASE {database}")
    finally:
        await connection.close()


async def _apply_missing(dsn: str, database: str) -> list[str]:
    connection = await asyncpg.connect(dsn, ssl=False, timeout=_CONNECT_S)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _ONE_AT_A_TIME)
        await connection.execute(
            "CREATE TABLE IF NOT EXISTS schema_migrations"
            " (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        done = {row["name"] for row in await connection.fetch("SELECT name FROM schema_migrations")}
        files = sorted((MIGRATIONS / database).glob("*.sql"))
        missing = [file for file in files if file.name not in done]
        for file in missing:
            async with connection.transaction():
                await connection.execute(file.read_text(encoding="utf-8"))
                await connection.execute(
                    "INSERT INTO schema_migrations (name) VALUES ($1)", file.name
                )
        return [f"{database}/{file.name}" for file in missing]
    finally:
        await connection.close()
