"""A pool of connections to one database, with the spans that asyncpg's instrumentation lacks.

Auto-instrumentation shows statements. Waiting for a connection and opening one
would be gaps in the trace: `pool.acquire` and `db.connect` fill them, always
under a span of the request that waits, never as roots of their own.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import asyncpg
from opentelemetry import trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.trace import SpanKind
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_exponential

from lab.shop.pool_metrics import PoolCounts, publish_pool
from lab.shop.problems import UpstreamFailed, UpstreamTimeout
from lab.shop.settings import seconds
from lab.shop.telemetry import on_client_spans, tracer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from lab.shop.settings import PoolSettings

logger = logging.getLogger(__name__)

_CONNECTION_LOST: Final = (
    TimeoutError,
    OSError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
)
"""After one of these nothing is known of the connection, and the server undoes its work."""


class _Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg ships no types
    """A connection that says on a statement's span how many rows came back.

    There is no public hook between a statement and the span round it, and
    asyncpg's version is pinned.
    """

    async def _execute(self, *args: Any, return_status: bool = False, **options: Any) -> Any:
        result = await super()._execute(*args, return_status=return_status, **options)
        if not return_status:
            trace.get_current_span().set_attribute("db.response.returned_rows", len(result))
        return result


class Database:
    """The pool of one service; ``peer`` is the database's name in the topology.

    A connection on which a limit fired is terminated: a plain release would
    wait for the pool's reset query as well and so double the time.

    Who came first is served first. asyncpg's own queue lets a caller that comes
    just as a connection is freed pass those that wait for it.
    """

    def __init__(self, peer: str, settings: PoolSettings) -> None:
        address = urlsplit(settings.database_dsn)
        self._settings = settings
        self._pool: asyncpg.Pool | None = None
        self._line = asyncio.Semaphore(settings.pool_size)
        self._entering = 0
        self._taken = 0
        self._attributes: dict[str, str | int] = {
            "service.peer.name": peer,
            "db.system.name": "postgresql",
            "db.namespace": address.path.lstrip("/"),
            "server.address": address.hostname or "",
            "server.port": address.port or 5432,
        }

    async def open(self) -> None:
        """Connect the pool, trying until the database answers."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type((*_CONNECTION_LOST, asyncpg.PostgresError)),
            wait=wait_exponential(multiplier=0.05, max=1),
            before_sleep=_say_what_is_missing,
        )
        with suppress_instrumentation():
            self._pool = await retrying(self._connect_pool)
        publish_pool(
            str(self._attributes["service.peer.name"]), self._settings.pool_size, self._counts
        )

    async def close(self) -> None:
        """Drop every connection. Nothing is waited for: requests have ended by now."""
        if self._pool is not None:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[asyncpg.Connection]:
        """Borrow a connection.

        Raises `UpstreamTimeout` where a limit fired and `UpstreamFailed` where
        the database could not be reached or the connection broke.
        """
        try:
            borrowed = await self._acquire()
            try:
                peer: dict[str, str | int] = {
                    "service.peer.name": self._attributes["service.peer.name"],
                    "db.connection.id": borrowed.get_server_pid(),
                }
                with on_client_spans(peer):
                    try:
                        yield borrowed
                    except (*_CONNECTION_LOST, asyncio.CancelledError):
                        borrowed.terminate()
                        raise
                    finally:
                        await self._release(borrowed)
            finally:
                self._taken -= 1
                self._line.release()
        except (TimeoutError, asyncpg.QueryCanceledError) as error:
            logger.error("Connection timeout")  # noqa: TRY400 -- a stack says nothing more
            raise UpstreamTimeout from error
        except (*_CONNECTION_LOST, asyncpg.PostgresError) as error:
            logger.error("Database failed: %s", type(error).__name__)  # noqa: TRY400
            raise UpstreamFailed from error

    @asynccontextmanager
    async def transaction(
        self, attributes: Mapping[str, str | int] | None = None
    ) -> AsyncIterator[asyncpg.Connection]:
        """Borrow a connection with a transaction open on it; ``attributes`` go on its spans.

        Leaving by an exception rolls back. Where the connection was lost the
        server does that by itself; asyncpg's own transaction block would wait
        for the answer to a ``ROLLBACK`` that cannot come.
        """
        async with self.connection() as connection:
            with on_client_spans(attributes or {}):
                await connection.execute("BEGIN;")
                try:
                    yield connection
                except _CONNECTION_LOST:
                    raise
                except Exception:
                    await connection.execute("ROLLBACK;")
                    raise
                await connection.execute("COMMIT;")

    async def _connect_pool(self) -> asyncpg.Pool:
        settings = self._settings
        return await asyncpg.create_pool(
            settings.database_dsn,
            # A floor would be kept by reconnects in the background, which belong
            # to no request; so the pool starts warm and refills on demand.
            min_size=0,
            init_size=min(settings.pool_min, settings.pool_size),
            max_size=settings.pool_size,
            max_inactive_connection_lifetime=settings.idle_lifetime.total_seconds(),
            timeout=seconds(settings.connect_timeout),
            command_timeout=seconds(settings.command_timeout),
            # By default statements age out after 300 s, and the next request on that
            # connection pays a round trip for each: time its trace could not explain.
            max_cached_statement_lifetime=0,
            connect=self._connect,
            connection_class=_Connection,
            ssl=False,
        )

    async def _connect(self, *args: Any, **options: Any) -> asyncpg.Connection:
        if not trace.get_current_span().is_recording():
            return await asyncpg.connect(*args, **options)
        with tracer.start_as_current_span(
            "db.connect", kind=SpanKind.CLIENT, attributes=self._attributes
        ) as span:
            try:
                connection = await asyncpg.connect(*args, **options)
            except asyncio.CancelledError:
                span.add_event("cancelled")
                raise
            span.set_attribute("db.connection.id", connection.get_server_pid())
            return connection

    async def _acquire(self) -> asyncpg.Connection:
        """Take a connection, in a span if the caller has one; it must be counted back."""
        if not trace.get_current_span().is_recording():
            return await self._take()
        with tracer.start_as_current_span("pool.acquire", attributes=self._attributes) as span:
            span.set_attribute("pool.size", self._settings.pool_size)
            span.set_attribute("pool.waiting", self._waiting_with_me())
            try:
                connection = await self._take()
            except asyncio.CancelledError:
                span.add_event("cancelled")
                raise
            span.set_attribute("db.connection.id", connection.get_server_pid())
            return connection

    def _counts(self) -> PoolCounts:
        idle = self._pool.get_idle_size() if self._pool is not None else 0
        return PoolCounts(used=self._taken, idle=idle, pending=self._entering)

    def _waiting_with_me(self) -> int:
        """How many callers, the next one included, can have no connection before one is freed."""
        return max(0, self._taken + self._entering + 1 - self._settings.pool_size)

    async def _take(self) -> asyncpg.Connection:
        if self._pool is None:
            raise ConnectionError("the pool is not connected yet")
        self._entering += 1
        try:
            # Not by acquire's own timeout: the pool would keep it for the reset
            # query at release and cut that short without a trace of why.
            async with asyncio.timeout(seconds(self._settings.acquire_timeout)):
                await self._line.acquire()
                try:
                    connection = await self._pool.acquire()
                except BaseException:
                    self._line.release()
                    raise
        finally:
            self._entering -= 1
        self._taken += 1
        return connection

    async def _release(self, connection: asyncpg.Connection) -> None:
        """Give a connection back; what was asked is done, so no failure here undoes it."""
        if self._pool is None:
            return
        try:
            await self._pool.release(connection)
        except _CONNECTION_LOST as error:
            logger.warning("Connection lost at its release: %s", type(error).__name__)


def _say_what_is_missing(attempt: RetryCallState) -> None:
    error = attempt.outcome.exception() if attempt.outcome else None
    logger.warning("The database is not there yet: %s", type(error).__name__)
