"""How it is bought: price the cart, reserve stock, charge, and only then place the order."""

from __future__ import annotations

import asyncio
import json
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated
from uuid import UUID, uuid4

from fastapi import APIRouter
from opentelemetry import propagate, trace
from opentelemetry.trace import SpanKind
from pydantic import BaseModel, Field

from lab.shop.app import shop_app
from lab.shop.database import Database
from lab.shop.http import Upstream
from lab.shop.problems import CardDeclined, Problem, Rejected, UpstreamTimeout, rejection
from lab.shop.settings import CheckoutSettings, seconds
from lab.shop.telemetry import on_client_spans, tracer

if TYPE_CHECKING:
    import asyncpg
    from fastapi import FastAPI

    from lab.shop.telemetry import SpanCounter

logger = logging.getLogger(__name__)

CURRENCY = "EUR"
INSERT_ORDER = (
    "INSERT INTO orders (id, user_id, total_cents, currency, lines, authorization_code)"
    " VALUES ($1, $2, $3, $4, $5, $6)"
)
INSERT_MESSAGE = "INSERT INTO outbox (order_id, email, headers) VALUES ($1, $2, $3)"
FIND_ORDER = (
    "SELECT id, total_cents, currency, lines, created_at FROM orders WHERE id = $1 AND user_id = $2"
)
FIND_RECENT = (
    "SELECT id AS order_id, total_cents, currency FROM orders WHERE user_id = $1"
    " ORDER BY created_at DESC LIMIT 5"
)


class Item(BaseModel):
    """So many of a product."""

    product_id: Annotated[int, Field(ge=1, le=2**31 - 1)]
    quantity: Annotated[int, Field(ge=1, le=100)]


class PricedItem(Item):
    """So many of a product, at the price of one."""

    price_cents: int


class Cart(BaseModel):
    """What a user wants to buy, and the card that pays."""

    user_id: int
    email: str
    items: Annotated[list[Item], Field(min_length=1, max_length=100)]
    card_number: str


class PlacedOrder(BaseModel):
    """An order that was paid and stored."""

    order_id: UUID
    total_cents: int
    currency: str = CURRENCY


class Receipt(PlacedOrder):
    """A placed order, and the product that goes with its first item, if there is one."""

    related_id: int | None


class StoredOrder(PlacedOrder):
    """An order as it is kept."""

    lines: list[PricedItem]
    created_at: str


