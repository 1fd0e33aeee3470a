"""Which spans a database leaves when it is well, slow, gone or given up on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from lab.adapters.stack.postgres import Server
from lab.shop.database import Database
from lab.shop.problems import UpstreamFailed, UpstreamTimeout
from lab.shop.settings import DatabaseSettings
from lab.shop.telemetry import tracer
from tests.services.in_memory import duration_s, recorded, story
from tests.services.wires import Wires

EDGE = "notifier-orders_db"
QUERY = "SELECT id FROM orders LIMIT 1"


@pytest.fixture
def spans(wires: Wires) -> Iterator[InMemorySpanExporter]:
    """The recorded spans; the wire is whole again after the test."""
    with recorded() as exporter:
        yield exporter
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


def test_a_query_on_a_warm_connection(opened: Any, spans: InMemorySpanExporter) -> None:
    """The wait for the pool, the statement and the pool's reset query each have a span."""
    run(opened, ask)
    assert story(spans) == [
        ("pool.acquire", "UNSET", ""),
        ("SELECT", "UNSET", ""),
        ("SELECT", "UNSET", ""),
        ("request", "UNSET", ""),
    ]
    acquired, statement, *_ = (dict(span.attributes or {}) for span in spans.get_finished_spans())
    assert acquired["pool.size"] == 10
    assert acquired["pool.waiting"] == 0
    assert acquired["db.connection.id"] == statement["db.connection.id"]
    assert statement["service.peer.name"] == "orders_db"
    assert statement["db.system.name"] == "postgresql"
    assert statement["db.namespace"] == "orders"
    assert "db.response.returned_rows" in statement


def test_a_query_on_a_cold_connection(opened: Any, spans: InMemorySpanExporter) -> None:
    """A connection that has to be opened first is a CLIENT span inside the wait for the pool."""
    run(opened, ask, pool_min=0)
    names = [name for name, _, _ in story(spans)]
    assert names == ["db.connect", "pool.acquire", "SELECT", "SELECT", "request"]
    connect, acquire, *_ = spans.get_finished_spans()
    assert acquire.context is not None
    assert connect.parent is not None
    assert connect.parent.span_id == acquire.context.span_id
    attributes = dict(connect.attributes or {})
    assert attributes["service.peer.name"] == "orders_db"
    assert attributes["db.connection.id"] == dict(acquire.attributes or {})["db.connection.id"]


def test_a_refused_connection(opened: Any, wires: Wires, spans: InMemorySpanExporter) -> None:
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
    assert duration_s(spans, "db.connect") < 1, "expected no wait, whatever the limit is"


def test_a_connect_that_takes_too_long(
    opened: Any, wires: Wires, spans: InMemorySpanExporter
) -> None:
    """Nobody answers: the connect's own limit fires first, so the connect is what fails."""
    run(opened, asking(wires.block, UpstreamTimeout), pool_min=0)
    assert story(spans)[:2] == [
        ("db.connect", "ERROR", "TimeoutError"),
        ("pool.acquire", "ERROR", "TimeoutError"),
    ]
    assert 0.39 <= duration_s(spans, "db.connect") < 0.8


def test_a_query_that_takes_too_long(
    opened: Any, wires: Wires, spans: InMemorySpanExporter
) -> None:
    """The command's limit fires once: the connection is dropped, not reset for as long again."""
    run(opened, asking(wires.block, UpstreamTimeout))
    assert story(spans)[:2] == [("pool.acquire", "UNSET", ""), ("SELECT", "ERROR", "TimeoutError")]
    assert 0.99 <= duration_s(spans, "SELECT") < 2.0
    assert 0.99 <= duration_s(spans, "request") < 2.0


def test_a_pool_that_is_used_up(opened: Any, spans: InMemorySpanExporter) -> None:
    """Who waits in vain for the only connection fails in the pool and says how many wait."""

    async def test(database: Database) -> None:
        async with database.connection():
            with pytest.raises(UpstreamTimeout):
                await ask(database)

    run(opened, test, pool_size=1)
    (acquire,) = [span for span in spans.get_finished_spans() if span.name == "pool.acquire"]
    assert story(spans)[0] == ("pool.acquire", "ERROR", "TimeoutError")
    assert (acquire.attributes or {})["pool.waiting"] == 1
    assert 0.79 <= duration_s(spans, "pool.acquire") < 1.6


def test_nobody_passes_those_who_wait_for_a_connection(
    opened: Any, spans: InMemorySpanExporter
) -> None:
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
    opened: Any, wires: Wires, spans: InMemorySpanExporter
) -> None:
    """A dead idle connection is replaced without an error, in the request that finds it."""

    async def test(database: Database) -> None:
        wires.cut(EDGE)
        wires.mend(EDGE)
        await asyncio.sleep(0.5)
        await ask(database)

    run(opened, test)
    assert [name for name, _, _ in story(spans)][:2] == ["db.connect", "pool.acquire"]
    assert {status for _, status, _ in story(spans)} == {"UNSET"}


def test_a_request_that_is_given_up_in_a_query(
    opened: Any, wires: Wires, spans: InMemorySpanExporter
) -> None:
    """A statement cut by the caller's deadline stays unset, as the instrumentation leaves it."""
    run(opened, asking_for_half_a_second(wires), command_timeout="5s")
    assert story(spans)[1] == ("SELECT", "UNSET", "")
    assert 0.2 <= duration_s(spans, "SELECT") < 2.5, "expected the caller's 0.5 s, not its own 5 s"


def test_a_request_that_is_given_up_while_connecting(
    opened: Any, wires: Wires, spans: InMemorySpanExporter
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
    opened: Any, wires: Wires, spans: InMemorySpanExporter
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
    opened: Any, spans: InMemorySpanExporter
) -> None:
    """An exception inside ends in ROLLBACK, and the statement spans carry the attributes given."""

    async def test(database: Database) -> None:
        with tracer.start_as_current_span("request"), pytest.raises(ZeroDivisionError):
            async with database.transaction({"account_id": 7}):
                raise ZeroDivisionError

    run(opened, test)
    names = [name for name, _, _ in story(spans)]
    assert names == ["pool.acquire", "BEGIN;", "ROLLBACK;", "SELECT", "request"]
    begin = spans.get_finished_spans()[1]
    assert (begin.attributes or {})["account_id"] == 7


def test_nothing_without_a_request_leaves_a_span(opened: Any, spans: InMemorySpanExporter) -> None:
    """Opening and closing pools leaves no spans, and a restart of the database none either."""

    async def test(database: Database) -> None:
        await asyncio.sleep(0.05)

    run(opened, test)
    assert story(spans) == []
