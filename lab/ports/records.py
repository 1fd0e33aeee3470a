"""What is kept beside traces: log lines, counters, finds of a search."""

from __future__ import annotations

from typing import Protocol

from lab.domain.evidence import Interval
from lab.domain.record import Record, RecordQuery


class RecordStore(Protocol):
    """What was written down beside traces: logs, metrics, the database's own log."""

    async def records(self, query: RecordQuery, run: Interval) -> tuple[Record, ...]:
        """All that was written in ``run``, in order of time; RecordsMissing without its source."""
        ...
