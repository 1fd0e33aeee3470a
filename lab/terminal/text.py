"""Numbers and foreign text as a person reads them."""

from __future__ import annotations

import math
from typing import Final

from rich.text import Text

from lab.domain.trace import Status

MARKS: Final = {
    Status.ERROR: ("✖ error", "bold red"),
    Status.OK: ("✔ ok", "green"),
    Status.UNSET: ("", ""),
}
"""A status by shape and word first; colour only underlines it."""


def clean(text: str, most: int | None = None) -> str:
    """``text`` without anything that could move a cursor, and at most ``most`` characters long.

    Spans carry what services put there, and a terminal obeys what it is shown.
    """
    # One character more than is shown tells whether there are more; a span may carry megabytes.
    shown = text if most is None else text[: most + 1]
    visible = "".join(each if each.isprintable() else "�" for each in shown.replace("\n", " ⏎ "))
    if most is None or len(visible) <= most:
        return visible
    return visible[: most - 1] + "…"


def duration(ms: float) -> str:
    """Three digits and a unit: ``0.45ms``, ``12.3ms``, ``480ms``, ``1.02s``, ``2m05s``."""
    if not math.isfinite(ms):
        return "?"
    if ms < 0:
        return "-" + duration(-ms)
    if ms < 0.9995:
        return f"{ms:.2f}ms"
    if ms < 99.95:
        return f"{ms:.1f}ms"
    if ms < 999.5:
        return f"{ms:.0f}ms"
    if ms < 99_500:
        return f"{ms / 1000:.2f}s" if ms < 9_995 else f"{ms / 1000:.1f}s"
    minutes, rest_s = divmod(round(ms / 1000), 60)
    return f"{minutes}m{rest_s:02d}s"


def status_text(status: Status) -> Text:
    """A span's status with its mark; nothing for one that was never set."""
    mark, style = MARKS[status]
    return Text(mark, style=style)


def short_ids(ids: list[str], least: int) -> dict[str, str]:
    """Each id's shortest beginning, of at least ``least`` digits, that no other shares."""
    ordered = sorted(set(ids))
    short: dict[str, str] = {}
    for n, each in enumerate(ordered):
        neighbours = ordered[max(0, n - 1) : n] + ordered[n + 1 : n + 2]
        shared = max((_shared(each, other) for other in neighbours), default=0)
        short[each] = each[: max(least, shared + 1)]
    return short


def _shared(one: str, other: str) -> int:
    return next(
        (n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b),
        min(len(one), len(other)),
    )
