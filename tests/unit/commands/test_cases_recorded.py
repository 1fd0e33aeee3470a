"""Every recorded case through every reading command, and every address of the desk.

Open, solved and given up: what a reader of the case types, no command ends in a bug, and no
table is empty where the case has rows.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Final

import pytest
from typer.testing import CliRunner, Result

from lab.adapters.cases.archive import FolderArchive
from lab.cli import app
from lab.domain.case import Case
from lab.domain.exhibit import exhibits_in
from lab.domain.ids import NUMBERED
from lab.domain.load import Window
from lab.errors import LabError
from tests.support.desk_over_memory import DeskUnderTest, addresses_about
from tests.support.recorded_cases import RECORDINGS, recorded
from tests.support.spoilers import secrets_of

every_recording = pytest.mark.parametrize("name", RECORDINGS)

CASE: Final = "{case}"
CASE_ID: Final = f"{NUMBERED}-1"
"""By its number, so that nothing of what is read may name the scenario before it is solved."""

READING: Final = (
    "briefing {case}",
    *("traces {case}", "traces {case} --window incident", "traces {case} --slowest --limit 3"),
    *("traces {case} --json", "traces {case} --background", "traces {case} --background --json"),
    *("traces {case} --group-by tenant", "traces {case} --group-by db.system.name --json"),
    *("trace {trace} --case {case}", "trace {trace} --case {case} --attributes --wires --full"),
    *("trace {trace} {trace} --case {case}", "trace {trace} --case {case} --all"),
    *("logs {case}", "logs {case} --lines", "logs {case} --json", "logs {trace} --case {case}"),
    *("signals {case}", "signals {case} --json", "contrast {case}", "contrast {case} --json"),
    "briefing {case} --grafana",
    *("trace {trace} --case {case} --json", "map {case}", "map {case} --json"),
    *("journal {case}", "journal {case} --json", "cases", "cases --json"),
    *("hint --case {case}", "hint --case {case} --json", "mechanisms"),
)
"""What anybody may read of an open case."""

EARNED: Final = (
    *("debrief {case}", "debrief {case} --markdown", "proof {case}", "proof {case} --json"),
    *("proof {case} --explain", "journal {case}", "cases", "hint --case {case}"),
)
"""What is told once it is solved or given up, and what changes then."""


class Door:
    """The command line over one state folder with one practised case."""

    def __init__(self, name: str, state: Path) -> None:
        self.case = recorded(name)
        self._runner = CliRunner()
        self._env = {"LAB_STATE_DIR": str(state), "COLUMNS": "120"}
        self.opened = self.types(f"practice {name} --no-desk --by-number")

    def types(self, line: str) -> Result:
        """What the command says; anything but an answer fails here."""
        words = line.replace("{case}", CASE_ID).replace("{trace}", self.trace)
        done = self._runner.invoke(app, words.split(), env=self._env)
        known = done.exception is None or isinstance(done.exception, SystemExit | LabError)
        assert known, f"{line}: {done.exception!r}"
        return done

    def reads(self, line: str) -> str:
        """The same, of a command that must be able to answer."""
        done = self.types(line)
        assert done.exit_code == 0, f"{line}: {done.exception!r} {done.output}"
        assert done.stdout.strip(), line
        if "--json" in line:
            json.loads(done.stdout)
        return done.stdout

    @property
    def trace(self) -> str:
        """A trace of the incident: the support code's, or the first that the case keeps."""
        kept = self.case.evidence.traces
        during = (
            request.trace_id
            for request in self.case.evidence.requests
            if request.window is Window.CRIME and request.trace_id in kept
        )
        return self.case.support_code or next(during)

    def accuse(self) -> str:
        """Words that solve the case: who did it in the trace of the support code."""
        truth, reference = self.case.scenario.truth, self.case.evidence.reference_stats
        words = f"--scope {truth.scope.value} --mechanism {truth.mechanism.value}"
        if truth.is_nobody:
            return f"accuse {CASE} --nobody"
        trace = self.case.evidence.trace(self.trace)
        assert trace is not None
        guilty = [
            min(truth.culprits_in(trace, reference), key=lambda span: span.span_id),
            *truth.accomplices_in(trace, reference)[:1],
        ]
        if truth.accomplice is not None:
            words += f" --mechanism {truth.accomplice.mechanism.value}"
        pairs = " ".join(f"{span.trace_id} {span.span_id}" for span in guilty)
        return f"accuse {CASE} {pairs} {words}"


class ReadOnce(FolderArchive):
    """A case is read from the disk by the first command; there are dozens."""

    load = cache(FolderArchive.load)
    open = cache(FolderArchive.open)
    sight = cache(FolderArchive.sight)


