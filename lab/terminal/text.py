"""Foreign text and statuses as a terminal may show them."""

from __future__ import annotations

from typing import Final

from rich.text import Text

from lab.domain.trace import Status
from lab.domain.wording import visible

MARKS: Final = {
    Status.ERROR: ("✖ error", "bold red"),
    Status.OK: ("✔ ok", "green"),
    Status.UNSET: ("", ""),
}
"""A status by shape and word first; colour only underlines it."""


def clean(text: str, most: int | None = None) -> str:
    """``text`` on one line, as `visible` has it, and at most ``most`` characters long."""
    # One character more than is shown tells whether there are more; a span may carry megabytes.
    shown = text if most is None else text[: most + 1]
    line = visible(shown.replace("\n", " ⏎ ").replace("\t", "�"))
    if most is None or len(line) <= most:
        return line
    return line[: most - 1] + "…"


def status_text(status: Status) -> Text:
    """A span's status with its mark; nothing for one that was never set."""
    mark, style = MARKS[status]
    return Text(mark, style=style)
