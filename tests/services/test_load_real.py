"""Locust itself, before a stub shop and with a stub Collector behind it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from lab.adapters.cases.case_folder import read_requests
from lab.adapters.free_play import FreePlay, free_play_command
from lab.adapters.locust_load import LocustLoad
from lab.domain.load import Burst, LoadPlan, LoadReport, LoadShape, Request, Window, percentile
from lab.errors import LoadError
from lab.settings import Settings
from tests.services.otlp_sink import GrpcSink, HttpSink
from tests.support.stub_shop import StubShop, stub_shop

TRIES = 3
MOST_LATE_MS = 200
"""A run counts up to 50; a loop that waits for answers would be late by seconds."""

SHOPPERS = LoadShape({"shopper": 1}, users=4, pace_s=0.1)


@pytest.fixture
def shop() -> Iterator[StubShop]:
    with stub_shop() as shop:
        yield shop


def unused_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def free_port() -> int:
    return unused_port()


def play(
    load: LocustLoad, log: Path, shape: LoadShape, seconds: float
) -> tuple[tuple[Request, ...], LoadReport]:
    """One crime window of ``shape``; returns its own requests and the report."""

    async def run() -> LoadReport:
        plan = LoadPlan(seed=1, shapes={Window.CRIME: shape})
        async with load.start(plan, log) as running:
            await running.enter(Window.CRIME)
            await asyncio.sleep(seconds)
            await running.pause()
            return await running.finish()

    report = asyncio.run(run())
    requests = read_requests(log)
    return tuple(each for each in requests if each.window is Window.CRIME), report


def test_a_burst_comes_all_at_once_and_alone(shop: StubShop, tmp_path: Path) -> None:
    """Ten at the first moment and nobody after; the shop is slow, so each has a connection."""
    shop.delay_s = 0.5
    shape = LoadShape({"browser": 1}, rate_per_s=0, bursts=(Burst(10),))

    requests, _ = play(LocustLoad(shop.url, shop.url), tmp_path / "requests.jsonl", shape, 3)
    pages = [each for each in requests if each.route == "GET /products"]

    assert len(pages) == 10
    assert len({each.planned_s for each in pages}) == 1


def test_an_open_loop_stays_open_behind_a_slow_shop(shop: StubShop, tmp_path: Path) -> None:
    """15/s behind 1.5 s: every arrival is answered in 1.5 s, none waits for a connection."""
    shop.delay_s = 1.5
    shape = LoadShape({"browser": 1}, rate_per_s=15)

    # A neighbour that takes the processor makes one try late; a loop that closes, every try.
    for attempt in range(TRIES):
        log = tmp_path / f"requests-{attempt}.jsonl"
        requests, report = play(LocustLoad(shop.url, shop.url), log, shape, 6)
        latency_ms = percentile([each.latency_ms for each in requests], 0.5)
        lateness_ms = report.lateness_p99_ms
        if latency_ms < 1700 and lateness_ms is not None and lateness_ms < MOST_LATE_MS:
            break

    assert latency_ms < 1700
    assert lateness_ms is not None
    assert lateness_ms < MOST_LATE_MS
    assert all(each.start_s >= each.planned_s for each in requests)
    # With those that straddle the window's end: every one was sent, at its own moment.
    arrivals = [each for each in read_requests(log) if each.route == "GET /products"]
    planned_s = sorted(each.planned_s for each in arrivals)
    assert len(planned_s) >= 80
    assert {round(later - earlier, 3) for earlier, later in pairwise(planned_s)} == {0.067}


def test_lateness_of_a_warm_up_does_not_count(shop: StubShop, tmp_path: Path) -> None:
    """While services restart the machine is busy, and nothing is judged."""

    async def run() -> LoadReport:
        plan = LoadPlan(1, {Window.TRANSITION: LoadShape({"browser": 1}, rate_per_s=20)})
        async with LocustLoad(shop.url, shop.url).start(plan, tmp_path / "log") as running:
            await running.enter(Window.TRANSITION)
            await asyncio.sleep(0.5)
            return await running.finish()

    assert asyncio.run(run()).lateness_p99_ms is None
    assert {each.window for each in read_requests(tmp_path / "log")} == {Window.TRANSITION}


def test_a_closed_loop_keeps_its_pace_and_its_mix(shop: StubShop, tmp_path: Path) -> None:
    """4 users at 0.2 s make 20 visits/s, and 60 % of them hold an expired card."""
    mix = {"shopper": 0.4, "expired-card-shopper": 0.6}
    shape = LoadShape(mix, users=4, pace_s=0.2)

    requests, _ = play(LocustLoad(shop.url, shop.url), tmp_path / "log", shape, 4)

    checkouts = [each for each in requests if each.route == "POST /checkout"]
    declined = [each for each in checkouts if each.status == 400]
    starts_s = sorted(each.start_s for each in checkouts)
    # By its own clock: the window itself may last longer on a busy machine.
    assert 14 <= (len(starts_s) - 4) / (starts_s[-1] - starts_s[0]) <= 21
    assert abs(len(declined) - 0.6 * len(checkouts)) <= 3
    assert {each.actor for each in declined} == {"expired-card-shopper"}
    assert len({each.tenant for each in declined}) == 10


@pytest.mark.parametrize(
    ("sink_type", "protocol"), [(HttpSink, "http/protobuf"), (GrpcSink, "grpc")]
)
def test_every_request_is_a_root_span_that_arrives(
    shop: StubShop, tmp_path: Path, free_port: int, sink_type: Any, protocol: Any
) -> None:
    """Trace ids in the log, in the shop's headers and at the Collector are the same."""
    with sink_type(free_port) as sink:
        load = LocustLoad(shop.url, sink.endpoint, otlp_protocol=protocol)
        requests, report = play(load, tmp_path / "log", SHOPPERS, 1)

    logged = {each.trace_id for each in read_requests(tmp_path / "log")}
    carried = {headers["traceparent"].split("-")[1] for _, headers in shop.requests}
    assert report.spans_failed == 0
    assert report.spans_ended == len(sink.spans) == len(logged)
    assert {span.trace_id for span in sink.spans} == logged == carried
    assert {(span.service, span.kind, span.parent_id) for span in sink.spans} == {
        ("storefront", "client", "")
    }
    tenants = {each.trace_id: each.tenant for each in requests}
    assert {
        headers["traceparent"].split("-")[1]: headers["baggage"].removeprefix("tenant_id=")
        for route, headers in shop.requests
        if route != "POST /login" and headers["traceparent"].split("-")[1] in tenants
    } == tenants


