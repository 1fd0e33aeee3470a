"""Load until the shop runs evenly: the reference is measured of a calm shop, not of a cold one."""

from __future__ import annotations

from typing import Final

from lab.domain.journal import Step
from lab.domain.load import LoadProgress, Window
from lab.domain.symptom import Symptom
from lab.errors import MachineStrained, WaitTimeout
from lab.investigation.running.integrity import is_strained
from lab.ports import Clock, Journal, LoadRun, Machine, Observer

SETTLE_AT_MOST_S: Final = 40.0
"""Two to five seconds on a calm machine; a busy one gets the time to become calm."""

SETTLED_FOR_S: Final = 2.0
TICK_S: Final = 0.5
MOST_ERRORS: Final = 0.01
"""Share of requests."""


async def settle(
    load: LoadRun,
    symptom: Symptom,
    *,
    machine: Machine,
    clock: Clock,
    observer: Observer,
    journal: Journal,
) -> None:
    """Start the load and return once the shop was calm for a while.

    WaitTimeout if it never is, and MachineStrained where the machine may be why.
    """
    started = clock.monotonic()
    with machine.watch() as strain:
        await load.enter(Window.SETTLE)
        journal.record(Step.SETTLE, "load started")
        calm_since: float | None = None
        looks, seen = 0, load.progress()
        while calm_since is None or clock.monotonic() - calm_since < SETTLED_FOR_S:
            if clock.monotonic() - started > SETTLE_AT_MOST_S:
                gave_up = MachineStrained if is_strained(strain()) else WaitTimeout
                raise gave_up(
                    f"{SETTLED_FOR_S:.0f} s in a row inside the reference bounds",
                    waited_s=clock.monotonic() - started,
                    tries=looks,
                    last_seen=str(seen),
                )
            await clock.sleep(TICK_S)
            looks, seen, now = looks + 1, load.progress(), clock.monotonic()
            # A second without any request says nothing: there may be one every few seconds.
            if seen is not None and seen.requests > 0:
                calm_since = (calm_since or now) if _is_calm(seen, symptom) else None
            observer.phase(Step.SETTLE, "waiting for calm", started + SETTLE_AT_MOST_S - now)
            if seen is not None:
                observer.progress(seen)
    journal.record(
        Step.SETTLE, "settled", after_s=round(clock.monotonic() - started, 2), looks=looks
    )


def _is_calm(seen: LoadProgress, symptom: Symptom) -> bool:
    fast = symptom.slower_than_ms is None or seen.p95_ms < symptom.slower_than_ms
    return fast and seen.error_rate <= MOST_ERRORS
