"""Gathering what is kept beside spans: until it stays, and told where it cannot be had."""

from collections.abc import Mapping

import anyio

from lab.adapters.memory.clock import FakeClock
from lab.adapters.memory.records import MemoryRecords
from lab.adapters.memory.trace_store import MemoryTraceStore
from lab.domain.evidence import Interval
from lab.domain.proof import Outcome
from lab.domain.record import Record, RecordQuery, Source
from lab.errors import TraceStoreError
from lab.investigation.running.joining import same_for_s
from lab.investigation.running.records import Gathered, gather_records
from lab.investigation.running.waiting import GIVE_UP_S
from lab.ports.records import RecordStore
from lab.ports.trace_store import TraceStore

RUN = Interval(0.0, 30.0)
CHARGES = RecordQuery(Source.LOGS, "charged ", "bank")
KEPT = RecordQuery(Source.TRACES, "{ }")


class Growing(MemoryRecords):
    """A log that has a line more at each look, up to ``most``."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.lines = most, 0

    async def records(self, query: RecordQuery, run: Interval) -> tuple[Record, ...]:
        self.lines = min(self.lines + 1, self.most)
        return tuple(Record(float(n)) for n in range(self.lines))


class Finding(MemoryTraceStore):
    """A store in which a search finds two traces."""

    async def search(self, traceql: str, *, start_s: float, end_s: float) -> frozenset[str]:
        assert (traceql, start_s, end_s) == ("{ }", RUN.start_s, RUN.end_s)
        return frozenset({"b" * 32, "a" * 32})


def gathered(
    queries: Mapping[str, RecordQuery], records: RecordStore, traces: TraceStore | None = None
) -> Gathered:
    async def gather() -> Gathered:
        store = traces or MemoryTraceStore()
        return await gather_records(queries, records, store, FakeClock(), RUN)

    return anyio.run(gather)


def test_a_log_is_read_until_it_has_stayed_the_same() -> None:
    found = gathered({"charges": CHARGES}, Growing(most=5))
    assert len(found.records["charges"]) == 5
    [finding] = found.findings
    assert (finding.outcome, finding.measured, finding.integrity) == (Outcome.HOLDS, "5", True)


def test_what_a_search_finds_is_kept_by_its_ids() -> None:
    found = gathered({"kept": KEPT}, MemoryRecords(), Finding())
    assert found.records == {"kept": (Record(trace_id="a" * 32), Record(trace_id="b" * 32))}


def test_a_log_that_never_ends_is_unknown() -> None:
    [finding] = gathered({"charges": CHARGES}, Growing(most=1000)).findings
    assert (finding.outcome, finding.measured) == (
        Outcome.UNKNOWN,
        f"still growing after {GIVE_UP_S:.0f} s",
    )


def test_one_source_that_cannot_be_had_leaves_the_others() -> None:
    """Its name is in no records, so that nobody counts none where nobody looked."""
    store = MemoryTraceStore()
    store.break_off()
    records = MemoryRecords({Source.LOGS: (Record(1.0), Record(40.0))})
    found = gathered({"charges": CHARGES, "kept": KEPT}, records, store)
    assert found.records == {"charges": (Record(1.0),)}
    assert [finding.outcome for finding in found.findings] == [Outcome.HOLDS, Outcome.UNKNOWN]
    missing = gathered({"charges": CHARGES}, MemoryRecords())
    assert [finding.outcome for finding in missing.findings] == [Outcome.UNKNOWN]


class Busy(Finding):
    """A store that does not answer in time at first."""

    looks = 0

    async def search(self, traceql: str, *, start_s: float, end_s: float) -> frozenset[str]:
        self.looks += 1
        if self.looks in {1, 3}:
            raise TraceStoreError("no answer within 2 s")
        return await super().search(traceql, start_s=start_s, end_s=end_s)


def test_a_store_that_is_busy_is_asked_again_and_its_answer_must_stay_from_then_on() -> None:
    store = Busy()
    assert len(gathered({"kept": KEPT}, MemoryRecords(), store).records["kept"]) == 2
    assert store.looks == 3 + 1 + same_for_s(store)


def test_who_keeps_nothing_waits_for_nothing() -> None:
    assert gathered({}, MemoryRecords()) == Gathered()
