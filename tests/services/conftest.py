"""A real Postgres, wires in place of proxies, a backend, and the whole shop on ports of its own."""

from __future__ import annotations

import asyncio
import random
import signal
import socket
import subprocess
from collections.abc import Iterator

import pytest

from lab.adapters.stack import postgres as lab_postgres
from lab.settings import Settings
from lab.shop import topology
from tests.services.otlp_sink import HttpSink, OtlpSink
from tests.services.running_shop import Customer, RunningShop
from tests.services.wires import Wires


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((topology.HOST, port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="session")
def offset() -> int:
    """A port offset at which nobody listens, nor at the next three, for shops beside the first.

    Below the ports from which Linux takes those of outgoing connections.
    """
    candidates = list(range(9000, 14000, 100))
    random.shuffle(candidates)
    for candidate in candidates:
        shops = range(candidate, candidate + 400, 100)
        if all(_is_free(port + shop) for port in topology.PORTS.values() for shop in shops):
            return candidate
    raise AssertionError("no free ports")


@pytest.fixture(scope="session")
def postgres(
    offset: int, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[lab_postgres.Server]:
    """The lab's own Postgres, migrated."""
    reason = lab_postgres.can_start_servers()
    if reason is not None:
        pytest.skip(reason)
    settings = Settings(port_offset=offset, state_dir=tmp_path_factory.mktemp("state"))
    server = lab_postgres.server_of(settings)
    local = lab_postgres.LocalPostgres(settings)
    local.prepare()
    process = subprocess.Popen(local.command(), stderr=subprocess.DEVNULL)
    try:
        asyncio.run(_wait_for(server))
        asyncio.run(lab_postgres.prepare_databases(server))
        yield server
    finally:
        process.send_signal(signal.SIGINT)  # its fast shutdown
        process.wait(10)


async def _wait_for(server: lab_postgres.Server) -> None:
    accepts = lab_postgres.accepts(server)
    for _ in range(200):
        if await accepts() is None:
            return
        await asyncio.sleep(0.05)
    raise AssertionError("Postgres does not let the shop in")


@pytest.fixture(scope="session")
def wires(offset: int, postgres: lab_postgres.Server) -> Iterator[Wires]:
    """Every edge's wire, mended; a test that hurts one mends it."""
    with Wires(offset) as wires:
        yield wires


@pytest.fixture(scope="session")
def sink(offset: int) -> Iterator[OtlpSink]:
    """The backend that the shop exports to."""
    with HttpSink(topology.port("otelcol_otlp_http", offset)) as sink:
        yield sink


@pytest.fixture(scope="session")
def shop(
    offset: int, wires: Wires, sink: OtlpSink, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningShop]:
    """The whole shop, healthy."""
    running = RunningShop(offset, tmp_path_factory.mktemp("log"))
    try:
        running.wait_until_healthy()
        yield running
    finally:
        running.stop()


@pytest.fixture
def customer(shop: RunningShop) -> Customer:
    """Somebody of acme who is logged in."""
    return Customer(shop.url("gateway"))
