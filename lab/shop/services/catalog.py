"""What there is to buy: pages, single products, prices, stock; and the cache before them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import asyncpg
from fastapi import APIRouter, Path, Query
from pydantic import BaseModel

from lab.shop.app import shop_app
from lab.shop.database import Database
from lab.shop.problems import Rejected
from lab.shop.settings import CatalogSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lab.shop.telemetry import SpanCounter
import asyncio
import time
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import TYPE_CHECKING, Generic, TypeVar

from lab.shop.telemetry import tracer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

Value = TypeVar("Value")


class Cache(Generic[Value]):
    """Values by key, each for ``ttl``.

    With ``single_flight`` a missing value is fetched once for all who wait for
    it. A ``ttl`` of zero keeps nothing, so nobody waits for anybody either.
    """

    def __init__(self, ttl: timedelta, *, single_flight: bool) -> None:
        self._ttl_s = ttl.total_seconds()
        self._single_flight = single_flight and self._ttl_s > 0
        self._kept: dict[str, tuple[float, Value]] = {}
        self._flights: dict[str, asyncio.Lock] = {}

    async def lookup(self, key: str, fetch: Callable[[], Awaitable[Value]]) -> Value:
        """The value of ``key``, by ``fetch`` if it is missing or too old.

        The span ``cache.lookup`` lasts until the value is there, fetching included.
        """
        with tracer.start_as_current_span("cache.lookup", attributes={"cache.key": key}) as span:
            async with self._flight(key):
                value = self._fresh(key)
                span.set_attribute("cache.hit", value is not None)
                if value is None:
                    value = await fetch()
                    if self._ttl_s > 0:
                        self._kept[key] = (time.monotonic() + self._ttl_s, value)
                return value

    def _fresh(self, key: str) -> Value | None:
        expires_s, value = self._kept.get(key, (0.0, None))
        return value if time.monotonic() < expires_s else None

    def _flight(self, key: str) -> AbstractAsyncContextManager[object]:
        return (
            self._flights.setdefault(key, asyncio.Lock()) if self._single_flight else nullcontext()
        )


FIND_PAGE = (
    "SELECT id AS product_id, name, price_cents, description FROM products"
    " WHERE tenant_id = $1 AND ($2 = '' OR name ILIKE '%' || $2 || '%')"
    " ORDER BY id LIMIT $3 OFFSET $4"
)
FIND_PRODUCT = (
    "SELECT id AS product_id, name, price_cents, description, quantity AS stock"
    " FROM products JOIN stock ON stock.product_id = products.id WHERE id = $1"
)
FIND_RELATED = (
    "SELECT id AS product_id, name, price_cents, description"
    " FROM products JOIN related ON related.related_id = products.id WHERE related.product_id = $1"
)
FIND_FEATURED = (
    "SELECT id AS product_id, name, price_cents, description FROM products"
    " WHERE tenant_id = $1 ORDER BY price_cents DESC, id LIMIT 5"
)
FIND_PRICES = "SELECT id AS product_id, price_cents FROM products WHERE id = ANY($1::int[])"
# Rows are locked in the order of their ids, or two carts could wait for each other.
TAKE_FROM_STOCK = (
    "UPDATE stock SET quantity = stock.quantity - wanted.quantity FROM ("
    "SELECT stock.product_id, line.quantity FROM stock"
    " JOIN unnest($1::int[], $2::int[]) AS line (product_id, quantity)"
    " ON line.product_id = stock.product_id ORDER BY stock.product_id FOR UPDATE OF stock"
    ") AS wanted WHERE stock.product_id = wanted.product_id"
)

MAX_ID = 2**31 - 1


class Product(BaseModel):
    """A line of a catalogue page."""

    product_id: int
    name: str
    price_cents: int
    description: str


class StockedProduct(Product):
    """A product's own page."""

    stock: int


class Page(BaseModel):
    """One page of a tenant's assortment."""

    items: list[Product]
    page: int


class Price(BaseModel):
    """What one of a product costs."""

    product_id: int
    price_cents: int


class Line(BaseModel):
    """So many of a product."""

    product_id: int
    quantity: int


def create(settings: CatalogSettings, counter: SpanCounter) -> FastAPI:
    """Catalog, with its pool of connections to ``catalog_db``."""
    router = APIRouter()
    shelf = Database("catalog_db", settings)
    cache: Cache[StockedProduct] = Cache(settings.cache_ttl, single_flight=settings.single_flight)

    @router.get("/products")
    async def page(
        owner: str,
        page: Annotated[int, Query(ge=1, le=10_000)] = 1,
        size: Annotated[int, Query(ge=1, le=2000)] = 24,
        q: Annotated[str, Query(max_length=100)] = "",
    ) -> Page:
        async with shelf.connection() as connection:
            rows = await connection.fetch(FIND_PAGE, owner, q, size, (page - 1) * size)
        return Page(items=[Product(**row) for row in rows], page=page)

    @router.get("/products/{product_id}")
    async def product(product_id: Annotated[int, Path(ge=1, le=MAX_ID)]) -> StockedProduct:
        async def from_shelf() -> StockedProduct:
            async with shelf.connection() as connection:
                row = await connection.fetchrow(FIND_PRODUCT, product_id)
            if row is None:
                raise Rejected(404, "Unknown product")
            return StockedProduct(**row)

        return await cache.lookup(f"product:{product_id}", from_shelf)

    @router.get("/prices")
    async def prices(ids: Annotated[list[int], Query(min_length=1, max_length=100)]) -> list[Price]:
        async with shelf.connection() as connection:
            rows = await connection.fetch(FIND_PRICES, ids)
        return [Price(**row) for row in rows]

    @router.post("/reservations", status_code=201)
    async def reserve(lines: list[Line]) -> None:
        async with shelf.connection() as connection:
            await _take_from_stock(connection, lines)

    @router.post("/releases", status_code=201)
    async def release(lines: list[Line]) -> None:
        async with shelf.connection() as connection:
            back = [Line(product_id=line.product_id, quantity=-line.quantity) for line in lines]
            await _take_from_stock(connection, back)

    _add_suggestions(router, shelf)
    return shop_app(counter, router, [shelf])


def _add_suggestions(router: APIRouter, shelf: Database) -> None:
    """What a customer may want to see as well."""

    @router.get("/related")
    async def related(product_id: Annotated[int, Query(ge=1, le=MAX_ID)]) -> Product:
        async with shelf.connection() as connection:
            row = await connection.fetchrow(FIND_RELATED, product_id)
        if row is None:
            raise Rejected(404, "Nothing goes with it")
        return Product(**row)

    @router.get("/featured")
    async def featured(owner: str) -> list[Product]:
        async with shelf.connection() as connection:
            rows = await connection.fetch(FIND_FEATURED, owner)
        return [Product(**row) for row in rows]


async def _take_from_stock(connection: asyncpg.Connection, lines: list[Line]) -> None:
    try:
        await connection.execute(
            TAKE_FROM_STOCK,
            [line.product_id for line in lines],
            [line.quantity for line in lines],
        )
    except asyncpg.CheckViolationError as error:
        raise Rejected(409, "Out of stock") from error
