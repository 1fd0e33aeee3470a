"""`STACK=external`: a checkout that starts nothing runs cases on the stack of another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lab.settings import Settings
from tests.support.lab_under_test import PROOF_WITHIN_S, LabUnderTest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(PROOF_WITHIN_S + 60)]


@pytest.fixture
def guest(lab: LabUnderTest, tmp_path: Path) -> LabUnderTest:
    """Another checkout: its own state folder and ports, and where somebody else's stack is."""
    own = {"LAB_STATE_DIR": str(tmp_path / ".lab"), "LAB_PORT_OFFSET": "0", "STACK": "external"}
    addresses = {
        "LAB_GATEWAY_URL": lab.settings.url("gateway"),
        "LAB_WARDEN_URL": lab.settings.url("warden"),
        "LAB_CONTROL_SECRET_FILE": str(lab.settings.secret_file),
        "LAB_TEMPO_URL": lab.settings.url("tempo_http"),
        "LAB_COLLECTOR_URL": lab.settings.url("otelcol_otlp_http"),
        "LAB_COLLECTOR_METRICS_URL": lab.settings.url("otelcol_metrics"),
    }
    return replace(
        lab,
        settings=Settings(state_dir=tmp_path / ".lab"),
        environment={**lab.environment, **own, **addresses},
    )


def test_a_case_is_proven_on_the_stack_of_another_checkout(
    lab: LabUnderTest, guest: LabUnderTest
) -> None:
    """Up, run, status, doctor and down work as ever; what runs is as it was before."""
    before = lab.processes()
    up = guest.run("up")
    assert (up.returncode, "ready" in up.stderr) == (0, True), up.stderr

    done = guest.run("run", "db-timeout", "--json", timeout_s=PROOF_WITHIN_S)

    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert (summary["verdict"], summary["case"]) == ("proven", "db-timeout-1")
    assert guest.run("heal").stdout.startswith("nothing to remove")
    assert guest.run("doctor").returncode == 0
    assert all(part["state"] == "ready" for part in guest.json("status")["parts"])
    assert "nothing was stopped" in guest.run("down").stderr
    assert lab.processes() == before


def test_what_does_not_answer_is_named_with_its_address(guest: LabUnderTest) -> None:
    """`up` starts nothing in its place, and the doctor says which variable to correct."""
    lost = replace(guest, environment={**guest.environment, "LAB_TEMPO_URL": "http://127.0.0.1:9"})

    up, doctor = lost.run("up"), lost.run("doctor")

    assert up.returncode == 2
    assert "tempo: ConnectError at http://127.0.0.1:9/ready" in up.stderr
    assert "STACK=external starts nothing" in up.stderr
    assert doctor.returncode == 1
    assert "LAB_TEMPO_URL" in doctor.stdout
