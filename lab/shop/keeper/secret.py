"""The secret between the lab's own programs: whoever cannot read its file changes nothing.

Loopback is open to every account of a machine and to every program of a user. The file is
for its owner's eyes only; its path may stand in an argument or an environment, which others
can see, and the secret itself never does.
"""

from __future__ import annotations

import hmac
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

HEADER: Final = "Authorization"
VARIABLE: Final = "LAB_CONTROL_SECRET"
"""Has it in a container, whose user may be another than the file's owner."""

_SCHEME: Final = "Bearer "


def make(path: Path) -> None:
    """Write a secret where none is yet; nobody else can read it at any moment."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    except FileExistsError:
        return
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(secrets.token_urlsafe(32))


def read(path: Path | None) -> str | None:
    """The secret; None where no file is named, or none is there, as where nothing runs."""
    if path is None or not path.is_file():
        return None
    return path.read_text(encoding="ascii").strip() or None


def headers(path: Path | None) -> Mapping[str, str]:
    """What a request carries that knows the secret; nothing where there is none."""
    secret = read(path)
    return {} if secret is None else {HEADER: f"{_SCHEME}{secret}"}


def is_told(header: str | None, secret: str | None) -> bool:
    """Whether a request's header tells ``secret``; without a secret every request does."""
    if secret is None:
        return True
    return hmac.compare_digest((header or "").encode(), f"{_SCHEME}{secret}".encode())
