"""Find the traces that no request began but that belong to one, as a scenario's joins say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lab.domain.evidence import Interval
from lab.domain.join import Join
from lab.domain.journal import Step
from lab.domain.proof import Finding, Outcome
from lab.errors import TraceStoreError
from lab.frozen import dataclass
from lab.investigation.running.waiting import GIVE_UP_S, until_same
from lab.ports.clock import Clock
from lab.ports.trace_store import TraceStore

ON_ITS_WAY_S: Final = 1.0
"""Beyond the store's own lag: services and Collector send a batch every 0.2 s."""

MOST_JOINED: Final = 800
"""Of one case; the windows of a case hold some hundred requests of one route."""


@dataclass(frozen=True, slots=True)
class Found:
    """The ids that all searches found, in order; ``problem`` says why they may not be all.

    ``same_for_s`` is how long the answer had to stay as it was.
    """

    trace_ids: tuple[str, ...] = ()
    problem: str | None = None
    same_for_s: float = ON_ITS_WAY_S

    @property
    def finding(self) -> Finding:
        """Whether everything that the joins name was found."""
        return Finding(
            Step.EVIDENCE,
            "joined traces found",
            f"the same answer for {self.same_for_s:.0f} s",
            self.problem or f"{len(self.trace_ids)} traces",
            Outcome.UNKNOWN if self.problem else Outcome.HOLDS,
            integrity=True,
        )


def same_for_s(store: TraceStore) -> float:
    """How long an answer of ``store`` must stay as it is before it counts as whole."""
    return store.searchable_after_s + ON_ITS_WAY_S


async def find(
    store: TraceStore, clock: Clock, joins: Sequence[Join], whole_run: Interval
) -> Found:
    """Search until the answers have not changed for `same_for_s`."""
    for_s = same_for_s(store)

    async def search() -> frozenset[str]:
        answers = [
            await store.search(each.search, start_s=whole_run.start_s, end_s=whole_run.end_s)
            for each in joins
        ]
        seen = frozenset[str]().union(*answers)
        if len(seen) > MOST_JOINED:
            raise TraceStoreError(f"more than {MOST_JOINED} traces")
        return seen

    try:
        seen, stayed = await until_same(search, clock, for_s=for_s)
    except TraceStoreError as error:
        return Found(problem=str(error), same_for_s=for_s)
    problem = None if stayed else f"still growing after {GIVE_UP_S:.0f} s"
    return Found(tuple(sorted(seen)), problem, for_s)
