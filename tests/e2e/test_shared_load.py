"""Load shared by Locust's master and two workers: the proof is the same."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from lab.adapters.cases.case_folder import read_requests
from lab.domain.case import Case
from lab.domain.load import Request, Window
from tests.support.lab_under_test import PROOF_WITHIN_S, LabUnderTest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(PROOF_WITHIN_S + 60)]


def test_a_case_is_proven_under_load_from_two_workers(
    lab: LabUnderTest, proven: Callable[[str], Case]
) -> None:
    """One request log has all of both, each request once, as many as one process sends."""
    shared = replace(lab, environment={**lab.environment, "LAB_LOAD_WORKERS": "2"})

    done = shared.run("run", "db-timeout", "--json", timeout_s=PROOF_WITHIN_S)

    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout)
    assert summary["verdict"] == "proven"
    log = lab.settings.cases_dir / summary["case"] / "requests.jsonl"
    requests = read_requests(log)
    assert len({each.trace_id for each in requests}) == len(requests)
    # Customers wait for their answers, so a busy machine has fewer. One worker of the two alone
    # would make it half as many, and both with everybody's share twice as many.
    by_two, by_one = map(_in_reference, (requests, proven("db-timeout").evidence.requests))
    assert 0.65 < by_two / by_one < 1.5


def _in_reference(requests: Iterable[Request]) -> int:
    return sum(each.window is Window.REFERENCE for each in requests)
