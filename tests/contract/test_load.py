"""What every load generator does: Locust before a stub shop, alone and shared, and the replay."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.adapters.cases.case_folder import read_requests
from lab.adapters.clock import SystemClock
from lab.adapters.locust_load import LocustLoad
from lab.adapters.memory.clock import FakeClock
from lab.adapters.memory.load import MemoryLoad
from lab.domain.load import LoadPlan, LoadShape, Request, Window
from lab.errors import LoadError
from lab.ports.clock import Clock
from lab.ports.load import LoadGenerator
from tests.support.stub_shop import stub_shop
from tests.support.warden_parts import free_ports

ANSWER_S = 0.15
PATIENCE = 20
"""Looks at the progress of a busy machine, half a second apart."""

PLAN = LoadPlan(
    seed=7,
    shapes={
        Window.SETTLE: LoadShape({"shopper": 1}, users=4, pace_s=0.2),
        Window.REFERENCE: LoadShape({"shopper": 1}, users=4, pace_s=0.2),
        Window.CRIME: LoadShape({"browser": 1}, rate_per_s=20),
    },
)


@dataclass(frozen=True)
class Bench:
    """A generator before a shop that takes ``ANSWER_S`` for an answer, and the clock it runs by."""

    load: LoadGenerator
    clock: Clock
    log: Path

    def windows(self) -> set[Window]:
        return {request.window for request in read_requests(self.log)}


def end_s(request: Request) -> float:
    """When its answer was there (Unix seconds)."""
    return request.start_s + request.latency_ms / 1000


def _replayed(window: Window) -> list[Request]:
    return [
        Request(
            window=window,
            planned_s=number / 20,
            start_s=number / 20,
            latency_ms=ANSWER_S * 1000,
            actor="shopper",
            route="POST /checkout",
            tenant="birch",
            status=201,
            trace_id=f"{number + 1:032x}",
        )
        for number in range(200)
    ]


@pytest.fixture(params=["locust", "fleet", "memory"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    log = tmp_path / "requests.jsonl"
    if request.param == "memory":
        clock = FakeClock()
        yield Bench(MemoryLoad(clock, {window: _replayed(window) for window in Window}), clock, log)
        return
    with stub_shop() as shop:
        shop.delay_s = ANSWER_S
        workers = 2 if request.param == "fleet" else 0
        load = LocustLoad(shop.url, shop.url, workers=workers, master_port=free_ports(1)[0])
        yield Bench(load, SystemClock(), log)


def test_every_request_is_logged_in_its_window(bench: Bench) -> None:
    """A window's requests start inside it, and only those of entered windows are there."""

    async def run() -> tuple[float, float]:
        async with bench.load.start(PLAN, bench.log) as load:
            start_s = await load.enter(Window.REFERENCE)
            await bench.clock.sleep(1.2)
            end_s = await load.pause()
            await load.finish()
            return start_s, end_s

    start_s, end_s = asyncio.run(run())
    inside = [each for each in read_requests(bench.log) if each.window is Window.REFERENCE]

    assert len(inside) >= 8
    assert bench.windows() == {Window.REFERENCE, Window.TRANSITION}
    assert all(start_s <= each.start_s for each in inside)
    assert all(each.start_s + each.latency_ms / 1000 <= end_s for each in inside)
    assert len({each.trace_id for each in inside}) == len(inside)


def test_a_request_that_straddles_the_end_belongs_to_no_window(bench: Bench) -> None:
    """It began under one set of conditions and may have ended under another."""

    async def run() -> None:
        async with bench.load.start(PLAN, bench.log) as load:
            await load.enter(Window.CRIME)
            await bench.clock.sleep(1.01)
            await load.pause()
            await load.finish()

    asyncio.run(run())
    shopping = [each for each in read_requests(bench.log) if each.route != "POST /login"]

    straddling = [each for each in shopping if each.window is Window.TRANSITION]
    inside = [each for each in shopping if each.window is Window.CRIME]
    assert straddling, "expected some of 20 requests a second to be in flight at any moment"
    assert inside
    assert {each.window for each in shopping} == {Window.CRIME, Window.TRANSITION}
    # Both ends are stamped a moment before the window is looked up.
    assert max(map(end_s, inside)) <= min(map(end_s, straddling)) + 0.05


