"""A fault of some connections: thrown until a fair number is hit, and told to the journal."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import anyio
import pytest

from lab.adapters.memory.clock import FakeClock
from lab.adapters.memory.injector import MemoryInjector
from lab.adapters.memory.trace_store import MemoryTraceStore
from lab.adapters.memory.warden import MemoryWarden
from lab.domain.bound import parse
from lab.domain.fault import Dice, Fault, Toxic
from lab.domain.journal import Step
from lab.domain.predicate import Predicate
from lab.domain.proof import Finding, Outcome
from lab.domain.twin import CULPRIT_TWIN, Drop, Expectation, Part, Twin
from lab.investigation.proof.but_for import twin_scenario
from lab.investigation.running import fair_dice
from lab.investigation.running.lease import harm
from tests.support.evidence import DB_TIMEOUT
from tests.support.traces import client, trace

SICK = Fault("catalog-catalog_db", Toxic.LATENCY, {"latency": 600}, toxicity=0.3)
DICE = Dice(
    SICK.edge, Predicate(duration=parse(">= 550ms")), "db.connection.id", parse("2..5"), throws=3
)


@dataclass
class Diary:
    """A journal that keeps what it is told."""

    told: list[dict[str, object]] = field(default_factory=list)

    def record(self, step: Step, event: str, *, spoiler: bool = False, **data: object) -> None:
        assert (step, event, spoiler) == (Step.CRIME, "dice thrown", True)
        self.told.append(data)

    def entries(self) -> tuple[()]:
        return ()


@dataclass
class Table:
    """Dice that fall as told: so many sick connections of ten at each throw."""

    falls: list[int]
    store: MemoryTraceStore = field(default_factory=MemoryTraceStore)
    diary: Diary = field(default_factory=Diary)
    injector: MemoryInjector = field(default_factory=lambda: MemoryInjector([SICK.edge]))

    async def warm_up(self) -> tuple[str, ...]:
        """A request through each connection."""
        sick, ids = self.falls.pop(0), []
        for number in range(10):
            trace_id = f"{len(self.falls):016x}{number:016x}"
            took, connection = 600 if number < sick else 1, {"db.connection.id": number}
            span = client("catalog", "SELECT", 0, took, "catalog_db", attributes=connection)
            self.store.receive(trace(trace_id, span).spans)
            ids.append(trace_id)
        return tuple(ids)

    def play(self) -> Finding:
        """Throw under a lease until it is fair, or enough."""
        clock = FakeClock()
        warden = MemoryWarden(self.injector, clock)

        async def story() -> Finding:
            async with harm(warden, clock, "a run", [SICK], {}, 1) as lease:
                finding = await fair_dice.throw(
                    DICE, lease, self.warm_up, store=self.store, clock=clock, journal=self.diary
                )
                assert (await warden.edges())[SICK.edge].toxics == (SICK,)
                return finding

        return anyio.run(story)


@pytest.mark.parametrize(
    ("falls", "throws"), [([2], 1), ([5], 1), ([1, 3], 2), ([6, 0, 4], 3)], ids=str
)
def test_dice_fall_until_they_are_fair(falls: list[int], throws: int) -> None:
    table = Table([*falls, 9])
    finding = table.play()
    assert finding.outcome is Outcome.HOLDS
    assert [told["hit"] for told in table.diary.told] == falls
    assert finding.measured == f"{falls[-1]} after {throws}"


def test_after_the_last_throw_nothing_is_known() -> None:
    """Chance refutes no case: the run is incomplete, and says how the dice fell."""
    finding = Table([0, 6, 1, 3]).play()
    assert (finding.outcome, finding.integrity) == (Outcome.UNKNOWN, True)
    assert finding.measured == "1 after 3"
    assert finding.expected == "2..5 values of db.connection.id hit, within 3 throws"


def test_a_connection_is_counted_once_and_a_span_without_one_not_at_all() -> None:
    once = client("catalog", "SELECT", 0, 600, "catalog_db", attributes={"db.connection.id": 7})
    none = client("catalog", "SELECT", 0, 600, "catalog_db")
    traces = [trace(name * 32, span) for name, span in (("a", once), ("b", once), ("c", none))]
    assert DICE.hit(traces) == {7}


def test_a_twin_without_the_fault_throws_no_dice() -> None:
    """One that keeps it throws them as ever."""
    sick = replace(DB_TIMEOUT, faults=(SICK,), dice=DICE, conditions={"catalog.pool_min": 10})
    assert twin_scenario(sick, CULPRIT_TWIN).dice is None
    settled = Twin("default settings", Expectation.UNCHANGED, (Drop(Part.CONDITIONS),))
    assert twin_scenario(sick, settled).dice == DICE
