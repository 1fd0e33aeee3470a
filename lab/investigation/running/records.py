"""Gather what a proof needs beside sampled spans, as a scenario names it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import field
from typing import Final

from lab.domain.evidence import Interval
from lab.domain.journal import Step
from lab.domain.proof import Finding, Outcome
from lab.domain.record import Record, RecordQuery, Records, Source
from lab.errors import PartFailed
from lab.frozen import dataclass
from lab.investigation.running.joining import same_for_s
from lab.investigation.running.waiting import GIVE_UP_S, until_same
from lab.ports.clock import Clock
from lab.ports.records import RecordStore
from lab.ports.trace_store import TraceStore

WRITTEN_WITHIN_S: Final = 2.0
"""How long a log must not have grown: logs are written every 0.2 s, metrics every 2 s."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was found; ``problems`` says of which records it may not be all, and why."""

    records: Records = field(default_factory=dict)
    problems: Mapping[str, str] = field(default_factory=dict)

    @property
    def findings(self) -> tuple[Finding, ...]:
        """One for each name: whether everything was found that it stands for."""
        names = {**dict.fromkeys(self.records), **dict.fromkeys(self.problems)}
        return tuple(self._finding(name) for name in names)

    def _finding(self, name: str) -> Finding:
        problem = self.problems.get(name)
        return Finding(
            Step.EVIDENCE,
            f"records of {name}",
            "all that there are",
            problem or str(len(self.records[name])),
            Outcome.UNKNOWN if problem else Outcome.HOLDS,
            integrity=True,
        )


async def gather_records(
    queries: Mapping[str, RecordQuery],
    record_store: RecordStore,
    trace_store: TraceStore,
    clock: Clock,
    run: Interval,
) -> Gathered:
    """Ask every source until its answer stays the same; what fails is told, never raised."""
    records: dict[str, tuple[Record, ...]] = {}
    problems: dict[str, str] = {}

    async def one(name: str, query: RecordQuery) -> None:
        is_search = query.source is Source.TRACES

        async def ask() -> tuple[Record, ...]:
            if is_search:
                return await _search(trace_store, query.what, run)
            return await record_store.records(query, run)

        for_s = same_for_s(trace_store) if is_search else WRITTEN_WITHIN_S
        try:
            records[name], stayed = await until_same(ask, clock, for_s=for_s)
        except PartFailed as error:
            problems[name] = str(error)
            return
        if not stayed:
            problems[name] = f"still growing after {GIVE_UP_S:.0f} s"

    await asyncio.gather(*(one(name, query) for name, query in queries.items()))
    return Gathered({name: records[name] for name in queries if name in records}, problems)


async def _search(store: TraceStore, traceql: str, run: Interval) -> tuple[Record, ...]:
    found = await store.search(traceql, start_s=run.start_s, end_s=run.end_s)
    return tuple(Record(trace_id=each) for each in sorted(found))
