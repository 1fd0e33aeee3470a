"""The outside world: a bank that authorizes test cards by their numbers.

Its rules are always the same and are documented for customers, as those of
payment providers' sandboxes are.
"""

from __future__ import annotations

import logging
import secrets
from collections import OrderedDict
from http import HTTPStatus
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Header
from fastapi.responses import JSONResponse
from opentelemetry import trace
from pydantic import BaseModel

from lab.shop.app import shop_app
from lab.shop.settings import BankSettings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from lab.shop.telemetry import SpanCounter

logger = logging.getLogger(__name__)

DECLINED: Final = MappingProxyType(
    {"4000000000000069": "expired_card", "4000000000009995": "insufficient_funds"}
)
"""Test card → the reason for which it is always declined."""


KEYS_KEPT: Final = 10_000
"""Idempotency keys that are remembered, the newest."""


class Payment(BaseModel):
    """What a shop wants to be paid, and for what: the shop's own number of the order."""

    order_id: str
    card_number: str
    amount_cents: int
    currency: str


def create(_: BankSettings, counter: SpanCounter) -> FastAPI:
    """The bank, which needs nothing and nobody."""
    router = APIRouter()
    given: OrderedDict[str, str] = OrderedDict()

    def charge(payment: Payment) -> str:
        logger.info("charged %d cents for order %s", payment.amount_cents, payment.order_id)
        return secrets.token_hex(8)

    def charge_once(payment: Payment, key: str) -> str:
        if key not in given:
            given[key] = charge(payment)
            if len(given) > KEYS_KEPT:
                given.popitem(last=False)
        return given[key]

    @router.post("/authorizations", status_code=201)
    async def authorize(
        payment: Payment, idempotency_key: Annotated[str | None, Header(max_length=255)] = None
    ) -> JSONResponse:
        span = trace.get_current_span()
        span.set_attribute("order_id", payment.order_id)
        digits = "".join(filter(str.isdigit, payment.card_number))
        reason = DECLINED.get(digits)
        if reason is not None:
            logger.info("declined: %s", reason)
            return JSONResponse({"reason": reason}, status_code=HTTPStatus.PAYMENT_REQUIRED)
        code = charge_once(payment, idempotency_key) if idempotency_key else charge(payment)
        span.set_attribute("payment.authorization", code)
        return JSONResponse({"authorization": code}, status_code=201)

    return shop_app(counter, router, [])
