"""Load shared by Locust's master and two workers: the proof is the same."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lab.adapters.case_folder import read_requests
from lab.domain.load import Window
from tests.lab_under_test import PROOF_WITHIN_S, LabUnderTest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(PROOF_WITHIN_S + 60)]


def test_a_case_is_proven_under_load_from_two_workers(lab: LabUnderTest) -> None:
    """One request log has all of both, each request once, as many as one process sends."""
    shared = replace(lab, environment={**lab.environment, "LAB_LOAD_WORKERS": "2"})

    done = shared.run("run", "db-timeout", "--json", timeout_s=PROOF_WITHIN_S)

    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert summary["verdict"] == "proven"
    log = lab.settings.cases_dir / summary["case"] / "requests.jsonl"
    requests = read_requests(log)
    reference = [each for each in requests if each.window is Window.REFERENCE]
    assert len({each.trace_id for each in requests}) == len(requests)
    # Twelve shoppers at a pace of 0.75 s for 8 s: 128 visits, two requests and more.
    assert len(reference) >= 100