class Checkout:
    """The three steps of buying, each against one callee."""

    def __init__(self, settings: CheckoutSettings) -> None:
        self.catalog = Upstream("catalog", settings.catalog_url, settings.catalog_timeout, settings)
        self.payments = Upstream(
            "payments", settings.payments_url, settings.payments_timeout, settings
        )
        self.orders = Database("orders_db", settings)
        self._batch_size = settings.price_batch_size
        self._deadline_s = seconds(settings.request_deadline)

    async def buy(self, cart: Cart) -> Receipt:
        """Price, reserve, charge, place. A declined card puts the stock back on the shelf.

        After a charge of unknown outcome the stock stays reserved: goods that
        may be paid for are not sold twice.
        """
        order_id = uuid4()
        trace.get_current_span().set_attribute("order_id", str(order_id))
        with on_client_spans({"order_id": str(order_id)}):
            return await self._buy(order_id, cart)

    async def _buy(self, order_id: UUID, cart: Cart) -> Receipt:
        lines = await self._price(cart.items)
        related_id = await self._related(cart.items[0])
        order = PlacedOrder(
            order_id=order_id, total_cents=sum(line.price_cents * line.quantity for line in lines)
        )
        await self._move_stock("/reservations", cart.items)
        try:
            authorization = await self._charge(order, cart)
        except CardDeclined:
            await self._move_stock("/releases", cart.items)
            raise
        await self._place(order, lines, cart, authorization)
        return Receipt(**order.model_dump(), related_id=related_id)

    async def _related(self, item: Item) -> int | None:
        """What to show beside the receipt; an order never fails for want of it."""
        path = f"/related?product_id={item.product_id}"
        try:
            response = await self.catalog.call("GET", path, exchange="fetch_related")
        except Problem:
            return None
        return None if response.is_error else int(response.json()["product_id"])

    async def _price(self, items: list[Item]) -> list[PricedItem]:
        with tracer.start_as_current_span("price_cart") as span:
            span.set_attribute("cart.lines", len(items))
            prices: dict[int, int] = {}
            for start in range(0, len(items), self._batch_size):
                batch = items[start : start + self._batch_size]
                ids = "&".join(f"ids={item.product_id}" for item in batch)
                response = await self.catalog.call("GET", f"/prices?{ids}")
                prices |= {row["product_id"]: row["price_cents"] for row in response.json()}
        if any(item.product_id not in prices for item in items):
            raise Rejected(400, "Unknown product")
        return [
            PricedItem(**item.model_dump(), price_cents=prices[item.product_id]) for item in items
        ]

    async def _move_stock(self, path: str, items: list[Item]) -> None:
        response = await self.catalog.call("POST", path, json=[item.model_dump() for item in items])
        if response.is_error:
            raise rejection(response)

    async def _charge(self, order: PlacedOrder, cart: Cart) -> str:
        response = await self.payments.call(
            "POST",
            "/charges",
            json={
                "order_id": str(order.order_id),
                "amount_cents": order.total_cents,
                "currency": order.currency,
                "card_number": cart.card_number,
                "email": cart.email,
            },
        )
        if response.is_error:
            raise rejection(response)
        return str(response.json()["authorization"])

    async def _place(
        self, order: PlacedOrder, lines: list[PricedItem], cart: Cart, authorization: str
    ) -> None:
        """Store the order and the message about it in one transaction, within the deadline."""
        try:
            with tracer.start_as_current_span(
                "place_order", attributes={"order_id": str(order.order_id)}
            ):
                async with (
                    asyncio.timeout(self._deadline_s),
                    self.orders.transaction() as connection,
                ):
                    await connection.execute(
                        INSERT_ORDER,
                        order.order_id,
                        cart.user_id,
                        order.total_cents,
                        order.currency,
                        json.dumps([line.model_dump() for line in lines]),
                        authorization,
                    )
                    await _send(connection, order.order_id, cart.email)
        except TimeoutError as error:
            logger.error("TimeoutError in place_order")  # noqa: TRY400 -- no stack is needed
            raise UpstreamTimeout from error

    async def find(self, order_id: UUID, user_id: int) -> StoredOrder:
        """An order of this user's own."""
        async with self.orders.connection() as connection:
            row = await connection.fetchrow(FIND_ORDER, order_id, user_id)
        if row is None:
            raise Rejected(404, "Unknown order")
        return StoredOrder(
            order_id=row["id"],
            total_cents=row["total_cents"],
            currency=row["currency"],
            lines=json.loads(row["lines"]),
            created_at=row["created_at"].isoformat(),
        )

    async def recent(self, user_id: int) -> list[PlacedOrder]:
        """This user's last five orders, the newest first."""
        async with self.orders.connection() as connection:
            rows = await connection.fetch(FIND_RECENT, user_id)
        return [PlacedOrder(**row) for row in rows]


async def _send(connection: asyncpg.Connection, order_id: UUID, email: str) -> None:
    """Put a message into the outbox that carries the context of its PRODUCER span."""
    attributes = {
        "messaging.system": "postgresql",
        "messaging.destination.name": "outbox",
        "messaging.operation.type": "send",
        "order_id": str(order_id),
    }
    with tracer.start_as_current_span("send outbox", kind=SpanKind.PRODUCER, attributes=attributes):
        headers: dict[str, str] = {}
        propagate.inject(headers)
        await connection.execute(INSERT_MESSAGE, order_id, email, json.dumps(headers))


def create(settings: CheckoutSettings, counter: SpanCounter) -> FastAPI:
    """Checkout, with catalog, payments and a pool of connections to ``orders_db``."""
    router = APIRouter()
    checkout = Checkout(settings)

    @router.post("/checkout", status_code=HTTPStatus.CREATED)
    async def buy(cart: Cart) -> Receipt:
        return await checkout.buy(cart)

    @router.get("/recent")
    async def recent(user_id: int) -> list[PlacedOrder]:
        return await checkout.recent(user_id)

    @router.get("/orders/{order_id}")
    async def order(order_id: UUID, user_id: int) -> StoredOrder:
        return await checkout.find(order_id, user_id)

    return shop_app(counter, router, [checkout.orders, checkout.catalog, checkout.payments])
