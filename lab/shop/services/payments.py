"""How it is paid: the bank first, then our own ledger."""

from __future__ import annotations

import logging
import string
from http import HTTPStatus
from typing import TYPE_CHECKING
from uuid import UUID

from fastapi import APIRouter
from opentelemetry import trace
from opentelemetry.trace import Span, Status, StatusCode
from pydantic import BaseModel

from lab.shop.app import shop_app
from lab.shop.database import Database
from lab.shop.http import Upstream
from lab.shop.ledger import MERCHANT_ACCOUNT
from lab.shop.problems import CardDeclined, Problem, Rejected, UpstreamFailed
from lab.shop.settings import PaymentsSettings
from lab.shop.telemetry import meter, on_client_spans, tracer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fastapi import FastAPI

    from lab.shop.telemetry import SpanCounter

logger = logging.getLogger(__name__)

declines = meter.create_counter(
    "declines", unit="{payment}", description="Payments the bank said no to, by its reason."
)

CARD_DIGITS = 16
CREDIT_MERCHANT = "UPDATE accounts SET balance_cents = balance_cents + $2 WHERE id = $1"
ADD_ENTRY = (
    "INSERT INTO entries (order_id, account_id, amount_cents, authorization_code)"
    " VALUES ($1, $2, $3, $4)"
)


class Charge(BaseModel):
    """What a customer owes for an order."""

    order_id: UUID
    amount_cents: int
    currency: str
    card_number: str
    email: str


class Receipt(BaseModel):
    """The bank's word that it pays."""

    authorization: str


class CardInvalid(Exception):
    """The digits of a card number do not add up."""


def create(settings: PaymentsSettings, counter: SpanCounter) -> FastAPI:
    """Payments, with the bank and a pool of connections to ``ledger_db``."""
    router = APIRouter()
    bank = Upstream("bank", settings.bank_url, settings.bank_timeout, settings)
    ledger = Database("ledger_db", settings)

    @router.post("/charges", status_code=201)
    async def charge(charge: Charge) -> Receipt:
        trace.get_current_span().set_attribute("order_id", str(charge.order_id))
        with on_client_spans({"order_id": str(charge.order_id)}):
            receipt = await charge_credit_card(charge)
            await _book(ledger, charge, receipt)
        return receipt

    async def charge_credit_card(charge: Charge) -> Receipt:
        # Whoever repeats a call with the same key is given the same answer, and pays once.
        headers = {"Idempotency-Key": str(charge.order_id)} if settings.idempotency_key else {}
        attributes: dict[str, str | float] = {
            "order_id": str(charge.order_id),
            "payment.amount": charge.amount_cents / 100,
            "payment.currency": charge.currency,
            "payment.gateway": settings.bank_name,
        }
        with tracer.start_as_current_span(
            "charge_credit_card",
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            logger.info("charging card %s of %s", charge.card_number, charge.email)
            try:
                return await _authorize(bank, charge, headers)
            except CardDeclined as declined:
                declines.add(1, {"reason": declined.reason})
                span.set_attribute("decline.reason", declined.reason)
                _mark_failed(span, declined, declined.title)
                raise
            except CardInvalid as invalid:
                _mark_failed(span, invalid, str(invalid))
                raise Rejected(400, "Card invalid") from invalid
            except Problem as problem:
                logger.error(  # noqa: TRY400 -- the call logged its own cause
                    "charge failed: %s", type(problem.__cause__ or problem).__name__
                )
                _mark_failed(span, problem.__cause__ or problem, "charge failed")
                raise

    return shop_app(counter, router, [ledger, bank])


async def _book(ledger: Database, charge: Charge, receipt: Receipt) -> None:
    async with ledger.transaction({"account_id": MERCHANT_ACCOUNT}) as connection:
        await connection.execute(CREDIT_MERCHANT, MERCHANT_ACCOUNT, charge.amount_cents)
        await connection.execute(
            ADD_ENTRY, charge.order_id, MERCHANT_ACCOUNT, charge.amount_cents, receipt.authorization
        )
    logger.info("booked %d cents of order %s", charge.amount_cents, charge.order_id)


async def _authorize(bank: Upstream, charge: Charge, headers: Mapping[str, str]) -> Receipt:
    if not adds_up(charge.card_number):
        raise CardInvalid(f"not a card number: {charge.card_number}")
    response = await bank.call(
        "POST",
        "/authorizations",
        json=charge.model_dump(
            mode="json", include={"order_id", "card_number", "amount_cents", "currency"}
        ),
        headers=headers,
    )
    if response.status_code == HTTPStatus.PAYMENT_REQUIRED:
        reason = response.json()["reason"]
        raise CardDeclined(
            f"card {charge.card_number} of {charge.email} declined: {reason}", reason=reason
        )
    if response.is_error:
        raise UpstreamFailed
    return Receipt(**response.json())


def _mark_failed(span: Span, error: BaseException, description: str) -> None:
    span.record_exception(error)
    span.set_status(Status(StatusCode.ERROR, description))


def adds_up(card_number: str) -> bool:
    """Whether a card number's check digit is right (Luhn, ISO/IEC 7812-1, annex B)."""
    digits = [int(sign) for sign in card_number if sign in string.digits]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return len(digits) == CARD_DIGITS and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
