"""The door of the shop: knows who is asking and whom to ask."""

import asyncio
import logging
from http import HTTPStatus
from typing import Annotated, Any, Final
from urllib.parse import urlencode
from uuid import UUID

import httpx
from fastapi import APIRouter, Depends, FastAPI, Path, Query, Request
from opentelemetry import baggage, context, trace
from pydantic import BaseModel, Field

from lab.shop.app import shop_app
from lab.shop.http import Upstream
from lab.shop.problems import Problem, rejection
from lab.shop.settings import GatewaySettings
from lab.shop.storefront import storefront
from lab.shop.telemetry import SpanCounter

MAX_ID = 2**31 - 1


# First digits as the networks give them out (ISO/IEC 7812), then four fours.
CARD: Final = (
    r"^(?:4[0-9]|5[0-8]|2[2-7]|3[05689]|6[0-9])[0-9]{2}"
    r"(?:[0-9]{12}|(?: [0-9]{4}){3}|(?:-[0-9]{4}){3})$"
)


class Credentials(BaseModel):
    """What a customer types in."""

    email: Annotated[str, Field(max_length=200)]
    password: Annotated[str, Field(max_length=200)]


class LoggedIn(BaseModel):
    """A token, and whom it stands for."""

    token: str
    user_id: int
    tenant_id: str


class Item(BaseModel):
    """So many of a product."""

    product_id: Annotated[int, Field(ge=1, le=MAX_ID)]
    quantity: Annotated[int, Field(ge=1, le=100)]


class Card(BaseModel):
    """A payment card of any network, in four fours with or without spaces or dashes.

    Whatever else somebody types ends here, and is in no log: a mask knows a card by these.
    """

    number: Annotated[str, Field(pattern=CARD)]


class Basket(BaseModel):
    """What a customer wants to buy."""

    items: Annotated[list[Item], Field(min_length=1, max_length=100)]
    card: Card


class User(BaseModel):
    """Who is asking."""

    user_id: int
    tenant_id: str
    email: str


class Gateway:
    """The three services behind the door."""

    def __init__(self, settings: GatewaySettings) -> None:
        self.auth = Upstream("auth", settings.auth_url, settings.auth_timeout, settings)
        self.catalog = Upstream(
            "catalog",
            settings.catalog_url,
            settings.catalog_timeout,
            settings,
            # Whoever has something to offer instead does not cry out loud.
            log_level=logging.ERROR if settings.catalog_fallback == "off" else logging.DEBUG,
        )
        self.checkout = Upstream(
            "checkout", settings.checkout_url, settings.checkout_timeout, settings
        )

    async def who_is_it(self, request: Request) -> User:
        """Ask auth, on every call: tokens can be withdrawn at any moment."""
        token = request.headers.get("authorization", "")
        response = await self.auth.call("GET", "/session", headers={"authorization": token})
        user = User(**_accepted(response))
        _on_behalf_of(user.tenant_id)
        return user


def create(settings: GatewaySettings, counter: SpanCounter) -> FastAPI:
    """Gateway, with auth, catalog and checkout."""
    router = APIRouter()
    router.include_router(storefront(settings.storefront_otlp_url))
    behind = Gateway(settings)
    caller = Depends(behind.who_is_it)

    @router.post("/login")
    async def log_in(credentials: Credentials) -> LoggedIn:
        query = urlencode({"email": credentials.email})
        response = await behind.auth.call(
            "POST", f"/sessions?{query}", json={"password": credentials.password}
        )
        return LoggedIn(**_accepted(response))

    @router.get("/products")
    async def page(
        user: Annotated[User, caller],
        page: Annotated[int, Query(ge=1, le=10_000)] = 1,
        size: Annotated[int, Query(ge=1, le=2000)] = 24,
        q: Annotated[str, Query(max_length=100)] = "",
        email: Annotated[str | None, Query(max_length=200)] = None,
    ) -> Any:
        query = urlencode({"owner": user.tenant_id, "page": page, "size": size, "q": q})
        if email is not None:
            # Links in newsletters carry the reader, and catalog counts them.
            query += f"&email={email}"
        try:
            response = await behind.catalog.call("GET", f"/products?{query}", exchange="fetch_page")
        except Problem:
            if settings.catalog_fallback == "off":
                raise
            return {"items": [], "page": page}
        return _accepted(response)

    @router.get("/home")
    async def home(user: Annotated[User, caller]) -> dict[str, Any]:
        owner = urlencode({"owner": user.tenant_id})
        featured, recent = await asyncio.gather(
            behind.catalog.call("GET", f"/featured?{owner}"),
            behind.checkout.call("GET", f"/recent?user_id={user.user_id}"),
        )
        return {"featured": _accepted(featured), "recent": _accepted(recent)}

    @router.get("/products/{product_id}", dependencies=[caller])
    async def product(product_id: Annotated[int, Path(ge=1, le=MAX_ID)]) -> Any:
        return _accepted(await behind.catalog.call("GET", f"/products/{product_id}"))

    @router.post("/checkout", status_code=HTTPStatus.CREATED)
    async def buy(user: Annotated[User, caller], basket: Basket) -> Any:
        cart = {
            "user_id": user.user_id,
            "email": user.email,
            "items": [item.model_dump() for item in basket.items],
            "card_number": basket.card.number,
        }
        return _accepted(await behind.checkout.call("POST", "/checkout", json=cart))

    @router.get("/orders/{order_id}")
    async def order(user: Annotated[User, caller], order_id: UUID) -> Any:
        path = f"/orders/{order_id}?user_id={user.user_id}"
        return _accepted(await behind.checkout.call("GET", path))

    return shop_app(counter, router, [behind.auth, behind.catalog, behind.checkout])


def _accepted(response: httpx.Response) -> Any:
    if response.is_error:
        raise rejection(response)
    return response.json()


def _on_behalf_of(tenant_id: str) -> None:
    """Name the tenant in baggage, unless the caller has, for every span from here on.

    Nothing detaches it: the request runs in a task, so in a context, of its own.
    """
    if baggage.get_baggage("tenant_id") is None:
        context.attach(baggage.set_baggage("tenant_id", tenant_id))
        trace.get_current_span().set_attribute("tenant_id", tenant_id)
