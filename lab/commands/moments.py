"""Moments as a person types them."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from lab.errors import UsageError

_AGO: Final = re.compile(r"(?P<number>\d+(?:\.\d+)?)(?P<unit>[smhd])")
_UNIT_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}


def moment_s(text: str, now_s: float) -> float:
    """``now``, ``15m`` (so long ago), or ISO 8601 (local time unless it says), as Unix seconds."""
    if text == "now":
        return now_s
    if ago := _AGO.fullmatch(text):
        return now_s - float(ago["number"]) * _UNIT_S[ago["unit"]]
    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as error:
        raise UsageError(
            "expected a moment such as 15m (ago), now, 2026-03-01T14:02 or "
            f"2026-03-01T13:02:00Z, got {text!r}"
        ) from error
