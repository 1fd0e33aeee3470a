"""What all who work on our own books agree on."""

from __future__ import annotations

from typing import Final

MERCHANT_ACCOUNT: Final = 1
"""The account that every payment is credited to."""
