"""Which spans a database leaves when it is well, slow, gone or given up on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from lab.adapters.stack.postgres import Server
from lab.shop.database import Database
from lab.shop.problems import UpstreamFailed, UpstreamTimeout
from lab.shop.settings import DatabaseSettings
from lab.shop.telemetry import tracer
from lab.testing import PRESENT, RecordedSpans, expect, span
from tests.services.in_memory import recorded, story
from tests.services.wires import Wires

EDGE = "notifier-orders_db"
QUERY = "SELECT id FROM orders LIMIT 1"


@pytest.fixture
def spans(wires: Wires) -> Iterator[RecordedSpans]:
    """The recorded spans; the wire is whole again after the test."""
    with recorded() as spans:
        yield spans
    wires.cut(EDGE)
    wires.mend(EDGE)


@pytest.fixture
def opened(wires: Wires, postgres: Server) -> Callable[..., Any]:
    """An open `Database` over the wire, with some settings changed."""

    @asynccontextmanager
    async def open_database(**changes: Any) -> AsyncIterator[Database]:
        dsn = f"postgresql://shop@127.0.0.1:{wires.port(EDGE)}/orders"
        settings = DatabaseSettings(port=1, database_dsn=dsn, **{"pool_min": 1, **changes})
        database = Database("orders_db", settings)
        await database.open()
        try:
            yield database
        finally:
            await database.close()

    return open_database


async def ask(database: Database) -> None:
    """One query, as a request would make it."""
    with tracer.start_as_current_span("request"):
        async with database.connection() as connection:
            await connection.fetch(QUERY)


def run(
    opened: Callable[..., Any], test: Callable[[Database], Awaitable[None]], **changes: Any
) -> None:
    async def whole() -> None:
        async with opened(**changes) as database:
            await test(database)

    asyncio.run(whole())


def asking(harm: Callable[[str], None], error: type[Exception]) -> Callable[[Database], Any]:
    """A test that asks over a wire after ``harm`` was done to it, and gets ``error``."""

    async def test(database: Database) -> None:
        harm(EDGE)
        with pytest.raises(error):
            await ask(database)

    return test


def asking_for_half_a_second(wires: Wires) -> Callable[[Database], Any]:
    """A test that asks over a silent wire and gives up before any limit of the database."""

    async def test(database: Database) -> None:
        wires.block(EDGE)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await ask(database)

    return test


def test_a_query_on_a_warm_connection(opened: Any, spans: RecordedSpans) -> None:
    """The wait for the pool, the statement and the pool's reset query each have a span."""
    run(opened, ask)
    assert story(spans) == [
        ("pool.acquire", "UNSET", ""),
        ("SELECT", "UNSET", ""),
        ("SELECT", "UNSET", ""),
        ("request", "UNSET", ""),
    ]
    (acquired,) = expect(spans).to_have(
        span("pool.acquire", attributes={"pool.size": 10, "pool.waiting": 0})
    )
    statement = {
        "db.connection.id": acquired.attributes["db.connection.id"],
        "db.system.name": "postgresql",
        "db.namespace": "orders",
        "db.response.returned_rows": PRESENT,
    }
    expect(spans).to_have(span("SELECT", peer="orders_db", attributes=statement))


def test_a_query_on_a_cold_connection(opened: Any, spans: RecordedSpans) -> None:
    """A connection that has to be opened first is a CLIENT span inside the wait for the pool."""
    run(opened, ask, pool_min=0)
    names = [name for name, _, _ in story(spans)]
    assert names == ["db.connect", "pool.acquire", "SELECT", "SELECT", "request"]
    connect = span("db.connect", kind="client", peer="orders_db")
    (connected,) = expect(spans).to_have(connect.child_of(span("pool.acquire")))
    same = {"db.connection.id": connected.attributes["db.connection.id"]}
    expect(spans).to_have(span("pool.acquire", attributes=same))


def test_a_refused_connection(opened: Any, wires: Wires, spans: RecordedSpans) -> None:
    """Nobody listens: the connect fails at once, by name, and nothing was asked."""
    run(
        opened,
        asking(wires.cut, UpstreamFailed),
        pool_min=0,
        connect_timeout="10s",
        acquire_timeout="20s",
    )
    assert story(spans)[:2] == [
        ("db.connect", "ERROR", "ConnectionRefusedError"),
        ("pool.acquire", "ERROR", "ConnectionRefusedError"),
    ]
    # No wait, whatever the limit is.
    expect(spans).to_have(span("db.connect", duration="< 1s"))


def test_a_connect_that_takes_too_long(opened: Any, wires: Wires, spans: RecordedSpans) -> None:
    """Nobody answers: the connect's own limit fires first, so the connect is what fails."""
    run(opened, asking(wires.block, UpstreamTimeout), pool_min=0)
    assert story(spans)[:2] == [
        ("db.connect", "ERROR", "TimeoutError"),
        ("pool.acquire", "ERROR", "TimeoutError"),
    ]
    expect(spans).to_have(span("db.connect", duration="390ms..800ms"))