def test_spans_nobody_takes_are_reported(shop: StubShop, tmp_path: Path, free_port: int) -> None:
    """Without a Collector the load goes on and the report says what was lost."""
    load = LocustLoad(shop.url, f"http://127.0.0.1:{free_port}")
    _, report = play(load, tmp_path / "log", SHOPPERS, 0.5)

    assert report.spans_failed == report.spans_ended > 0


@pytest.mark.parametrize("status", [500, 504])
def test_a_server_error_is_written_with_its_status(
    shop: StubShop, tmp_path: Path, status: int
) -> None:
    """The status decides later whether a request was affected."""
    shop.status = status
    requests, _ = play(LocustLoad(shop.url, shop.url), tmp_path / "log", SHOPPERS, 0.5)

    assert {each.status for each in requests} == {status}


def test_an_answer_that_breaks_off_is_no_answer(shop: StubShop, tmp_path: Path) -> None:
    """A good status over half a body did not serve anybody."""
    shop.breaks_off = True
    requests, _ = play(LocustLoad(shop.url, shop.url), tmp_path / "log", SHOPPERS, 0.5)

    assert {each.status for each in requests} == {0}


def test_an_answer_that_does_not_come_is_no_answer(shop: StubShop, tmp_path: Path) -> None:
    """The actor's patience ends, and the request with it."""
    shop.delay_s = 2
    load = LocustLoad(shop.url, shop.url, timeout_s=0.3)
    requests, _ = play(load, tmp_path / "log", SHOPPERS, 1)

    assert {each.status for each in requests} == {0}
    assert all(300 <= each.latency_ms < 1500 for each in requests), "the shop takes 2000 ms"


def test_a_shop_that_lets_nobody_in_is_named(shop: StubShop, tmp_path: Path) -> None:
    """Without a login there is no load; the message says what was asked and answered."""
    shop.refuses_login = True
    load = LocustLoad(shop.url, shop.url)

    with pytest.raises(LoadError, match=r"/login to give user00\d\d@example.com .* status 401"):
        play(load, tmp_path / "log", SHOPPERS, 0.1)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_run_s": 1.0}, "stopped after 1 s"),
        ({"max_requests": 30}, r"stopped after \d+ requests"),
    ],
)
def test_a_forgotten_run_ends_by_itself(
    shop: StubShop, tmp_path: Path, limits: dict[str, Any], message: str
) -> None:
    """Load is bounded in time and in number, whoever started it."""
    load = LocustLoad(shop.url, shop.url, **limits)

    with pytest.raises(LoadError, match=message):
        play(load, tmp_path / "log", SHOPPERS, 2.5)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="skipped: not Linux")
