"""Wardens killed at seeded moments of a lease, on a real Toxiproxy before stub callees."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from lab.shop.topology import EDGES
from tests.support.warden_lab import WISH, WardenLab, adds_toxic, removes_toxic, warden_lab
from tests.support.warden_parts import wait_until

TTL_S: Final = 1.0
ROUND: Final = 25
"""Kills of one warden lab; the next round gets a new one, so that no luck is inherited."""

WORKERS: Final = 2
_GIVE_UP_S: Final = 30.0


class Moment(StrEnum):
    """Where in a lease's life the warden dies."""

    BEFORE_APPLYING = "between the write-ahead and the call"
    AFTER_APPLYING = "between the call and the read-back"
    HELD = "while held"
    RELEASING = "while released, before the removal"
    RELEASED = "while released, after the removal"
    EXPIRING = "while it runs out, before the removal"
    EXPIRED = "while it runs out, after the removal"
    STARTING = "while held, and its successor while it starts"


_APPLYING: Final = {Moment.BEFORE_APPLYING: "before", Moment.AFTER_APPLYING: "after"}
_REMOVING: Final = {
    Moment.RELEASING: "before",
    Moment.RELEASED: "after",
    Moment.EXPIRING: "before",
    Moment.EXPIRED: "after",
}
"""Where the tarpit holds the call that the warden dies in."""


@dataclass(frozen=True, slots=True)
class WardenKill:
    """One kill: when all harm was gone, counted from the end of the lease's time to live."""

    moment: Moment
    gone_after_s: float


def kill_wardens(count: int, seed: int) -> Iterator[list[WardenKill]]:
    """The kills, a round at a time as it ends."""
    with ProcessPoolExecutor(WORKERS) as pool:
        rounds = [
            pool.submit(_round, seed + first, min(ROUND, count - first))
            for first in range(0, count, ROUND)
        ]
        for done in as_completed(rounds):
            yield done.result()


def _round(seed: int, count: int) -> list[WardenKill]:
    dice = random.Random(seed)  # noqa: S311 -- to be dealt again, not to be secret
    moments = tuple(Moment)
    with tempfile.TemporaryDirectory() as folder, warden_lab(Path(folder)) as lab:
        return [_kill(lab, moments[(seed + n) % len(moments)], dice) for n in range(count)]


def _kill(lab: WardenLab, moment: Moment, dice: random.Random) -> WardenKill:
    wish = {"ttl_s": TTL_S, "faults": _faults(dice)}
    ends_s = _bring_to(lab, moment, wish, dice)
    lab.kill_warden()
    lab.tarpit.before = lab.tarpit.after = lambda _: False
    lab.tarpit.reached.clear()
    lab.spawn_warden()
    if moment is Moment.STARTING:
        time.sleep(dice.uniform(0.0, 1.0))
        lab.kill_warden()
        lab.spawn_warden()
    wait_until(lab.is_unharmed, "all harm to be gone", within_s=_GIVE_UP_S)
    gone_after_s = time.monotonic() - ends_s
    wait_until(lab.is_ready, "the warden to be ready", within_s=_GIVE_UP_S)
    lab.assert_clean()
    return WardenKill(moment, gone_after_s)


def _bring_to(
    lab: WardenLab, moment: Moment, wish: dict[str, object], dice: random.Random
) -> float:
    """Drive a lease to ``moment``; when (monotonic seconds) its time to live is over."""
    if moment in _APPLYING:
        setattr(lab.tarpit, _APPLYING[moment], adds_toxic)
        lab.ask_in_vain("POST", "/leases", json={**WISH, **wish})
        assert lab.tarpit.reached.wait(_GIVE_UP_S)
        return time.monotonic() + TTL_S
    lease = lab.take(**wish)
    ends_s = time.monotonic() + TTL_S
    if moment not in _REMOVING:
        time.sleep(dice.uniform(0.0, 0.9 * TTL_S))
        return ends_s
    setattr(lab.tarpit, _REMOVING[moment], removes_toxic)
    if moment in (Moment.RELEASING, Moment.RELEASED):
        lab.ask_in_vain("DELETE", f"/leases/{lease}")
    assert lab.tarpit.reached.wait(_GIVE_UP_S)
    return ends_s


def _faults(dice: random.Random) -> list[dict[str, object]]:
    """The one that the tarpit knows, and up to two more; some come and go by schedule."""
    faults: list[dict[str, object]] = [
        {"edge": "auth-users_db", "toxic": "timeout", "attributes": {"timeout": 0}}
    ]
    others = [edge.name for edge in EDGES if edge.name != "auth-users_db"]
    for edge in dice.sample(others, dice.randint(0, 2)):
        fault: dict[str, object] = {"edge": edge, "toxic": None}
        if dice.random() < 0.5:
            fault |= {"toxic": "latency", "attributes": {"latency": 50}}
        if dice.random() < 0.5:
            fault["schedule"] = {"start_s": dice.uniform(0.0, 0.5), "on_s": 0.5}
        faults.append(fault)
    return faults
