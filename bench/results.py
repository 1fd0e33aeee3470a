"""The file that all measurements share: each replaces its own section and keeps the others."""

from __future__ import annotations

import os
import platform
import re
from datetime import UTC, datetime
from typing import Final

from lab.settings import CHECKOUT

RESULTS: Final = CHECKOUT / "bench" / "results.md"


def circumstances(load_before: float, command: str) -> str:
    """When, on what and by which command the numbers below were had."""
    return (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {platform.system()} "
        f"{platform.machine()}, Python {platform.python_version()}; load average before it began: "
        f"{load_before:.1f}. `{command}` writes this section. Several values: min / median / max."
    )


def with_section(document: str, title: str, text: str) -> str:
    """``document`` with the section of that title (``# title``) replaced, or added at the end."""
    sections = re.split(r"(?m)^(?=# )", document)
    new = f"# {title}\n\n{text.strip()}\n"
    kept = [each for each in sections if each.strip()]
    places = [place for place, each in enumerate(kept) if each.startswith(f"# {title}\n")]
    kept[slice(places[0], places[0] + 1) if places else slice(len(kept), None)] = [new]
    return "\n".join(f"{each.strip()}\n" for each in kept)


def write_section(title: str, text: str) -> None:
    """Put the section into the file."""
    document = RESULTS.read_text(encoding="utf-8") if RESULTS.exists() else ""
    RESULTS.write_text(with_section(document, title, text), encoding="utf-8")
