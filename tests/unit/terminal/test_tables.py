"""Tables and live displays: nothing spoiled, nothing cut, readable in a pipe."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest
from rich.console import Console, RenderableType

from lab.domain.case import CaseSummary
from lab.domain.journal import Step
from lab.domain.load import LoadProgress, Window
from lab.domain.mechanism import Mechanism
from lab.domain.proof import ProofVerdict
from lab.domain.verdict import Judgement, VerdictClass
from lab.terminal.proof_tables import misses_table, proof_rows, proof_table
from lab.terminal.run_display import RunDisplay
from lab.terminal.stack_tables import BuildDisplay, doctor_table, status_table, tools_table
from lab.terminal.tables import (
    case_rows,
    case_table,
    mechanism_table,
    verdict_panel,
)
from tests.support.sample_case import START_S, fatal_trace, healthy_trace, sample_case

CASE = sample_case()
SUMMARY = CaseSummary(
    "db-timeout-1", "db-timeout", "The clock stops", 2, START_S, ProofVerdict.PROVEN, 3, True
)


def printed(*renderables: RenderableType, width: int = 80, terminal: bool = False) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=terminal, color_system=None)
    for each in renderables:
        console.print(each)
    assert all(len(line) <= width for line in out.getvalue().splitlines())
    return out.getvalue()


def test_cases_are_listed_without_what_a_learner_should_find_out() -> None:
    """Title, level, proof, accusations, solved: for people and for programs."""
    text = printed(case_table([SUMMARY]))
    assert "●●○○○" in text
    assert "✔ yes" in text
    (row,) = case_rows([SUMMARY])
    assert row["opened"] == "2023-11-14T22:13:20.000+00:00"
    assert {"case", "scenario", "title", "difficulty", "verdict", "accusations"} < set(row)


def test_a_proof_shows_expected_and_measured() -> None:
    """Each finding with its outcome in words, and what the run's integrity rests on."""
    text = printed(proof_table(CASE.proof))
    assert "✖ fails" in text
    assert "spans lost !" in text
    assert proof_rows(CASE.proof)[1] == {
        "step": "crime",
        "check": "checkout errors",
        "expected": ">= 95%",
        "measured": "12.0%",
        "outcome": "fails",
        "integrity": False,
    }


def test_nearest_misses_say_what_does_not_fit() -> None:
    """Where affected traces do not show the truth, the nearest spans are explained."""
    assert "no near miss" in printed(misses_table(CASE))
    healthy = {
        each: healthy_trace(each, START_S + 20) if trace.deepest_errors() else trace
        for each, trace in CASE.evidence.traces.items()
    }
    evidence = dataclasses.replace(CASE.evidence, traces=healthy)
    case = dataclasses.replace(CASE, evidence=evidence)
    text = printed(misses_table(case), width=160)
    assert "auth client SELECT" in text
    assert "status: expected error, found unset" in text
    printed(misses_table(case), width=80)


@pytest.mark.parametrize("verdict", VerdictClass)
def test_every_verdict_has_a_panel(verdict: VerdictClass) -> None:
    """The class in capitals, its sentence below."""
    text = printed(verdict_panel(Judgement(verdict, verdict.sentence)))
    assert verdict.value.replace("-", " ").upper() in text


def test_every_mechanism_is_defined() -> None:
    """All words, in the order in which to ask."""
    text = printed(mechanism_table())
    places = [text.index(mechanism.value) for mechanism in Mechanism if mechanism != "timeout"]
    assert places == sorted(places)
    assert "18" in text


def test_the_stack_is_shown_part_by_part() -> None:
    """State by shape and word; the lease in a sentence."""
    parts: list[dict[str, Any]] = [
        {"name": "tempo", "state": "ready", "pid": 7, "port": 18112},
        {"name": "auth", "state": "dead", "pid": None, "port": 18101},
    ]
    lease = {"holder": "db-timeout-1", "state": "held", "expires_in_s": 2.6}
    text = printed(status_table(parts, lease))
    assert "✔ ready" in text
    assert "✖ dead" in text
    assert "held by db-timeout-1" in text
    assert "no lease" in printed(status_table(parts, None))


