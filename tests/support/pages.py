"""Documents whose code is run as it stands: each block of Python names its file in line one."""

from __future__ import annotations

import re
from pathlib import Path

from lab.settings import CHECKOUT

_BLOCK = re.compile(
    r"^```python\n# (?P<name>\S+\.py)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL
)


def write_files(page: str, folder: Path) -> list[str]:
    """The names of the files that ``docs/<page>`` shows, written into ``folder``."""
    text = (CHECKOUT / "docs" / page).read_text(encoding="utf-8")
    names = []
    for block in _BLOCK.finditer(text):
        (folder / block["name"]).write_text(block["code"], encoding="utf-8")
        names.append(block["name"])
    return names
