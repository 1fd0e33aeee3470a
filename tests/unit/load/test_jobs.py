"""Actors that come by the clock: when they come, and that nobody waits for one who is not due."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from lab.load.jobs import Jobs


class Caller:
    """Somebody who writes down when he came, and stays as long as he is told to."""

    def __init__(self) -> None:
        self.came: list[float] = []
        self.done = 0

    async def open(self) -> None:
        """Nothing to prepare."""

    async def close(self) -> None:
        """Nothing to let go of."""

    async def visit(self, holds_s: float) -> None:
        """Stay."""
        self.came.append(asyncio.get_running_loop().time())
        await asyncio.sleep(holds_s)
        self.done += 1


def timetable(at_s: float, every_s: float, holds_s: float = 0.0) -> dict[str, Any]:
    return {"caller": {"at_s": at_s, "every_s": every_s, "holds_s": holds_s}}


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scene())


def test_an_actor_comes_at_its_time_and_again_and_again() -> None:
    caller = Caller()

    async def scene() -> None:
        jobs = Jobs({"crime": timetable(0.05, 0.1)}, {"caller": caller})
        began = asyncio.get_running_loop().time()
        jobs.enter("crime")
        await asyncio.sleep(0.3)
        await jobs.pause()
        came = [moment - began for moment in caller.came]
        assert came[:3] == pytest.approx([0.05, 0.15, 0.25], abs=0.045)

    play(scene)


def test_a_window_without_a_timetable_ends_the_one_before() -> None:
    caller = Caller()

    async def scene() -> None:
        jobs = Jobs({"crime": timetable(0.05, 0.05)}, {"caller": caller})
        jobs.enter("crime")
        jobs.enter("recovery")
        await asyncio.sleep(0.15)
        assert caller.came == []

    play(scene)


def test_a_pause_waits_for_who_has_begun_and_lets_nobody_begin() -> None:
    caller = Caller()

    async def scene() -> None:
        jobs = Jobs({"crime": timetable(0.0, 0.1, holds_s=0.2)}, {"caller": caller})
        jobs.enter("crime")
        await asyncio.sleep(0.05)
        await jobs.pause()
        assert (len(caller.came), caller.done) == (1, 1)
        await asyncio.sleep(0.15)
        assert len(caller.came) == 1

    play(scene)