@dataclasses.dataclass(frozen=True)
class Looked:
    name: str
    level: str
    found: str
    advice: str = ""


def test_the_doctor_says_what_to_do() -> None:
    """Advice stands below its finding."""
    findings = [Looked("Python", "ok", "3.11"), Looked("disk", "fail", "0 MiB", "free some space")]
    text = printed(doctor_table(findings))
    assert "✔ ok" in text
    assert "→ free some space" in text


def test_tools_are_shown_with_their_origin() -> None:
    """A missing one says how to get it."""
    tools: list[dict[str, Any]] = [
        {"name": "tempo", "version": "2.8", "source": "cache", "path": "/cache/tempo"},
        {"name": "otelcol", "version": "0.159.0", "source": "missing", "path": None},
    ]
    text = printed(tools_table(tools, "abc123"))
    assert "/cache/tempo" in text
    assert "`lab tools --build` builds it" in text
    assert "abc123" in text


# --- live displays -----------------------------------------------------------------------


class Seconds:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def seconds(monkeypatch: pytest.MonkeyPatch) -> Seconds:
    clock = Seconds()
    monkeypatch.setattr("lab.terminal.run_display.time", clock)
    return clock


def test_a_run_in_a_pipe_is_a_line_a_phase_and_one_every_five_seconds(seconds: Seconds) -> None:
    """No line a tick: a log stays readable."""
    out = io.StringIO()
    console = Console(file=out, width=100)
    with RunDisplay(console, CASE.scenario) as display:
        for tick in range(24):
            display.phase(Step.CRIME, "under load", 12 - tick / 2)
            display.progress(LoadProgress(Window.CRIME, 80, 80.0, 0.25, 1012.0))
            seconds.now += 0.5
        display.note("something to know")
        display.phase(Step.RECOVERY, "under load", 8.0)
    lines = out.getvalue().splitlines()
    assert [line.split()[1] for line in lines if "under load" in line] == ["crime", "recovery"]
    assert sum("80 requests/s, 25% errors, p95 1.01s" in line for line in lines) == 2
    assert "something to know" in lines
    assert len(lines) == 5


def test_a_run_in_a_terminal_is_live_and_leaves_the_phases() -> None:
    """The moving part shows title, seconds left and load, and names nothing of the harm."""
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=True)
    with RunDisplay(console, CASE.scenario) as display:
        display.phase(Step.CRIME, "under load", 12.0)
        display.progress(LoadProgress(Window.CRIME, 80, 80.0, 0.25, 1012.0))
        display._drawing.refresh()
    text = out.getvalue()
    for words in ("The clock stops", "12s left", "80 req/s", "25% errors", "p95 1.01s"):
        assert words in text
    for spoiler in ("users_db", "timeout", "auth", "toxi"):
        assert spoiler not in text


def test_a_display_survives_an_interrupt() -> None:
    """The terminal is given back whatever ends the run."""
    console = Console(file=io.StringIO(), force_terminal=True)
    display = RunDisplay(console)
    with pytest.raises(KeyboardInterrupt), display:
        raise KeyboardInterrupt
    assert not display._drawing.is_started


def test_builds_are_shown_live_or_line_by_line() -> None:
    """What, how long, how long it usually takes."""
    for terminal in (True, False):
        out = io.StringIO()
        with BuildDisplay(Console(file=out, width=100, force_terminal=terminal)) as display:
            display("tempo", "downloading", 0.5, 265.0)
            for tick in range(10):
                display("tempo", "compiling", 1 + tick / 2, 265.0)
        text = out.getvalue()
        assert "of about 4m25s" in text
        assert "compiling" in text
        if not terminal:
            assert len(text.splitlines()) == 2


def test_a_fatal_trace_is_what_the_tables_speak_of() -> None:
    """The sample shows what it is made to show."""
    assert [span.name for span in fatal_trace("ab" * 16).deepest_errors()] == ["SELECT"]