@pytest.fixture
def door(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    archive = ReadOnce(tmp_path / "cases")
    monkeypatch.setattr("lab.bootstrap.archive", lambda _: archive)
    yield Door(name, tmp_path)
    # A hundred traces and more, times all cases.
    shutil.rmtree(tmp_path)


@every_recording
def test_every_reading_command_answers_before_and_after_the_case_is_solved(door: Door) -> None:
    """What is earned is refused before; the debrief, the proof and the post-mortem open then."""
    case = door.case
    assert "is open. Look next:" in door.opened.output
    assert case.scenario.id not in door.opened.output
    for line in READING:
        said = door.reads(line)
        assert case.scenario.id not in said, line
        _tells_no_answer(line, said, case)
        if line.startswith("traces {case}"):
            assert not _empty(line, said, case), f"{line}: {said}"
    footnotes = re.findall(r"lab (exhibit \S+ -c \S+)", " ".join(door.reads(READING[0]).split()))
    assert len(footnotes) == len(set(exhibits_in(case.scenario.briefing)))
    for line in footnotes:
        assert door.reads(line), line
    for line in ("debrief {case}", "proof {case}", "detect {case}"):
        assert door.types(line).exit_code != 0, "not earned yet"
    twin = door.types("twin {trace} --case {case} --json")
    assert twin.exit_code == 0 or "no healthy trace" in str(twin.exception) + twin.output
    assert "SOLVED" in door.reads(door.accuse())
    for name in case.scenario.exhibits:
        assert case.scenario.exhibits[name].label in door.reads(f"exhibit {name} --case {{case}}")
    if case.scenario.exhibits:
        rows = json.loads(door.reads("exhibit --case {case} --json"))
        assert {row["outcome"] for row in rows} == {"holds"}
    for line in EARNED:
        _is_in_words(line, door.reads(line))
    for line in ("detect {case}", "detect {case} --json"):
        answer = door.types(line)
        assert answer.exit_code in {0, 1}, f"{line}: {answer.output}"
        _is_in_words(line, answer.output)


def _tells_no_answer(line: str, said: str, case: Case) -> None:
    """No truth, no edge, no mechanism beside the closed list, no hint."""
    for text in (said, " ".join(said.split())):
        assert [each for each in secrets_of(case) if each in text] == [], line
    mechanism = case.scenario.truth.mechanism.value
    assert "-" not in mechanism or line == "mechanisms" or mechanism not in said, line


def _empty(line: str, said: str, case: Case) -> bool:
    """Whether a list has no rows although the case has what it lists."""
    kept = case.evidence.traces
    background = [each for each in kept if each not in case.evidence.request_of]
    if "--background" in line and not background:
        return False
    return json.loads(said) == [] if "--json" in line else said.splitlines()[-1].startswith("0 of")


@every_recording
def test_a_case_that_was_given_up_tells_the_same(door: Door) -> None:
    """The debrief opens by its own command, and stays open."""
    door.reads("debrief {case} --give-up")
    for line in ("debrief {case} --markdown", "proof {case}", "cases"):
        _is_in_words(line, door.reads(line))


def _is_in_words(line: str, said: str) -> None:
    """Nothing of Python stands where words belong."""
    assert not re.search(r"found None|: None\b", said), f"{line}: {said}"


@every_recording
def test_every_page_of_the_desk_answers(name: str, tmp_path: Path) -> None:
    """Each address that the desk's own schema and pages name, open and given up."""
    case = replace(recorded(name), case_id=CASE_ID)
    desk = DeskUnderTest(tmp_path, case)
    addresses = addresses_about(case)
    assert len(addresses) > 15
    listed = f"/cases/{case.case_id}/traces"
    keys = ("route", "outcome", "service.peer.name", "http.response.status_code")
    addresses += [f"{listed}?from_s=3&to_s=9", *(f"{listed}?group={key}" for key in keys)]
    for said in _ask_all(desk, [*addresses, "/", "/api/v1/cases"], refused=(403,)):
        assert name not in said
    desk.send(f"/cases/{case.case_id}/debrief", f"/cases/{case.case_id}/give-up")
    assert all(_ask_all(desk, addresses, refused=()))


def _ask_all(desk: DeskUnderTest, addresses: list[str], refused: tuple[int, ...]) -> Iterator[str]:
    """What each address says, which is an answer."""
    for address in addresses:
        answer = desk.get(address)
        # Nobody was accused yet; and not every trace has a healthy one of its route.
        gone: tuple[int, ...] = (404,) if "verdicts" in address or address.endswith("/twin") else ()
        # A case has a reference of its own, so nobody chooses one.
        gone += (422,) if address.endswith(("/exhibits/none-yet", "/reference")) else ()
        assert answer.status_code in {200, *refused, *gone}, f"{address}: {answer.text[:300]}"
        yield answer.text
