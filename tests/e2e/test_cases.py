"""The core cases on real parts, each with the twins that must lose the symptom."""

from __future__ import annotations

import asyncio
import re
import shutil
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import anyio
import httpx
import pytest

from lab import bootstrap
from lab.commands.run import run_one
from lab.domain.case import Case
from lab.domain.journal import Step
from lab.domain.load import LoadProgress, RequestFilter, Window
from lab.domain.proof import Outcome, ProofVerdict
from lab.domain.scenario import Scenario
from lab.domain.twin import Expectation
from lab.domain.variation import AS_WRITTEN_SEED
from lab.investigation.proof.but_for import twin_finding, twins_of
from lab.investigation.running.integrity import is_excused
from lab.investigation.running.run_case import CaseRun
from lab.investigation.running.verify import Trial
from lab.settings import Settings
from tests.e2e.conftest import core_scenarios
from tests.support.lab_under_test import PROOF_WITHIN_S, LabUnderTest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(PROOF_WITHIN_S + 60)]

SCENARIOS = core_scenarios(Settings())
_GAP = "([ +-]|%20)?"
_CARDS = ("4242424242424242", "4000000000000069", "4000000000009995")
PERSONAL = re.compile("|".join([r"user\d{4}(@|%40)example", *(_GAP.join(card) for card in _CARDS)]))
"""The shoppers' own e-mail addresses and cards, as any careless line might spell them."""

CULPRIT_WORDS = re.compile(r"auth-users_db|db\.connect|toxi|timeout=|downstream", re.IGNORECASE)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_case_is_proven(proven: Callable[[str], Case], name: str) -> None:
    """Every finding of a healthy run holds, and the case offers a whole trace to start from."""
    case = proven(name)
    assert case.scenario.id == name
    assert case.proof.verdict is ProofVerdict.PROVEN
    assert case.support_code in case.evidence.traces


def test_a_run_names_nothing_before_the_case_is_solved(
    lab: LabUnderTest, proven: Callable[[str], Case]
) -> None:
    """What `lab run` prints holds the briefing and counts, not the culprit."""
    case = proven("db-timeout")
    printed = (lab.settings.state_dir / "db-timeout.txt").read_text()
    assert case.support_code is not None
    assert case.support_code in printed
    assert "findings" in printed
    assert not CULPRIT_WORDS.search(printed)


def test_db_timeout_is_solved_in_the_terminal(
    lab: LabUnderTest, proven: Callable[[str], Case]
) -> None:
    """The support code leads to a trace whose failed query solves the case."""
    case = proven("db-timeout")
    assert case.support_code is not None
    trace = case.evidence.traces[case.support_code]
    spans = {(span.service, span.name): span for span in trace if span.status.value == "error"}
    query, messenger = spans["auth", "SELECT"], spans["gateway", "POST /checkout"]
    wrong = lab.run(
        "accuse", case.case_id, trace.trace_id, messenger.span_id, "--mechanism", "timeout"
    )
    assert wrong.returncode == 1
    assert "messenger" in wrong.stdout.lower()
    refused = lab.run("proof", case.case_id)
    assert refused.returncode != 0
    right = lab.run(
        "accuse", case.case_id, trace.trace_id[:8], query.span_id[:8], "--mechanism", "timeout"
    )
    assert right.returncode == 0, right.stdout + right.stderr
    assert lab.run("proof", case.case_id).returncode == 0


def test_a_case_folder_is_enough(
    tmp_path: Path, lab: LabUnderTest, proven: Callable[[str], Case]
) -> None:
    """Copied to where no stack is, a case is read, solved and graded."""
    case = proven("card-declined")
    shutil.copytree(lab.settings.cases_dir, tmp_path / "cases")
    alone = replace(lab, environment={**lab.environment, "LAB_STATE_DIR": str(tmp_path)})
    assert case.support_code is not None
    assert "charge_credit_card" in alone.run("trace", case.support_code, "-c", case.case_id).stdout
    solved = alone.run("accuse", case.case_id, "--nobody", "--mechanism", "business-rejection")
    assert solved.returncode == 0, solved.stderr
    assert alone.run("proof", case.case_id).returncode == 0
    assert lab.run("proof", case.case_id).returncode != 0, "solved only in the copy"


@pytest.mark.parametrize("name", SCENARIOS)
def test_nothing_names_the_fault_unasked(
    lab: LabUnderTest, proven: Callable[[str], Case], name: str
) -> None:
    """JSON, status, journal and the list of cases keep the secret of an unsolved case."""
    case = proven(name)
    secrets = {fault.edge for fault in case.scenario.faults}
    secrets |= {str(fault.toxic) for fault in case.scenario.faults if name != "db-timeout"}
    for words in (("cases", "--json"), ("status", "--json"), ("briefing", case.case_id)):
        said = lab.run(*words)
        assert not any(secret in said.stdout + said.stderr for secret in secrets), words
    if name != "db-timeout":  # which another test has solved by now
        journal = lab.run("journal", case.case_id, "--json").stdout
        assert not any(secret in journal for secret in secrets)


def _tempo_spans(settings: Settings, trace_id: str) -> list[dict[str, Any]]:
    """Spans of a trace straight from Tempo's HTTP API, each with its service's name."""
    answer = httpx.get(f"{settings.url('tempo_http')}/api/v2/traces/{trace_id}", timeout=5)
    answer.raise_for_status()
    return [
        {**span, "service": attribute["value"]["stringValue"]}
        for resource in answer.json()["trace"]["resourceSpans"]
        for attribute in resource["resource"]["attributes"]
        if attribute["key"] == "service.name"
        for scope in resource["scopeSpans"]
        for span in scope["spans"]
    ]


