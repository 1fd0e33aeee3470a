"""How a run's journal is told: its ending first, and nothing that spoils the case unasked."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lab.domain.journal import Ending, JournalEntry, RunRecord, Step
from lab.terminal.journal import ending_sentence, journal_rows, journal_table
from tests.support.sample_case import sample_case

CASE = sample_case()
RUN = RunRecord(CASE.case_id, CASE.journal, is_case=True)


def entry(step: Step, event: str, **data: object) -> JournalEntry:
    return JournalEntry(1.0, 1.0, step, event, data)


def record(*endings: Ending, **more: bool) -> RunRecord:
    """A run that came to the crime and then wrote these endings."""
    entries = [entry(Step.PREFLIGHT, "started"), entry(Step.CRIME, "window opened")]
    entries += [entry(Step.OPENED, "ended", ending=each.value) for each in endings]
    return RunRecord("db-timeout-1", tuple(entries), **{"is_case": False, **more})


def printed(run: RunRecord, *, reveal: bool) -> str:
    out = io.StringIO()
    Console(file=out, width=160).print(journal_table(run, reveal=reveal))
    return out.getvalue()


def test_a_journal_hides_spoilers_unless_they_are_asked_for() -> None:
    """Neither the table nor the rows name an edge of an unsolved case."""
    assert "users_db" not in printed(RUN, reveal=False)
    assert "auth-users_db" in printed(RUN, reveal=True)
    assert len(journal_rows(RUN, reveal=False)["entries"]) == 1
    assert journal_rows(RUN, reveal=True)["entries"][1]["into_run_s"] == 20.0


def test_a_run_that_wrote_nothing_can_be_told_of() -> None:
    """Killed before its first entry, it was interrupted all the same."""
    nothing = RunRecord("db-timeout-1", (), is_case=False)
    assert journal_rows(nothing, reveal=True)["entries"] == []
    assert "the last step it wrote of: none" in ending_sentence(nothing)


@pytest.mark.parametrize(
    ("run", "ending", "says"),
    [
        (record(Ending.COMPLETED, is_case=True), Ending.COMPLETED, "ran to completion"),
        (record(Ending.DEVIATED), Ending.DEVIATED, "deviated"),
        (record(Ending.INTERRUPTED), Ending.INTERRUPTED, "was interrupted; the last step"),
        (record(), Ending.INTERRUPTED, "unable to write; the last step it wrote of: crime"),
        (record(is_at_work=True), None, "still at work"),
        # It was complete, and then storing it failed, or was cut short.
        (record(Ending.COMPLETED, Ending.DEVIATED), Ending.DEVIATED, "deviated"),
        (record(Ending.COMPLETED), Ending.INTERRUPTED, "unable to write"),
    ],
)
def test_an_ending_is_told_in_a_sentence(run: RunRecord, ending: Ending | None, says: str) -> None:
    """Completed, deviated and interrupted are told apart, also where nothing was written of it."""
    assert run.ending is ending
    assert says in ending_sentence(run)
    assert says in printed(run, reveal=False)
    assert journal_rows(run, reveal=False)["ending"] == (ending.value if ending else None)
