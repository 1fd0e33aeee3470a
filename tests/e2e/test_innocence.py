"""Nothing a learner can query, in a case or live, says what was done to the shop."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from lab.adapters.cases.telemetry_files import given_leases
from lab.domain.case import Case
from lab.lint import TelemetryLint
from tests.e2e.conftest import core_scenarios
from tests.support.lab_under_test import PROOF_WITHIN_S, LabUnderTest

# By itself, the first of them waits for a proof of every core scenario.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(6 * PROOF_WITHIN_S + 60)]


@pytest.fixture
def every_case(lab: LabUnderTest, proven: Callable[[str], Case]) -> list[Case]:
    """A proven case of each core scenario."""
    return [proven(name) for name in core_scenarios(lab.settings)]


def test_the_telemetry_of_every_case_is_innocent(lab: LabUnderTest, every_case: list[Case]) -> None:
    """`lab lint` finds nothing in any case of this session, nor in all its metrics and logs."""
    done = lab.run(
        *("lint", "--json", "--cases", str(lab.settings.cases_dir)),
        *("--logs", str(lab.settings.log_dir)),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    read = json.loads(done.stdout)["read"]
    assert read["telemetry_files"] >= 3 * len(every_case) + 2
    assert read["telemetry_bytes"] > 1_000_000


def test_what_tempo_and_the_shop_answer_is_innocent(
    lab: LabUnderTest, every_case: list[Case]
) -> None:
    """Whole traces as Tempo has them, the names it can search for, and the gateway's headers."""
    titles = {case.scenario.id: case.scenario.title for case in every_case}
    leases = given_leases(lab.settings.log_dir)
    rules = TelemetryLint(titles, leases)
    with httpx.Client(base_url=lab.settings.url("tempo_http"), trust_env=False) as tempo:
        answers = [
            tempo.get(f"/api/v2/traces/{case.support_code}").raise_for_status().text
            for case in every_case
        ]
        tags = tempo.get("/api/v2/search/tags").raise_for_status().text
    gateway = httpx.get(f"{lab.settings.url('gateway')}/products", trust_env=False)
    answers += [tags, json.dumps([*gateway.headers.items(), gateway.text])]
    assert leases
    assert "service.peer.name" in tags
    assert all("resourceSpans" in each for each in answers[: len(every_case)])
    for answer in map(_without_ids, answers):
        assert list(rules.line_problems("live", 1, answer)) == []


def _without_ids(answer: str) -> str:
    """Tempo writes ids in base64, in which chance spells any word."""

    def keep(fields: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in fields.items() if not name.endswith("Id")}

    return json.dumps(json.loads(answer, object_hook=keep))
