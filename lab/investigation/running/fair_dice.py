"""Throw the dice of a fractional fault until they fall fairly, and say how they fell."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from lab.domain.evidence import Sample
from lab.domain.fault import Dice
from lab.domain.journal import Step
from lab.domain.proof import Finding, Outcome
from lab.investigation.running.collect import collect
from lab.investigation.running.lease import HeldLease
from lab.ports.case_archive import Journal
from lab.ports.clock import Clock
from lab.ports.trace_store import TraceStore

READ_WITHIN_S: Final = 10.0

WarmUp = Callable[[], Awaitable[Sequence[str]]]
"""Puts load on the shop that counts for nothing; returns the ids of its requests' traces."""


async def throw(
    dice: Dice,
    lease: HeldLease,
    warm_up: WarmUp,
    *,
    store: TraceStore,
    clock: Clock,
    journal: Journal,
) -> Finding:
    """Warm up and read the dice until they fall as ``dice`` wants, or its throws are used up.

    The fault itself was the first throw. Each throw is told to ``journal``.
    """
    number = 0
    while True:
        number += 1
        hit = await _hit(dice, await warm_up(), store, clock)
        outcome = dice.bound.holds(hit)
        journal.record(
            Step.CRIME,
            "dice thrown",
            spoiler=True,
            edge=dice.edge,
            throw=number,
            hit=hit,
            wanted=str(dice.bound),
        )
        if outcome is Outcome.HOLDS or number == dice.throws:
            return _finding(dice, number, hit, outcome)
        await lease.roll_again(dice.edge)


async def _hit(dice: Dice, trace_ids: Sequence[str], store: TraceStore, clock: Clock) -> int:
    """How many connections the traces show to be hit."""
    samples = {Sample.UNAFFECTED: tuple(trace_ids)}
    collected = await collect(store, clock, samples, deadline_s=READ_WITHIN_S)
    return len(dice.hit(collected.settled.values()))


def _finding(dice: Dice, throws: int, hit: int, outcome: Outcome) -> Finding:
    """What chance did not grant proves nothing, and refutes nothing either."""
    return Finding(
        Step.CRIME,
        "dice fell fairly",
        f"{dice.bound} values of {dice.by} hit, within {dice.throws} throws",
        f"{hit} after {throws}",
        Outcome.HOLDS if outcome is Outcome.HOLDS else Outcome.UNKNOWN,
        integrity=True,
    )
