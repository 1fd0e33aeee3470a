"""Whatever somebody imports: no traceback, no endless reading, and no span lost unsaid."""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

import pytest

from lab.adapters.cases.telemetry_case import Gathering
from lab.adapters.formats.found import Account, Found, Skipped
from lab.adapters.formats.sniffing import found_in
from lab.adapters.formats.source import Content
from lab.domain.trace import Span
from lab.errors import CaseError
from tests.support.trace_formats import EXAMPLES, SHAPES

INPUTS: Final = 10_000
ROUNDS: Final = 20
WITHIN_S: Final = 60.0
"""Of processor time, for all of them; 15 s on a calm machine."""

TOKENS: Final = (
    b"{", b"}", b"[", b"]", b'"', b",", b":", b"\\", b"\n", b"null", b"-1", b"1e999", b"\x00",
    b"\xff", b"\x0a", b'{"resourceSpans":', b'"spans":[', b'{"data":[', b'"traceId"', b"true",
    b"0" * 32, b"[" * 200, b"\x28\xb5\x2f\xfd", b"\x1f\x8b", b"\xed\xa0\x80", b'"\\ud800"',
)  # fmt: skip


def contents() -> list[bytes]:
    """Every format, whole."""
    return [
        *(make() for make in SHAPES.values()),
        *(path.read_bytes() for path in sorted(EXAMPLES.iterdir())),
    ]


def damaged(content: bytes, dice: random.Random) -> bytes:
    """One to four things done to it."""
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(content) + 1)
        end = min(len(content), at + dice.choice((1, 2, 8, 60, 400)))
        match dice.randrange(6):
            case 0:
                content = content[:at] + dice.choice(TOKENS) + content[at:]
            case 1:
                content = content[:at] + content[end:]
            case 2:
                content = content[:end] + content[at:]
            case 3:
                content = content[:at] + dice.randbytes(1) + content[at + 1 :]
            case 4:
                content = content[:at]
            case _:
                content = content[:at] + dice.choice(TOKENS) + content[end:]
    return content


def read(content: bytes, account: Account) -> Iterator[Found]:
    """What comes of it until the end, or until it is refused as a whole."""
    with contextlib.suppress(CaseError):
        yield from found_in(Content("it", BytesIO(content)), account)


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_no_damage_makes_a_traceback_or_loses_a_span_unsaid(seed: int, tmp_path: Path) -> None:
    """What is read is kept, dropped as a duplicate, or skipped with a reason."""
    dice = random.Random(seed)
    whole = contents()
    account = Account()
    gathering = Gathering(tmp_path, account, lambda what, count: None)
    seen = 0
    began_s = time.process_time()
    for _ in range(INPUTS // ROUNDS):
        found = list(read(damaged(dice.choice(whole), dice), account))
        seen += sum(isinstance(each, Span) or each.is_span for each in found)
        assert all(
            each.why and str(each).isprintable() for each in found if isinstance(each, Skipped)
        )
        gathering.add(found)
    gathering.seal("fuzz", "fuzz", 0.0)
    assert account.read == seen
    assert account.adds_up
    assert account.kept > 0
    assert account.skipped_spans > 0
    assert time.process_time() - began_s < WITHIN_S / ROUNDS


@pytest.mark.parametrize("number", range(len(contents())))
def test_what_is_whole_is_kept_whole(number: int, tmp_path: Path) -> None:
    """So nothing above passes because everything is skipped; twice the same is dropped once."""
    content = contents()[number]
    account = Account()
    gathering = Gathering(tmp_path, account, lambda what, count: None)
    for _ in range(2):
        gathering.add(read(content, account))
    if account.read:
        gathering.seal("whole", "whole", 0.0)
    assert account.is_complete
    assert account.adds_up
    assert account.duplicates >= account.kept or account.remarks
