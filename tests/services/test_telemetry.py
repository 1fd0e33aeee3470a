"""That a service exports the same, and all of it, however it was started."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from lab.shop import topology
from lab.shop.keeper.environment import OtlpProtocol, service_environment
from tests.services.otlp_sink import GrpcSink, HttpSink, OtlpSink
from tests.services.running_shop import RunningShop, clean_environment, eventually

INTROSPECT = Path(__file__).with_name("introspect.py")
CHECKOUT = Path(__file__).parents[2]
ALONE = 100
"""Added to the offset of the whole shop, so that a service alone has ports of its own."""

PAYMENT = {
    "order_id": "1",
    "card_number": "4242 4242 4242 4242",
    "amount_cents": 1,
    "currency": "EUR",
}


def introspected(start: str, environment: dict[str, str]) -> dict[str, Any]:
    """What `introspect` says, started by ``opentelemetry-instrument`` or forked."""
    inherited = {**clean_environment(), "PYTHONPATH": str(CHECKOUT)}
    inherited["INTROSPECT"] = json.dumps(environment)
    command = [sys.executable, str(INTROSPECT), start]
    if start == "started":
        command.insert(0, str(Path(sys.executable).with_name("opentelemetry-instrument")))
        inherited |= environment
    done = subprocess.run(command, env=inherited, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    described: dict[str, Any] = json.loads(done.stdout)
    return described


@pytest.mark.parametrize(
    ("protocol", "changes"),
    [
        ("http/protobuf", {}),
        ("grpc", {"OTEL_PROPAGATORS": "baggage", "OTEL_TRACES_SAMPLER": "always_off"}),
    ],
)
def test_a_forked_service_has_the_telemetry_of_an_instrumented_one(
    protocol: OtlpProtocol, changes: dict[str, str]
) -> None:
    """Exporters, sampler, propagators, instrumentors and resource are equal, and as asked for."""
    environment = service_environment("auth", otlp_protocol=protocol) | changes
    forked = introspected("forked", environment)
    started = introspected("started", environment)
    assert forked == started
    active = {name for name, active in forked["instrumentors"].items() if active}
    assert active == {"asyncpg", "httpx", "logging"}
    assert len(forked["propagators"]) == (1 if changes else 2)
    kind = "grpc" if protocol == "grpc" else "http"
    exporters = [name for name in forked["exporters"] if ".otlp." in name]
    assert len(exporters) == 3, forked["exporters"]
    assert all(f".otlp.proto.{kind}." in name for name in exporters)


class Alone:
    """The bank as a process of its own: it needs no database."""

    def __init__(self, offset: int, **environment: str) -> None:
        self.url = topology.url("bank", offset)
        own = {**clean_environment(), **service_environment("bank", offset=offset), **environment}
        self.process = subprocess.Popen([sys.executable, "-m", "lab.shop", "bank"], env=own)
        eventually(self.is_healthy, within_s=15)

    def is_healthy(self) -> bool:
        try:
            return httpx.get(f"{self.url}/healthz", trust_env=False).is_success
        except httpx.HTTPError:
            return False

    def ask(self) -> None:
        answer = httpx.post(f"{self.url}/authorizations", json=PAYMENT, trust_env=False)
        assert answer.status_code == 201

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(10)


def servers(sink: OtlpSink) -> list[str]:
    return [span.name for span in sink.spans if span.kind == "server"]


def test_a_service_killed_right_after_a_request_loses_no_span(offset: int) -> None:
    """At the SDK's own delay of 5 s, SIGTERM right after the answer still exports its span."""
    with HttpSink(topology.port("otelcol_otlp_http", offset + ALONE)) as sink:
        for round_ in (1, 2):
            bank = Alone(offset + ALONE, OTEL_BSP_SCHEDULE_DELAY="5000")
            bank.ask()
            bank.end()
            assert servers(sink) == ["POST /authorizations"] * round_


def test_everything_arrives_by_grpc_too(offset: int) -> None:
    """With `OTEL_EXPORTER_OTLP_PROTOCOL=grpc` spans, logs and metrics reach a gRPC backend."""
    port = topology.port("otelcol_otlp_grpc", offset + ALONE)
    with GrpcSink(port) as sink:
        bank = Alone(
            offset + ALONE,
            OTEL_EXPORTER_OTLP_PROTOCOL="grpc",
            OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}",
        )
        bank.ask()
        bank.end()
    assert servers(sink) == ["POST /authorizations"]
    assert ("bank", "http.server.request.duration") in sink.metrics


def test_forked_services_export_by_grpc(offset: int, tmp_path: Path) -> None:
    """gRPC, which does not like forks, works in services forked from a process that imported it."""
    beside = offset + 300
    with GrpcSink(topology.port("otelcol_otlp_grpc", beside)) as sink:
        shop = RunningShop(beside, tmp_path, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
        try:
            eventually(lambda: shop.is_healthy("bank"), within_s=20)
            shop.http.post(shop.url("bank") + "/authorizations", json=PAYMENT)
            eventually(lambda: servers(sink) == ["POST /authorizations"])
        finally:
            shop.stop()


def test_a_backend_that_is_away_does_not_hold_a_service_up(offset: int) -> None:
    """A service whose backend does not listen ends within the parent's patience."""
    bank = Alone(offset + ALONE)
    bank.ask()
    bank.process.send_signal(signal.SIGTERM)
    bank.process.wait(3.5)