def test_a_query_that_takes_too_long(opened: Any, wires: Wires, spans: RecordedSpans) -> None:
    """The command's limit fires once: the connection is dropped, not reset for as long again."""
    run(opened, asking(wires.block, UpstreamTimeout))
    assert story(spans)[:2] == [("pool.acquire", "UNSET", ""), ("SELECT", "ERROR", "TimeoutError")]
    expect(spans).to_have(span("SELECT", duration="990ms..2s"))
    expect(spans).to_have(span("request", duration="990ms..2s"))


def test_a_pool_that_is_used_up(opened: Any, spans: RecordedSpans) -> None:
    """Who waits in vain for the only connection fails in the pool and says how many wait."""

    async def test(database: Database) -> None:
        async with database.connection():
            with pytest.raises(UpstreamTimeout):
                await ask(database)

    run(opened, test, pool_size=1)
    waited = span("pool.acquire", exception="TimeoutError", duration="790ms..1.6s", status="error")
    expect(spans).to_have(waited, count=1)
    expect(spans).to_have(span("pool.acquire", attributes={"pool.waiting": 1}), count=1)


def test_nobody_passes_those_who_wait_for_a_connection(opened: Any, spans: RecordedSpans) -> None:
    """Not even who asks in the very moment in which the connection is freed."""
    served: list[str] = []

    async def be_served(database: Database, name: str) -> None:
        async with database.connection():
            served.append(name)

    async def keep_coming(database: Database) -> None:
        async with asyncio.TaskGroup() as crowd:
            while not served:
                crowd.create_task(be_served(database, "who came later"))
                await asyncio.sleep(0)

    async def test(database: Database) -> None:
        async with asyncio.TaskGroup() as callers, database.connection():
            callers.create_task(be_served(database, "who waited"))
            await asyncio.sleep(0.1)
            callers.create_task(keep_coming(database))
            await asyncio.sleep(0)

    run(opened, test, pool_size=1, acquire_timeout="20s")
    assert served[0] == "who waited"


def test_a_connection_that_broke_while_idle(
    opened: Any, wires: Wires, spans: RecordedSpans
) -> None:
    """A dead idle connection is replaced without an error, in the request that finds it."""

    async def test(database: Database) -> None:
        wires.cut(EDGE)
        wires.mend(EDGE)
        await asyncio.sleep(0.5)
        await ask(database)

    run(opened, test)
    assert [name for name, _, _ in story(spans)][:2] == ["db.connect", "pool.acquire"]
    expect(spans).not_to_have(status="error")


def test_a_request_that_is_given_up_in_a_query(
    opened: Any, wires: Wires, spans: RecordedSpans
) -> None:
    """A statement cut by the caller's deadline stays unset, as the instrumentation leaves it."""
    run(opened, asking_for_half_a_second(wires), command_timeout="5s")
    assert story(spans)[1] == ("SELECT", "UNSET", "")
    # The caller's 0.5 s, not its own 5 s.
    expect(spans).to_have(span("SELECT", duration="200ms..2.5s"))


def test_a_request_that_is_given_up_while_connecting(
    opened: Any, wires: Wires, spans: RecordedSpans
) -> None:
    """Connect and wait say that they were cancelled; no failure is theirs."""
    run(
        opened,
        asking_for_half_a_second(wires),
        pool_min=0,
        connect_timeout="5s",
        acquire_timeout="10s",
    )
    assert story(spans)[:2] == [
        ("db.connect", "UNSET", "cancelled"),
        ("pool.acquire", "UNSET", "cancelled"),
    ]


def test_a_connection_is_free_again_after_every_failure(
    opened: Any, wires: Wires, spans: RecordedSpans
) -> None:
    """Whatever happened to the only connection of a pool, the next request gets one."""

    async def test(database: Database) -> None:
        wires.block(EDGE)
        with pytest.raises(UpstreamTimeout):
            await ask(database)
        wires.cut(EDGE)
        with pytest.raises(UpstreamFailed):
            await ask(database)
        wires.mend(EDGE)
        await ask(database)

    run(opened, test, pool_size=1, command_timeout="200ms")
    assert story(spans)[-1] == ("request", "UNSET", "")


def test_a_transaction_that_is_left_by_an_error_is_rolled_back(
    opened: Any, spans: RecordedSpans
) -> None:
    """An exception inside ends in ROLLBACK, and the statement spans carry the attributes given."""

    async def test(database: Database) -> None:
        with tracer.start_as_current_span("request"), pytest.raises(ZeroDivisionError):
            async with database.transaction({"account_id": 7}):
                raise ZeroDivisionError

    run(opened, test)
    names = [name for name, _, _ in story(spans)]
    assert names == ["pool.acquire", "BEGIN;", "ROLLBACK;", "SELECT", "request"]
    expect(spans).to_have(span("BEGIN;", attributes={"account_id": 7}), count=1)


def test_nothing_without_a_request_leaves_a_span(opened: Any, spans: RecordedSpans) -> None:
    """Opening and closing pools leaves no spans, and a restart of the database none either."""

    async def test(database: Database) -> None:
        await asyncio.sleep(0.05)

    run(opened, test)
    assert story(spans) == []
