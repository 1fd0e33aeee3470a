"""Before a run counts: every part there and nothing hurt, then load until the shop is calm."""

from __future__ import annotations

from typing import Final

from lab.domain.journal import Step
from lab.domain.load import LoadProgress, Window
from lab.domain.scenario import Scenario
from lab.domain.symptom import Symptom
from lab.errors import (
    ConditionsRefused,
    DirtyShop,
    HarmStopped,
    MachineStrained,
    StackNotReady,
    WaitTimeout,
)
from lab.investigation.running.integrity import is_strained
from lab.ports.case_archive import Journal
from lab.ports.clock import Clock
from lab.ports.load import LoadRun
from lab.ports.machine import Machine
from lab.ports.observer import Observer
from lab.ports.stack import Stack
from lab.ports.warden import Warden

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
                machine_was = strain()
                gave_up = MachineStrained if is_strained(machine_was) else WaitTimeout
                raise gave_up(
                    f"{SETTLED_FOR_S:.0f} s in a row inside the reference bounds",
                    waited_s=clock.monotonic() - started,
                    tries=looks,
                    last_seen=f"{seen or 'no request yet'}; the machine: {machine_was}",
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


READY_WITHIN_S: Final = 5.0


async def preflight(stack: Stack, warden: Warden, clock: Clock, scenario: Scenario) -> None:
    """Return if the lab is fit for a run of ``scenario``; nothing is changed.

    Raises StackNotReady, HarmStopped, DirtyShop or ConditionsRefused, each with what to do.
    """
    await _all_ready(stack, clock)
    if await warden.is_harm_stopped():
        raise HarmStopped
    await _nobody_hurts(warden)
    await _settings_can_change(warden, scenario)


async def _all_ready(stack: Stack, clock: Clock) -> None:
    """Look until every part answers: on a busy machine one look may be one too few."""
    give_up_s = clock.monotonic() + READY_WITHIN_S
    while True:
        parts = await stack.status()
        down = [f"{part.name} is {part.state}" for part in parts if not part.is_ready]
        if not down:
            return
        if clock.monotonic() > give_up_s:
            raise StackNotReady(
                f"expected every part of the stack to be ready, found: {', '.join(down)}; "
                "`lab up` starts what is missing"
            )
        await clock.sleep(TICK_S)


async def _nobody_hurts(warden: Warden) -> None:
    lease = await warden.current()
    if lease is not None:
        raise DirtyShop(
            f"expected no lease, found one held by {lease.holder} for another "
            f"{lease.expires_in_s:.0f} s; wait, or `lab heal` ends it"
        )
    edges = (await warden.edges()).values()
    strange = [str(state) for state in edges if state.strange]
    if strange:
        raise DirtyShop(
            f"expected no proxies but the shop's edges, found {'; '.join(strange)}; "
            "`lab heal` removes what is none of the shop's"
        )
    dirty = [state for state in edges if not state.is_clean]
    if dirty:
        raise DirtyShop(
            f"expected clean edges, found {len(dirty)} hurt by nobody's lease; "
            "`lab heal` cleans them (`lab heal --reveal` says which)"
        )


async def _settings_can_change(warden: Warden, scenario: Scenario) -> None:
    if scenario.conditions and not (await warden.shop()).can_configure:
        raise ConditionsRefused(
            f"expected to run {scenario.id}, which restarts services with other "
            "settings; found a shop whose services another system keeps, and nobody here "
            "may restart. Run it with STACK=local or compose, or choose a case that only "
            "hurts edges or load"
        )
