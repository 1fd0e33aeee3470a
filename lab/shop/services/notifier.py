"""Who tells the customer: takes messages out of the outbox and sends them.

A message is handled in a trace of its own, linked to the one that wrote it:
the two may lie minutes apart, and one batch serves many customers.
"""

from __future__ import annotations

import asyncio
import json
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from fastapi import APIRouter
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.instrumentation.utils import suppress_instrumentation
from opentelemetry.metrics import Observation
from opentelemetry.trace import Link, SpanKind

from lab.shop.app import shop_app
from lab.shop.database import Database
from lab.shop.problems import Problem
from lab.shop.settings import NotifierSettings
from lab.shop.telemetry import meter, tracer

if TYPE_CHECKING:
    import asyncpg
    from fastapi import FastAPI

    from lab.shop.telemetry import SpanCounter

logger = logging.getLogger(__name__)

# How many there are comes with each of them: a question of its own would cost a round trip.
NEXT_MESSAGES = (
    "SELECT id, order_id, email, headers, created_at,"
    " (SELECT count(*) FROM outbox) AS depth FROM outbox"
    " ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED"
)
DELETE_MESSAGE = "DELETE FROM outbox WHERE id = $1"
SMTP_S = 0.005
"""How long the stub of a mail server takes."""


class Outbox:
    """Reads messages in the order in which they were written; each at least once."""

    def __init__(self, settings: NotifierSettings) -> None:
        self._database = Database("orders_db", settings)
        self._poll_interval_s = settings.poll_interval.total_seconds()
        self._batch_size = settings.batch_size
        self._polling: asyncio.Task[None] | None = None
        self._depth = 0
        meter.create_observable_gauge(
            "outbox.depth",
            [lambda _: [Observation(self._depth)]],
            unit="{message}",
            description="Messages that waited when the outbox was last looked at.",
        )

    async def open(self) -> None:
        """Connect and begin to poll."""
        await self._database.open()
        self._polling = asyncio.create_task(self._poll())

    async def close(self) -> None:
        """Stop polling; what was begun is rolled back and will be sent again."""
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)
        await self._database.close()

    async def _poll(self) -> None:
        while True:
            try:
                await self._process_batch()
            except Problem:
                logger.warning("The outbox cannot be read, trying again")
            except Exception:
                # The worker outlives any one message.
                logger.exception("A message could not be processed")
            await asyncio.sleep(self._poll_interval_s)

    async def _process_batch(self) -> None:
        """Process what there is; looking for it leaves no span, for an empty outbox is no event."""
        with suppress_instrumentation():
            async with self._database.transaction() as connection:
                messages = await connection.fetch(NEXT_MESSAGES, self._batch_size)
                self._depth = messages[0]["depth"] if messages else 0
                for message in messages:
                    await _process(connection, message)


async def _process(connection: asyncpg.Connection, message: asyncpg.Record) -> None:
    sent = propagate.extract(json.loads(message["headers"]), context=context.Context())
    producer = trace.get_current_span(sent).get_span_context()
    age = datetime.now(UTC) - message["created_at"]
    attributes = {
        "messaging.system": "postgresql",
        "messaging.destination.name": "outbox",
        "messaging.operation.type": "process",
        "messaging.message.id": str(message["id"]),
        "messaging.message.age_ms": round(age.total_seconds() * 1000),
        "order_id": str(message["order_id"]),
    }
    token = context.attach(_only_baggage(sent))
    try:
        with tracer.start_as_current_span(
            "process outbox",
            kind=SpanKind.CONSUMER,
            attributes=attributes,
            links=[Link(producer)] if producer.is_valid else [],
        ):
            with tracer.start_as_current_span("send_email"):
                await asyncio.sleep(SMTP_S)
                logger.info("confirmation of %s sent to %s", message["order_id"], message["email"])
            await connection.execute(DELETE_MESSAGE, message["id"])
    finally:
        context.detach(token)


def _only_baggage(sent: context.Context) -> context.Context:
    """What the message says of its customer, without the trace it came from."""
    kept = context.Context()
    for key, value in baggage.get_all(sent).items():
        kept = baggage.set_baggage(key, value, kept)
    return kept


def create(settings: NotifierSettings, counter: SpanCounter) -> FastAPI:
    """Notifier, with its own connections to ``orders_db``; nobody calls it but for its health."""
    return shop_app(counter, APIRouter(), [Outbox(settings)])
