"""Who waited for whose lock, by PostgreSQL's own log (its documentation: *log_lock_waits*)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from lab.domain.record import Record

LOCK_WAIT: Final = "lock wait"
"""The one kind of message that is read."""

_WAIT: Final = re.compile(
    r"^(?P<time>\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}) UTC \[\d+\] .*"
    r"process (?P<waiting>\d+) still waiting for (?P<lock>.+) after (?P<waited>[\d.]+) ms$"
)
_HOLDERS: Final = re.compile(r"DETAIL:  Process(?:es)? holding the lock: (?P<holders>[\d, ]+)\.")


def lock_waits(text: str) -> Iterator[Record]:
    """One record for each process that waited and each that held the lock.

    Its attributes are ``waiting`` and ``holding`` (process ids), ``lock`` and ``waited_ms``.
    The line in which the holders stand follows that of the wait; a torn end is left out.
    """
    wait: re.Match[str] | None = None
    for line in text.splitlines():
        if wait is not None and (holders := _HOLDERS.search(line)):
            for holder in holders["holders"].split(","):
                yield Record(
                    _unix_s(wait["time"]),
                    attributes={
                        "waiting": int(wait["waiting"]),
                        "holding": int(holder),
                        "lock": wait["lock"],
                        "waited_ms": float(wait["waited"]),
                    },
                )
        wait = _WAIT.match(line)


def _unix_s(written: str) -> float:
    return datetime.fromisoformat(written).replace(tzinfo=UTC).timestamp()
