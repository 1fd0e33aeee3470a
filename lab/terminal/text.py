"""Foreign text and statuses as a terminal may show them."""

from __future__ import annotations

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


def status_text(status: Status) -> Text:
    """A span's status with its mark; nothing for one that was never set."""
    mark, style = MARKS[status]
    return Text(mark, style=style)
