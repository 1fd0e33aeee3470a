"""Another run where the machine allowed no verdict; never one where a case was refuted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from lab.domain.case import Case
from lab.errors import MachineStrained
from lab.investigation.running.integrity import is_excused, is_strained
from lab.ports.clock import Clock
from lab.ports.machine import Machine

TRIES: Final = 3
CALM_FOR_S: Final = 3.0
CALM_WITHIN_S: Final = 60.0


async def decided(
    run: Callable[[], Awaitable[Case]],
    *,
    machine: Machine,
    clock: Clock,
    say: Callable[[str], None],
    is_open: Callable[[Case], bool] | None = None,
) -> Case:
    """The first of at most `TRIES` runs whose verdict is not the machine's doing, or the last.

    ``is_open`` asks that of a run; by default of its whole proof. A run that never began,
    for the shop found no calm on a strained machine, counts as one; MachineStrained if the
    last is such. ``say`` is told, before each further run, why there is one.
    """
    for number in range(2, TRIES + 1):
        try:
            case = await run()
        except MachineStrained as error:
            why = f"the shop found no calm: {error}"
        else:
            if not (is_excused(case.proof) if is_open is None else is_open(case)):
                return case
            why = f"{case.case_id}: no verdict"
        say(
            f"{why}, for the machine was too busy or stood still; "
            f"waiting until it is calm, then trying again ({number} of {TRIES})"
        )
        await until_calm(machine, clock)
    return await run()


async def until_calm(machine: Machine, clock: Clock) -> None:
    """Wait for `CALM_FOR_S` without strain, and for no longer than `CALM_WITHIN_S`."""
    give_up_s = clock.monotonic() + CALM_WITHIN_S
    while clock.monotonic() < give_up_s:
        with machine.watch() as strain:
            await clock.sleep(CALM_FOR_S)
            if not is_strained(strain()):
                return
