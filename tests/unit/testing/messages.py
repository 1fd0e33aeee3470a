"""What a failed assertion prints, kept as files beside the tests and compared word for word."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

MESSAGES = Path(__file__).with_name("messages")
UPDATE = "LAB_UPDATE_MESSAGES"
"""Set it to write the files anew, and read what changed."""


def told_by(action: Callable[[], object], error: type[BaseException] = AssertionError) -> str:
    """What ``action`` raises, without how long it waited."""
    with pytest.raises(error) as caught:
        action()
    return re.sub(r"\d+ times in \d+\.\d s|for \d\.\d\d s", "…", str(caught.value))


def same_as_kept(name: str, message: str) -> None:
    """``message`` is what the file of that name says."""
    path = MESSAGES / f"{name}.txt"
    if os.environ.get(UPDATE):
        path.parent.mkdir(exist_ok=True)
        path.write_text(message + "\n", encoding="utf-8")
    assert message + "\n" == path.read_text(encoding="utf-8")
