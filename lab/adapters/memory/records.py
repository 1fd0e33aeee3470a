"""Records that a test wrote down."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lab.domain.evidence import Interval
from lab.domain.record import Record, RecordQuery, Source
from lab.errors import RecordsMissing


@dataclass
class MemoryRecords:
    """`RecordStore` for tests; a source without an entry cannot be had."""

    written: Mapping[Source, tuple[Record, ...]] = field(default_factory=dict)

    async def records(self, query: RecordQuery, run: Interval) -> tuple[Record, ...]:
        """What was written of this source, in the run."""
        if query.source not in self.written:
            raise RecordsMissing(f"expected {query.source}, found none")
        found = self.written[query.source]
        timed = [each for each in found if (each.time_unix_s or 0.0) in run]
        return tuple(sorted(timed, key=lambda record: record.time_unix_s or 0.0))