def test_a_full_disk_is_an_error(shop: StubShop) -> None:
    """Requests that cannot be written down would make a case of silence."""
    with pytest.raises(LoadError, match="No space left on device"):
        play(LocustLoad(shop.url, shop.url), Path("/dev/full"), SHOPPERS, 0.1)


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_a_killed_process_is_an_error_with_its_exit_code(shop: StubShop, tmp_path: Path) -> None:
    """The next order fails at once instead of waiting for its deadline."""

    async def run() -> None:
        plan = LoadPlan(seed=1, shapes={Window.CRIME: SHOPPERS})
        before = _children()
        async with LocustLoad(shop.url, shop.url).start(plan, tmp_path / "log") as load:
            (pid,) = _children() - before
            assert os.getsid(pid) == pid, "Ctrl-C in the terminal must not reach it"
            os.kill(pid, signal.SIGKILL)
            await load.enter(Window.CRIME)

    with pytest.raises(LoadError, match="ended with exit code -9"):
        asyncio.run(run())


@pytest.mark.parametrize("is_stopped", [False, True])
def test_leaving_early_leaves_no_process(shop: StubShop, tmp_path: Path, is_stopped: bool) -> None:
    """Whatever ends the run, cancellation included, ends the process, even one that hangs."""

    async def run() -> None:
        plan = LoadPlan(seed=1, shapes={Window.CRIME: SHOPPERS})
        async with LocustLoad(shop.url, shop.url).start(plan, tmp_path / "log") as load:
            await load.enter(Window.CRIME)
            if is_stopped:
                (pid,) = _children() - before
                os.kill(pid, signal.SIGSTOP)
            entered.set()
            await asyncio.sleep(60)

    entered = asyncio.Event()

    async def cancelled() -> None:
        running = asyncio.create_task(run())
        await entered.wait()
        await asyncio.sleep(1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    before = _children()
    asyncio.run(cancelled())

    assert _children() == before


def test_the_process_ends_when_its_parent_dies(shop: StubShop, tmp_path: Path) -> None:
    """After a ``kill -9`` of the lab nobody shops on."""
    load = LocustLoad(shop.url, shop.url)
    plan = LoadPlan(seed=1, shapes={Window.CRIME: SHOPPERS})
    line = json.dumps(load._plan_line(plan, tmp_path / "log"))
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.load"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()
    assert json.loads(process.stdout.readline())["event"] == "ready"
    process.stdin.write('{"enter": "crime"}\n')
    process.stdin.close()

    assert process.wait(timeout=20) == 3


def play_freely(arguments: tuple[str, ...], shop: StubShop, collector: str) -> FreePlay:
    """Free play before ``shop`` in place of the lab's gateway."""
    command = free_play_command(
        Settings(port_offset=5000),
        ("--users", "20", "--only-summary", "--host", shop.url, *arguments),
    )
    environment = {**command.environment, "OTEL_EXPORTER_OTLP_ENDPOINT": collector}
    return FreePlay(command.argv, environment)


def execute(command: FreePlay, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command.argv,
        env=command.environment,
        cwd=folder,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.parametrize("arguments", [(), ("--processes", "2")])
def test_free_play_shops_from_the_command_line(
    shop: StubShop, tmp_path: Path, free_port: int, arguments: tuple[str, ...]
) -> None:
    """The same actors under Locust itself, in one process or several, each request traced."""
    with HttpSink(free_port) as sink:
        command = play_freely(("--headless", "--run-time", "3s", *arguments), shop, sink.endpoint)
        with execute(command, tmp_path) as locust:
            _, stderr = locust.communicate(timeout=60)

    assert locust.returncode == 0, stderr
    routes = {route for route, _ in shop.requests}
    assert {"POST /login", "POST /checkout", "GET /products?page=1"} <= routes
    assert {span.trace_id for span in sink.spans} == {
        headers["traceparent"].split("-")[1] for _, headers in shop.requests
    }


def test_free_play_says_when_the_shop_is_shut(shop: StubShop, tmp_path: Path) -> None:
    """One sentence with the way out, no traceback."""
    shop.refuses_login = True
    command = play_freely(("--headless", "--run-time", "1s"), shop, shop.url)
    with execute(command, tmp_path) as locust:
        _, stderr = locust.communicate(timeout=60)

    assert "is the shop up? `lab status`" in stderr
    assert "Traceback" not in stderr
