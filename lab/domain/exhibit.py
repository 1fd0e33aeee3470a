"""Links from a text to what it rests on: ``[after {}](exhibit:dead-query)``. Pure.

The words of a link are the text's own; ``{}`` in them stands for what is measured in the case
that is open, so that no number is typed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

LINK: Final = re.compile(r"\[(?P<words>[^\[\]]+)\]\(exhibit:(?P<name>[^)\s]{0,200})\)")
"""The name has an end: a text of links without one would be read to its end for each."""

MEASURED: Final = "{}"


def exhibits_in(text: str) -> tuple[str, ...]:
    """The names that ``text`` links to, each once, in the order of the first link."""
    return tuple(dict.fromkeys(link["name"] for link in LINK.finditer(text)))


def with_exhibits(text: str, shown: Callable[[str, str], str]) -> str:
    """``text`` with every link as ``shown`` writes it, given its words and its name."""
    return LINK.sub(lambda link: shown(link["words"], link["name"]), text)