def _auth_database_errors(settings: Settings, trace_id: str) -> set[str]:
    return {
        span["name"]
        for span in _tempo_spans(settings, trace_id)
        if span["service"] == "auth"
        and span["name"] in {"SELECT", "db.connect"}
        and span.get("status", {}).get("code") in (2, "STATUS_CODE_ERROR")
    }


def test_tempo_itself_shows_the_dead_query(
    lab: LabUnderTest, proven: Callable[[str], Case]
) -> None:
    """Read without the lab's proof: auth's database errors in the crime, none around it."""
    case = proven("db-timeout")
    errors: dict[Window, set[str]] = {}
    for window in (Window.REFERENCE, Window.CRIME, Window.RECOVERY):
        requests = case.evidence.requests_in(window, RequestFilter("POST /checkout"))[:40]
        assert len(requests) >= 20
        errors[window] = set().union(
            *(_auth_database_errors(lab.settings, request.trace_id) for request in requests)
        )
    assert errors == {
        Window.REFERENCE: set(),
        Window.CRIME: {"SELECT", "db.connect"},
        Window.RECOVERY: set(),
    }


class _Watcher:
    """An observer that starts ``action`` once, in the middle of the crime."""

    def __init__(self, action: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        self._action = action
        self.acting: asyncio.Task[None] | None = None

    def phase(self, step: Step, detail: str, seconds_left: float | None = None) -> None:
        if step is Step.CRIME and seconds_left is not None and seconds_left < 9 and self._action:
            self.acting = asyncio.get_running_loop().create_task(self._action())
            self._action = None

    def progress(self, progress: LoadProgress) -> None: ...

    def note(self, text: str) -> None: ...


def _run(settings: Settings, scenario: Scenario, watcher: _Watcher) -> Case:
    async def run() -> Case:
        async with bootstrap.lab(settings) as parts:
            return await CaseRun(
                parts,
                scenario,
                case_id=parts.archive.next_case_id(scenario.id),
                seed=1,
                observer=watcher,
            ).run()

    return anyio.run(run)


def _try(settings: Settings, trial: Trial) -> Case:
    """As `lab verify --twins` does: again where the machine left undecided what is asked."""

    async def run() -> Case:
        async with bootstrap.lab(settings) as parts:
            return await run_one(parts, trial.to_run, AS_WRITTEN_SEED, trial.is_open)

    return anyio.run(run)


@pytest.mark.parametrize("name", SCENARIOS)
def test_without_its_culprit_a_case_is_refuted(lab: LabUnderTest, name: str) -> None:
    """With nothing to find there is no harm at the edge, and the case is refuted by that.

    A machine that stands still may take the verdict away; the missing harm is not its doing.
    """
    scenario = bootstrap.scenarios(lab.settings)[name]
    twin = next(each for each in twins_of(scenario) if each.expect is Expectation.HEALED)
    case = _try(lab.settings, Trial(scenario, twin))
    assert twin_finding(scenario, twin, case.evidence).outcome is Outcome.HOLDS
    missed = {each.check for each in case.proof.findings if each.outcome is Outcome.FAILS}
    assert scenario.symptom.measured in missed
    assert case.proof.verdict is ProofVerdict.REFUTED or is_excused(case.proof)


def test_with_tempo_gone_a_case_is_incomplete(lab: LabUnderTest) -> None:
    """Tempo stopped inside the crime and kept down leaves no verdict, and no traceback."""
    stack = bootstrap.local_stack(lab.settings)
    scenario = bootstrap.scenarios(lab.settings)["db-timeout"]
    # Nothing will come, however long one waits.
    impatient = replace(scenario, observation=replace(scenario.observation, within_s=5.0))
    try:
        watcher = _Watcher(lambda: stack.stop_part("tempo"))
        case = _run(lab.settings, impatient, watcher)
    finally:
        # What the Collector still holds for Tempo would come in the middle of another run.
        anyio.run(stack.restart_part, "otelcol")
        up_again = lab.run("up")
    assert up_again.returncode == 0, up_again.stderr
    assert watcher.acting is not None
    assert watcher.acting.exception() is None
    assert case.proof.verdict is ProofVerdict.INCOMPLETE
    assert case.proof.count(Outcome.UNKNOWN) > 0


def test_verify_writes_junit(lab: LabUnderTest, proven: Callable[[str], Case]) -> None:
    """Each finding of a proven run is a passed test of its suite."""
    case = proven("card-declined")
    suite = ET.parse(lab.settings.state_dir / "junit.xml").getroot()[0]
    assert suite.attrib["name"] == "card-declined"
    assert int(suite.attrib["tests"]) == len(case.proof.findings)
    assert suite.attrib["failures"] == suite.attrib["errors"] == "0"


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_personal_data_reaches_a_case(
    lab: LabUnderTest, proven: Callable[[str], Case], name: str
) -> None:
    """Shoppers leave e-mails and cards in spans and logs; the Collector masks every one."""
    folder = lab.settings.cases_dir / proven(name).case_id
    exported = [*folder.rglob("*.json*"), *lab.settings.log_dir.glob("signals-*")]
    if name == "card-declined":  # where payments logs what it charged, as a careless team would
        assert "****" in (folder / "logs.jsonl").read_text(), "nothing was there to mask"
    for path in exported:
        assert not PERSONAL.search(path.read_text()), path
