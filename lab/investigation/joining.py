"""Find the traces that no request began but that belong to one, as a scenario's joins say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from lab.domain.evidence import Interval
from lab.domain.join import Join
from lab.domain.journal import Step
from lab.domain.proof import Finding, Outcome
from lab.errors import TraceStoreError
from lab.ports import Clock, TraceStore

SAME_FOR_S: Final = 4.0
"""How long an answer must stay as it is: a search sees a trace only once it was idle for 3 s."""

POLL_S: Final = 1.0
GIVE_UP_S: Final = 20.0
MOST_JOINED: Final = 800
"""Of one case; the windows of a case hold some hundred requests of one route."""


@dataclass(frozen=True, slots=True)
class Found:
    """The ids that all searches found, in order; ``problem`` says why they may not be all."""

    trace_ids: tuple[str, ...] = ()
    problem: str | None = None

    @property
    def finding(self) -> Finding:
        """Whether everything that the joins name was found."""
        return Finding(
            Step.EVIDENCE,
            "joined traces found",
            f"the same answer for {SAME_FOR_S:.0f} s",
            self.problem or f"{len(self.trace_ids)} traces",
            Outcome.UNKNOWN if self.problem else Outcome.HOLDS,
            integrity=True,
        )


async def find(
    store: TraceStore, clock: Clock, joins: Sequence[Join], whole_run: Interval
) -> Found:
    """Search until the answers have not changed for `SAME_FOR_S`."""
    give_up_s = clock.monotonic() + GIVE_UP_S
    found: frozenset[str] | None = None
    since_s = clock.monotonic()
    while True:
        try:
            seen = frozenset[str]().union(
                *[await _search(store, each, whole_run) for each in joins]
            )
        except TraceStoreError as error:
            return Found(problem=str(error))
        if len(seen) > MOST_JOINED:
            return Found(problem=f"more than {MOST_JOINED} traces")
        if seen != found:
            found, since_s = seen, clock.monotonic()
        elif clock.monotonic() - since_s >= SAME_FOR_S:
            return Found(tuple(sorted(seen)))
        if clock.monotonic() > give_up_s:
            return Found(tuple(sorted(seen)), f"still growing after {GIVE_UP_S:.0f} s")
        await clock.sleep(POLL_S)


async def _search(store: TraceStore, join: Join, whole_run: Interval) -> frozenset[str]:
    return await store.search(join.search, start_s=whole_run.start_s, end_s=whole_run.end_s)
