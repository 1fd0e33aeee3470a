"""What a run needs before it begins: every part there, nothing hurt, settings that can change."""

from __future__ import annotations

from typing import Final

from lab.domain.scenario import Scenario
from lab.errors import ConditionsRefused, DirtyShop, StackNotReady
from lab.ports import Clock, Stack, Warden

READY_WITHIN_S: Final = 5.0
TICK_S: Final = 0.5


async def preflight(stack: Stack, warden: Warden, clock: Clock, scenario: Scenario) -> None:
    """Return if the lab is fit for a run of ``scenario``; nothing is changed.

    Raises StackNotReady, DirtyShop or ConditionsRefused, each with what to do.
    """
    await _all_ready(stack, clock)
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
    dirty = [state for state in (await warden.edges()).values() if not state.is_clean]
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
