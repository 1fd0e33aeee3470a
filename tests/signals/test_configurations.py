"""Every store's configuration, by the store's own judgement."""

from __future__ import annotations

import subprocess
from pathlib import Path

import psutil
import pytest

from lab.adapters.stack import collector_config, local_programs
from lab.adapters.stack.grafana import engine_answers
from lab.adapters.tools import toolbox
from lab.settings import CHECKOUT, Settings, Signals
from lab.shop.topology import HOST
from tests.support.lab_under_test import LabUnderTest

DEPLOY = CHECKOUT / "deploy"
CONTRIB = "docker.io/otel/opentelemetry-collector-contrib:0.159.0"


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def binary(tool: toolbox.Tool) -> str:
    found = toolbox.find(tool, Settings())
    assert found is not None, f"{tool.name} is not built; `lab tools --build --all` builds it"
    return str(found.path)


def named(name: str) -> toolbox.Tool:
    return next(tool for tool in (*toolbox.TOOLS, *toolbox.SIGNAL_TOOLS) if tool.name == name)


def test_promtool_accepts_prometheus_configuration() -> None:
    """With its lint."""
    config = str(DEPLOY / "prometheus" / "prometheus.yaml")
    run([binary(toolbox.PROMTOOL), "check", "config", "--lint=all", "--lint-fatal", config])


def test_promtool_refuses_a_wrong_one(tmp_path: Path) -> None:
    """So the check above can fail."""
    wrong = tmp_path / "prometheus.yaml"
    wrong.write_text("otlp: {promote_resource_attribute: [service.name]}\n")
    with pytest.raises(AssertionError, match="promote_resource_attribute"):
        run([binary(toolbox.PROMTOOL), "check", "config", str(wrong)])


def test_loki_accepts_its_configuration(tmp_path: Path) -> None:
    """`-verify-config`, with the environment of a stack."""
    settings = Settings(state_dir=tmp_path, signals="full")
    config = f"-config.file={DEPLOY / 'loki' / 'loki.yaml'}"
    run(
        [binary(named("loki")), "-verify-config", "-config.expand-env=true", config],
        local_programs.environment(settings),
    )


@pytest.mark.parametrize("signals", ["traces", "full"])
def test_tempo_accepts_its_configuration(tmp_path: Path, signals: Signals) -> None:
    """With the metrics generator and without."""
    settings = Settings(state_dir=tmp_path, signals=signals)
    config = f"-config.file={DEPLOY / 'tempo' / 'tempo.yaml'}"
    run(
        [binary(named("tempo")), "-config.verify", "-config.expand-env=true", config],
        local_programs.environment(settings),
    )


def test_contribs_collector_accepts_the_files_for_datadog() -> None:
    """Whose exporter no other distribution has; no telemetry is sent to validate a file."""
    engine = next(filter(engine_answers, ("docker", "podman")), None)
    if engine is None:
        pytest.skip("skipped: no container engine")
    pulled = subprocess.run(
        [engine, "pull", "--quiet", CONTRIB], capture_output=True, timeout=300, check=False
    )
    if pulled.returncode != 0:
        pytest.skip(f"skipped: {engine} cannot fetch {CONTRIB}")
    names = ("collector", "signals", "backend-datadog")
    environment = {
        **dict.fromkeys(("OTELCOL_OTLP_GRPC", "OTELCOL_OTLP_HTTP"), "127.0.0.1:1"),
        **dict.fromkeys(("OTELCOL_HEALTH", "TEMPO_OTLP_GRPC"), "127.0.0.1:2"),
        **dict.fromkeys(("PROMETHEUS_URL", "LOKI_URL"), "http://127.0.0.1:3"),
        "OTELCOL_METRICS_HOST": "127.0.0.1",
        "OTELCOL_METRICS_PORT": "4",
        "OTELCOL_SIGNALS_DIR": "/tmp",
        "DD_API_KEY": "0" * 32,
    }
    run(
        [
            *(engine, "run", "--rm", "--network=none"),
            f"--volume={collector_config.FOLDER}:/etc/deadspan:ro",
            *(f"--env={name}={value}" for name, value in environment.items()),
            *(CONTRIB, "validate"),
            *(f"--config=/etc/deadspan/{name}.yaml" for name in names),
        ]
    )


def test_the_stack_runs_what_was_checked(full_lab: LabUnderTest) -> None:
    """All parts are ready, Prometheus and Loki among them."""
    ready = {part["name"] for part in full_lab.json("status")["parts"] if part["state"] == "ready"}
    assert {"prometheus", "loki", "tempo", "otelcol"} <= ready


def test_no_store_listens_for_the_outside_world(full_lab: LabUnderTest) -> None:
    """Every socket of theirs is on loopback, gossip included."""
    stores = {"prometheus", "loki", "tempo", "otelcol"}
    listening = {
        (process.name(), each.laddr.ip)
        for process in map(psutil.Process, full_lab.processes())
        if process.name() in stores
        for each in process.net_connections("inet")
        if each.status == psutil.CONN_LISTEN
    }
    assert listening == {(name, HOST) for name in stores}
