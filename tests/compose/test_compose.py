"""The containers, brought up by whichever engine is here: `make test-compose`."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from lab.adapters.stack import compose_file, container_engine
from lab.errors import ToolMissing
from lab.settings import Settings
from lab.shop.topology import SERVICES
from tests.support.lab_under_test import PROOF_WITHIN_S, LabUnderTest, free_offset

UP_WITHIN_S = 1200
"""The first start pulls images and builds one."""

PROVEN_WITHIN_S = 180
"""From `lab up` to a proven db-timeout, where every image is there."""

pytestmark = pytest.mark.timeout(UP_WITHIN_S + PROOF_WITHIN_S)


@pytest.fixture(scope="module")
def engine() -> container_engine.Engine:
    try:
        return container_engine.find()
    except ToolMissing as error:
        pytest.skip(f"skipped: no container engine ({error})")


@pytest.fixture(scope="module")
def lab(
    engine: container_engine.Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LabUnderTest]:
    """The compose stack on ports of its own, and gone afterwards with its volumes."""
    state_dir, offset = tmp_path_factory.mktemp("compose") / ".lab", free_offset()
    environment = {
        **os.environ,
        "STACK": "compose",
        "LAB_STATE_DIR": str(state_dir),
        "LAB_PORT_OFFSET": str(offset),
        "COLUMNS": "120",
    }
    settings = Settings(state_dir=state_dir, port_offset=offset, stack="compose")
    it = LabUnderTest(settings, environment)
    try:
        for word in ("up", "down"):  # After it, every image is there.
            done = it.run(word, timeout_s=UP_WITHIN_S)
            assert done.returncode == 0, done.stderr
        yield it
    finally:
        cleaned = it.run("clean", "--yes", timeout_s=180)
        assert cleaned.returncode == 0, cleaned.stderr


@pytest.fixture(scope="module")
def proven(lab: LabUnderTest) -> Path:
    """The case folder of a run of db-timeout, in time."""
    began_s = time.monotonic()
    started = lab.run("up", timeout_s=PROVEN_WITHIN_S)
    assert started.returncode == 0, started.stderr
    done = lab.run("run", "db-timeout", "--json", timeout_s=PROOF_WITHIN_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["verdict"] == "proven"
    assert time.monotonic() - began_s <= PROVEN_WITHIN_S
    return lab.settings.cases_dir / "db-timeout-1"


def test_db_timeout_is_proven_in_containers(lab: LabUnderTest, proven: Path) -> None:
    """And everything is as it was: each part ready, nothing to heal."""
    parts = {part["name"]: part["state"] for part in lab.json("status")["parts"]}
    assert set(SERVICES) | {"toxiproxy", "tempo", "otelcol", "warden", "grafana"} <= set(parts)
    assert set(parts.values()) == {"ready"}
    assert lab.run("heal").stdout.startswith("nothing to remove")
    assert lab.run("doctor").returncode == 0


def test_no_span_tells_of_the_proxies(lab: LabUnderTest, proven: Path) -> None:
    """They answer under the callee's own name; and nothing else gives the case away."""
    assert '"server.address"' in (proven / "traces.jsonl").read_text()
    assert "toxi" not in (proven / "traces.jsonl").read_text().lower()
    found = lab.run("lint", "--cases", str(lab.settings.cases_dir))
    assert found.returncode == 0, found.stdout


def test_a_second_up_leaves_alone_what_runs(lab: LabUnderTest, proven: Path) -> None:
    """It takes seconds, and every process is the same afterwards."""
    before, started = lab.processes(), time.monotonic()
    assert lab.run("up").returncode == 0
    assert time.monotonic() - started < 20
    assert lab.processes() == before


def test_grafana_has_its_data_sources_and_dashboards(lab: LabUnderTest, proven: Path) -> None:
    """As provisioned, asked of its own API: healthy, three stores, three dashboards, all well."""
    with httpx.Client(base_url=lab.settings.url("grafana"), timeout=10) as grafana:
        assert grafana.get("/api/health").json()["database"] == "ok"
        sources = {each["uid"] for each in grafana.get("/api/datasources").json()}
        assert sources == {"tempo", "prometheus", "loki"}
        for source in sources:
            health = grafana.get(f"/api/datasources/uid/{source}/health").json()
            assert health["status"] == "OK", (source, health)
        dashboards = grafana.get("/api/search", params={"type": "dash-db"}).json()
        assert {each["title"] for each in dashboards} >= {"Shop floor", "Case room", "Crime lab"}


def test_nothing_is_published_beyond_this_machine(
    lab: LabUnderTest, proven: Path, engine: container_engine.Engine
) -> None:
    """Every port of every container is on 127.0.0.1, as the engine itself tells it."""
    listed = subprocess.run(
        [
            *(engine.name, "ps", "--format", "{{.Ports}}"),
            *("--filter", f"label=com.docker.compose.project={compose_file.project(lab.settings)}"),
        ],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    published = [each.strip() for each in listed.replace("\n", ",").split(",") if "->" in each]
    assert len(published) >= len(compose_file.published_ports())
    assert all(each.startswith("127.0.0.1:") for each in published), published
