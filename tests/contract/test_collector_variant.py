"""A real Collector that is told to sample, and told to stop: without a restart, or not at all."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from lab.adapters.memory.services import MemoryServices
from lab.adapters.stack import collector_variant
from lab.adapters.stack.collector_variant import CollectorVariant, ShopAndCollector
from lab.adapters.stack.readiness import until_ready
from lab.adapters.tools import toolbox
from lab.errors import LeaseError
from lab.settings import CHECKOUT, Settings
from lab.shop.collector import COLLECTOR, SAMPLING

TAIL = {SAMPLING: "tail"}


class Running:
    """The Collector's process, and what is told of it."""

    def __init__(self, settings: Settings, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.variant = CollectorVariant(settings, self.pid)

    async def pid(self) -> int | None:
        return self.process.pid if self.process.poll() is None else None

    async def wait_until_healthy(self) -> None:
        async def healthy() -> str | None:
            return None if (await self.variant.state()).healthy else "no answer"

        await until_ready("the Collector", healthy, deadline_s=20)


@pytest.fixture
def collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Running]:
    """A Collector with the lab's configuration; nothing is on its way to it."""
    monkeypatch.setattr(collector_variant, "ON_ITS_WAY_S", 0.0)
    monkeypatch.setattr(collector_variant, "DECIDED_S", 0.0)
    settings = Settings(port_offset=_free_offset(), state_dir=tmp_path)
    [tool] = [tool for tool in toolbox.TOOLS if tool.name == "otelcol"]
    binary = toolbox.find(tool, settings)
    if binary is None:
        pytest.skip("the Collector is not built")
    settings.run_dir.mkdir(parents=True)
    settings.log_dir.mkdir(parents=True)
    collector_variant.reset(settings)
    command = [
        *(str(binary.path), "--config", str(CHECKOUT / "deploy" / "otelcol" / "collector.yaml")),
        *("--config", str(collector_variant.variant_file(settings))),
    ]
    process = subprocess.Popen(
        command, env={**os.environ, **_environment(settings)}, stderr=subprocess.DEVNULL
    )
    try:
        yield Running(settings, process)
    finally:
        process.kill()
        process.wait(10)


def _environment(settings: Settings) -> Mapping[str, str]:
    def at(name: str) -> str:
        return f"127.0.0.1:{settings.port(name)}"

    return {
        "OTELCOL_OTLP_GRPC": at("otelcol_otlp_grpc"),
        "OTELCOL_OTLP_HTTP": at("otelcol_otlp_http"),
        "OTELCOL_HEALTH": at("otelcol_health"),
        "OTELCOL_METRICS_HOST": "127.0.0.1",
        "OTELCOL_METRICS_PORT": str(settings.port("otelcol_metrics")),
        "OTELCOL_SIGNALS_DIR": str(settings.log_dir),
        "TEMPO_OTLP_GRPC": at("tempo_otlp_grpc"),
    }


def _free_offset() -> int:
    """An offset at which nobody listens where a Collector does."""
    for offset in range(8000, 13000, 100):
        settings = Settings(port_offset=offset)
        names = ("otelcol_otlp_grpc", "otelcol_otlp_http", "otelcol_health", "otelcol_metrics")
        if all(_is_free(settings.port(name)) for name in names):
            return offset
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


def test_it_samples_and_stops_with_the_same_process(collector: Running) -> None:
    """Its state says which, and after each change its pipelines are younger than before."""

    async def scene() -> None:
        await collector.wait_until_healthy()
        pid = collector.process.pid
        assert (await collector.variant.state()).overlay == {}
        for overlay in (TAIL, TAIL, {}):
            await collector.variant.configure(overlay)
            state = await collector.variant.state()
            assert (state.overlay, state.healthy, state.pid) == (overlay, True, pid)
        assert collector.process.poll() is None

    asyncio.run(scene())


def test_it_stands_beside_the_services_and_changes_none_of_them(collector: Running) -> None:
    shop = MemoryServices(["auth"])

    async def scene() -> None:
        both = ShopAndCollector(shop, collector.variant)
        await collector.wait_until_healthy()
        await both.configure(COLLECTOR, TAIL)
        await both.configure("auth", {"SHOP_POOL_SIZE": "2"})
        states = await both.states()
        assert states[COLLECTOR].overlay == TAIL
        assert states["auth"].overlay == {"SHOP_POOL_SIZE": "2"}
        await both.configure(COLLECTOR, {})
        assert shop.restarted == ["auth"]

    asyncio.run(scene())


def test_one_that_is_gone_cannot_be_told(collector: Running) -> None:
    """A lease that names it cannot be held, and says why."""

    async def scene() -> None:
        await collector.wait_until_healthy()
        collector.process.kill()
        collector.process.wait(10)
        with pytest.raises(LeaseError, match="found no process"):
            await collector.variant.configure(TAIL)

    asyncio.run(scene())
