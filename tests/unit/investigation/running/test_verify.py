"""Proving many: what is run in which order, what each line says, and what no machine excuses."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from rich.console import Console

from lab.domain.case import Case
from lab.domain.evidence import Sample
from lab.domain.journal import JournalEntry, Step
from lab.domain.proof import Finding, Outcome, Proof, ProofVerdict
from lab.domain.twin import CULPRIT_TWIN
from lab.errors import MachineStrained
from lab.investigation.proof.prove import prove
from lab.investigation.running.integrity import STRAINED
from lab.investigation.running.verify import Result, Trial, trials
from lab.terminal.verify_table import pass_rates, result_line, summary_markdown
from tests.support.evidence import CARD_DECLINED, DB_TIMEOUT, SLOW_SHELVES, Run, db_timeout
from tests.support.sample_case import sample_case

ALL = (DB_TIMEOUT, SLOW_SHELVES, CARD_DECLINED)


def proven() -> Result:
    evidence = db_timeout().evidence()
    case = replace(sample_case(), evidence=evidence, proof=prove(DB_TIMEOUT, evidence))
    return Result.of(Trial(DB_TIMEOUT), case, 43.2)


def twin(status: int, *findings: Finding) -> Result:
    run = Run(DB_TIMEOUT).add(Sample.AFFECTED, 100, status=status)
    case: Case = replace(sample_case(), evidence=run.evidence(), proof=Proof(findings))
    return Result.of(Trial(DB_TIMEOUT, CULPRIT_TWIN), case, 40.0)


def line(result: Result) -> str:
    out = io.StringIO()
    Console(file=out, width=500).print(result_line(result))
    return out.getvalue().strip()


def test_each_scenario_is_followed_by_its_twins() -> None:
    """Twins only where they are asked for."""
    assert [each.name for each in trials(ALL, twins=False)] == [each.id for each in ALL]
    assert [each.name for each in trials(ALL[:1], twins=True)] == [
        "db-timeout",
        "db-timeout, without its culprit",
    ]


def test_a_seed_decides_another_order_of_the_same() -> None:
    """The same each time, and nothing is lost."""
    plain = [each.name for each in trials(ALL, twins=True)]
    shuffled = [each.name for each in trials(ALL, twins=True, shuffle=3)]
    assert shuffled == [each.name for each in trials(ALL, twins=True, shuffle=3)]
    assert shuffled != plain
    assert sorted(shuffled) == sorted(plain)


def test_a_line_has_the_verdict_and_the_numbers() -> None:
    """Symptom, truth, what is worst, and the time it took."""
    assert line(proven()) == (
        "✔ db-timeout: proven; symptom 100.0% (120 of 120 crime requests); "
        "truth 100.0% (20 of 20 affected traces); all hold; 43 s"
    )


def test_a_line_of_what_fails_says_expected_and_measured() -> None:
    """A twin whose symptom stayed has not lost its culprit."""
    failed = twin(504)
    assert failed.verdict is ProofVerdict.REFUTED
    assert line(failed).startswith("✖ db-timeout, without its culprit: refuted; symptom 100.0%")
    assert "<= 1% of crime requests, measured 100.0%" in line(failed)


@pytest.mark.parametrize(
    ("status", "verdict"), [(201, ProofVerdict.PROVEN), (504, ProofVerdict.INCOMPLETE)]
)
def test_a_machine_that_stood_still_excuses_a_twin_but_proves_none(
    status: int, verdict: ProofVerdict
) -> None:
    """Harm may be the machine's doing, no harm is not."""
    strained = Finding(Step.CRIME, STRAINED, "x", "y", Outcome.FAILS, integrity=True)
    result = twin(status, strained)
    assert result.verdict is verdict
    # Nothing is asked of a twin but the symptom, so where that is told no other run is needed.
    assert result.trial.is_open(result.case) is (verdict is ProofVerdict.INCOMPLETE)


@pytest.mark.parametrize(
    ("others", "verdict"), [(0.3, ProofVerdict.INCOMPLETE), (0.0, ProofVerdict.REFUTED)]
)
def test_a_twin_that_is_slow_beside_others_is_tried_again(
    others: float, verdict: ProofVerdict
) -> None:
    """Slow customers are what others can make; on a machine of its own they are the twin's."""
    evidence = Run(SLOW_SHELVES).add(Sample.AFFECTED, 100, status=200, latency_ms=400).evidence()
    machine = {
        "longest_stall_s": 0.0,
        "processors_busy": 0.6,
        "processors_others": others,
        "processors": 2,
    }
    journal = (JournalEntry(1.0, 1.0, Step.CRIME, "window closed", machine),)
    case = replace(sample_case(), evidence=evidence, proof=Proof(()), journal=journal)
    trial = Trial(SLOW_SHELVES, CULPRIT_TWIN)
    result = Result.of(trial, case, 40.0)
    assert result.verdict is verdict
    assert trial.is_open(case) is (verdict is ProofVerdict.INCOMPLETE)
    assert result.without_evidence().verdict is verdict
    if verdict is ProofVerdict.INCOMPLETE:
        assert f"{STRAINED}: no stall" in line(result)
        assert "others took 30%" in line(result)


def test_a_run_that_found_no_calm_is_a_line_with_the_machines_numbers() -> None:
    """Of many that are proven one after the other it ends none but itself."""
    strain = "longest stall 0.40 s, 97% of 2 processors busy"
    error = MachineStrained("calm", waited_s=40, tries=80, last_seen=strain)
    result = Result.of_none(Trial(DB_TIMEOUT), 1, error, 0.0, 130.0)
    assert result.verdict is ProofVerdict.INCOMPLETE
    assert line(result) == (f"? db-timeout: incomplete; {STRAINED}: calm, measured {strain}; 130 s")


def test_what_is_told_in_the_end_needs_no_evidence() -> None:
    """Of a case and of a twin; the evidence itself may go."""
    for result in (proven(), twin(201)):
        kept = result.without_evidence()
        assert not kept.case.evidence.requests
        assert not kept.case.evidence.traces
        assert line(kept) == line(result)
        assert summary_markdown([kept]) == summary_markdown([result])


def test_the_summary_is_a_table_with_a_pass_rate_for_each() -> None:
    """As a CI shows it; a bar in a text ends no cell."""
    results = [proven(), twin(504), proven()]
    text = summary_markdown(results)
    rows = [each for each in text.splitlines() if each.startswith("| db-timeout")]
    assert len(rows) == 3
    assert {each.count("|") for each in rows} == {8}
    assert pass_rates(results) == [
        "- db-timeout: 2 of 2",
        "- db-timeout, without its culprit: 0 of 1",
    ]
    assert "- db-timeout: 2 of 2" in text
