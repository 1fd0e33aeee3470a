"""Foreign text, statuses and services as a terminal may show them."""

from __future__ import annotations

import hashlib
from typing import Final

from rich.text import Text

from lab.domain.trace import Status
from lab.domain.wording import visible
from lab.shop.topology import DATABASES, SERVICES

MARKS: Final = {
    Status.ERROR: ("✖ error", "bold red"),
    Status.OK: ("✔ ok", "green"),
    Status.UNSET: ("", ""),
}
"""A status by shape and word first; colour only underlines it."""

COLOURS: Final = (
    "#4876bb", "#9a5eaf", "#29846c", "#c15527", "#8f7211", "#677888", "#c04c82", "#4f8234",
    "#746db7", "#238092", "#b85a49", "#7a7922", "#7b756a",
)  # fmt: skip
"""The desk's ``hue-0`` … ``hue-12``, each as light as can be read on black and on white."""

_OF_THE_SHOP: Final = {
    name: n % len(COLOURS)
    for n, name in enumerate((*SERVICES, "storefront", *DATABASES, "auditor"))
}


def hue(service: str) -> int:
    """The number of a service's colour: by its place in the shop, of a stranger by its name."""
    if service in _OF_THE_SHOP:
        return _OF_THE_SHOP[service]
    digest = hashlib.sha256(service.encode(errors="replace")).digest()
    return int.from_bytes(digest[:4]) % len(COLOURS)


def service_text(service: str) -> Text:
    """A service's name in its colour, at most 40 characters long; a question mark for none."""
    return Text(clean(service, 40) or "?", style=f"bold {COLOURS[hue(service)]}")


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
