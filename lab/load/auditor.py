"""Who looks after the books: an actor with a database client, and traces, of its own."""

from __future__ import annotations

import asyncio

from opentelemetry.context import Context

from lab.shop.database import Database
from lab.shop.ledger import MERCHANT_ACCOUNT
from lab.shop.problems import Problem
from lab.shop.settings import AuditorSettings
from lab.shop.telemetry import tracer

HOLD_BALANCE = "SELECT balance_cents FROM accounts WHERE id = $1 FOR UPDATE"


class Auditor:
    """Compares the merchant's balance with the papers, which takes as long as it takes.

    Nobody may book while it does: it holds the account until it is through.
    """

    def __init__(self) -> None:
        self._ledger = Database("ledger_db", AuditorSettings())

    async def open(self) -> None:
        """Connect, trying until the database answers."""
        await self._ledger.open()

    async def close(self) -> None:
        """Drop the connection, and with it whatever is held."""
        await self._ledger.close()

    async def visit(self, holds_s: float) -> None:
        """One audit; what goes wrong stands in its trace, and the next one tries again."""
        books: dict[str, str | int] = {"account_id": MERCHANT_ACCOUNT}
        try:
            with tracer.start_as_current_span("audit_accounts", Context(), attributes=books):
                async with self._ledger.transaction(books) as connection:
                    await connection.fetchval(HOLD_BALANCE, MERCHANT_ACCOUNT)
                    await asyncio.sleep(holds_s)
        except Problem:
            return