def test_a_pause_drains_and_then_nothing_happens(bench: Bench) -> None:
    """Between windows settings change, and no request may notice."""

    async def run() -> tuple[float, int, int]:
        async with bench.load.start(PLAN, bench.log) as load:
            await load.enter(Window.REFERENCE)
            await bench.clock.sleep(0.6)
            paused_s = await load.pause()
            before = len(read_requests(bench.log))
            await bench.clock.sleep(0.6)
            return paused_s, before, len(read_requests(bench.log))

    paused_s, before, after = asyncio.run(run())

    assert before == after
    assert all(
        each.start_s + each.latency_ms / 1000 <= paused_s for each in read_requests(bench.log)
    )


def test_windows_follow_each_other_with_or_without_a_pause(bench: Bench) -> None:
    """Settling runs straight into the reference; the crime comes after a pause."""

    async def run() -> list[float]:
        async with bench.load.start(PLAN, bench.log) as load:
            starts = [await load.enter(Window.SETTLE)]
            await bench.clock.sleep(0.6)
            starts.append(await load.enter(Window.REFERENCE))
            await bench.clock.sleep(0.6)
            starts.append(await load.pause())
            starts.append(await load.enter(Window.CRIME))
            await bench.clock.sleep(0.6)
            await load.finish()
            return starts

    starts = asyncio.run(run())

    assert starts == sorted(starts)
    assert bench.windows() >= {Window.SETTLE, Window.REFERENCE, Window.CRIME}


def test_progress_is_the_newest_second_of_the_window(bench: Bench) -> None:
    """None before the first; then rate, errors and latency of the window that is on."""

    async def run() -> None:
        async with bench.load.start(PLAN, bench.log) as load:
            assert load.progress() is None
            await load.enter(Window.CRIME)
            assert load.progress() is None
            await bench.clock.sleep(1.8)
            for _ in range(PATIENCE):
                progress = load.progress()
                if progress is not None and progress.requests >= 10:
                    break
                await bench.clock.sleep(0.5)
            assert progress is not None
            assert progress.window is Window.CRIME
            assert progress.requests >= 10
            assert 10 <= progress.requests_per_s <= 40
            assert progress.error_rate == 0
            assert ANSWER_S * 1000 <= progress.p95_ms < ANSWER_S * 5000

    asyncio.run(run())


def test_the_report_counts_a_root_span_for_every_request(bench: Bench) -> None:
    """What the log has and the store lacks is loss, so both must count alike."""

    async def run() -> int:
        async with bench.load.start(PLAN, bench.log) as load:
            await load.enter(Window.REFERENCE)
            await bench.clock.sleep(0.6)
            report = await load.finish()
            assert report.lateness_p99_ms is None
            return report.spans_ended

    assert asyncio.run(run()) == len(read_requests(bench.log)) > 0


def test_a_window_without_a_shape_is_refused(bench: Bench) -> None:
    """The plan says how each window is loaded; there is no default to guess."""

    async def run() -> None:
        async with bench.load.start(PLAN, bench.log) as load:
            await load.enter(Window.RECOVERY)

    with pytest.raises(LoadError, match=r"expected one of the plan's .* got recovery"):
        asyncio.run(run())


def test_a_finished_run_takes_no_orders(bench: Bench) -> None:
    """The process is gone; asking it is an error, not a wait."""

    async def run() -> None:
        async with bench.load.start(PLAN, bench.log) as load:
            await load.finish()
            await load.enter(Window.CRIME)

    with pytest.raises(LoadError, match="ended"):
        asyncio.run(run())
