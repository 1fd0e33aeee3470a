"""The board, and a run that is started at it."""

from __future__ import annotations

import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from lab import bootstrap
from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.bring import Wish, bring_files
from lab.adapters.harm_mark import HarmMarkFile
from lab.desk.runs import Runs, lab_run
from lab.domain.journal import Step
from lab.domain.load import LoadProgress, Window
from lab.domain.verdict import POINTS
from lab.errors import RunInProgress
from lab.settings import Settings
from lab.terminal.run_display import RunEvents
from tests.support.desk_over_memory import DeskUnderTest
from tests.support.recorded_cases import recorded
from tests.support.sample_case import sample_case, span_id
from tests.support.trace_formats import SHAPES

PHASE = {"event": "phase", "step": "crime", "says": "the incident", "detail": "", "seconds_left": 9}
OPENED = {"event": "opened", "case": "db-timeout-1", "verdict": "proven"}


def telling(
    *events: dict[str, Any], exit_code: int = 0, says: str = "", waits_s: float = 0.0
) -> Any:
    """A command that prints these events, waits, says something and exits."""
    lines = "\n".join(json.dumps(each) for each in events)
    program = (
        f"import sys, time; print({lines!r}, flush=True); time.sleep({waits_s}); "
        f"print({says!r}, file=sys.stderr); sys.exit({exit_code})"
    )
    return lambda scenario: [sys.executable, "-c", program]


@pytest.fixture
def stack_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "stack_answers", lambda settings: True)


def until_over(desk: DeskUnderTest) -> None:
    deadline = time.monotonic() + 20
    while desk.runs.at_work is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert desk.runs.at_work is None


def start(desk: DeskUnderTest) -> Any:
    return desk.send("/", "/runs", number=number_of(desk, "db-timeout"))


def number_of(desk: DeskUnderTest, scenario: str) -> int:
    return desk.runs.scenarios()[scenario].number


def test_the_board_lists_every_scenario_by_difficulty(tmp_path: Path) -> None:
    """New ones, open ones and solved ones, and what they teach; the worked example first."""
    desk = DeskUnderTest(tmp_path, sample_case())
    shown = desk.get("/").text
    assert shown.index("Level 0: the worked example") < shown.index("Level 1")
    assert shown.index("Level 1") < shown.index("Level 2") < shown.index("Level 3")
    assert shown.count("○ new") == len(desk.runs.scenarios()) - 1
    assert "◐ open" in shown
    trace = "01bb" * 8
    body = {"suspects": [f"{trace} {span_id(trace, 6)}"], "mechanism": "timeout"}
    desk.post("/api/v1/cases/db-timeout-1/accusations", json=body)
    shown = desk.get("/").text
    assert "✔ solved<" in shown
    assert "<b>1</b> of" in shown
    assert "<b>0</b> points" in shown


def test_the_board_says_what_a_solved_case_brought(tmp_path: Path) -> None:
    """All points, where no hint was read."""
    case = recorded("database-down")
    desk = DeskUnderTest(tmp_path, case)
    trace = case.evidence.trace(case.support_code or "")
    assert trace is not None
    culprit, *_ = case.scenario.truth.culprits_in(trace, case.evidence.reference_stats)
    body = {
        "suspects": [f"{trace.trace_id} {culprit.span_id}"],
        "mechanism": case.scenario.truth.mechanism.value,
    }
    desk.post(f"/api/v1/cases/{case.case_id}/accusations", json=body)
    shown = desk.get("/").text
    assert f"✔ solved, {POINTS} points" in shown
    assert f"<b>{POINTS}</b> points" in shown


@pytest.mark.parametrize(
    ("query", "shown", "hidden"),
    [
        ("?level=0", "The clock stops", "Level 3"),
        ("?state=open", "The clock stops", "Level 1"),
        ("?state=new&level=1", "Level 1", "The clock stops"),
        ("?q=CLOCK+stops", "The clock stops", "Level 3"),
        ("?q=db-timeout-1", "The clock stops", "Level 1"),
        ("?state=solved", "0 of 28 cases fit", "Level 0"),
        ("?level=&state=&q=", "The clock stops", "cases fit"),
    ],
)
def test_the_board_is_filtered_by_level_state_and_text(
    tmp_path: Path, query: str, shown: str, hidden: str
) -> None:
    """By the address alone, so without a script; progress counts all of them."""
    desk = DeskUnderTest(tmp_path, sample_case())
    count = len(desk.runs.scenarios())
    found = desk.get(f"/{query}").text
    assert shown.replace("28", str(count)) in found
    assert hidden not in found
    assert f"<b>0</b> of {count} solved" in found


@pytest.mark.parametrize("query", ["level=6", "state=asleep", "q=" + "x" * 201])
def test_a_filter_that_cannot_be_meant_is_refused(tmp_path: Path, query: str) -> None:
    """With a page that says what was expected."""
    answer = DeskUnderTest(tmp_path).get(f"/?{query}")
    assert answer.status_code == 422
    assert "This cannot be understood" in answer.text


def test_nobody_finds_a_scenario_by_its_name(tmp_path: Path) -> None:
    """It says too much: who searches for it finds the cases that were opened under it."""
    desk = DeskUnderTest(tmp_path, sample_case())
    for name in desk.runs.scenarios():
        expected = "1 of" if name == "db-timeout" else "0 of"
        assert (
            f"<p>{expected} {len(desk.runs.scenarios())} cases fit" in desk.get(f"/?q={name}").text
        )


def test_every_case_is_practised_on_its_recording(tmp_path: Path) -> None:
    """With the stack down too, under a number; a second time it is the same case."""
    settings = Settings(state_dir=tmp_path)
    desk = DeskUnderTest(tmp_path, archive=bootstrap.archive(settings))
    shown = desk.get("/").text
    assert shown.count('action="/practice"') == len(desk.runs.scenarios())
    assert shown.count("<button disabled") == len(desk.runs.scenarios())
    for _ in range(2):
        room = desk.send("/", "/practice", number=number_of(desk, "card-declined"))
        assert room.url.path == "/cases/case-1"
        assert "What the dashboard shows" in room.text
    assert "card-declined" not in desk.get("/").text


@pytest.mark.parametrize("number", ["0", "9999", "-1", "moon", ""])
def test_only_what_is_on_the_board_is_practised(tmp_path: Path, number: str) -> None:
    """Nothing a form says reaches a path: it has numbers alone."""
    desk = DeskUnderTest(tmp_path, sample_case())
    answer = desk.send("/cases/db-timeout-1/accuse", "/practice", number=number)
    assert answer.status_code == 422
    assert desk.post("/practice", data={"number": "1"}).status_code == 403


def test_a_case_that_was_not_recorded_cannot_be_practised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has no button, and a form that comes anyway is told to run it."""
    monkeypatch.setattr(Runs, "recordings", lambda self: {})
    desk = DeskUnderTest(tmp_path, sample_case())
    assert 'action="/practice"' not in desk.get("/").text
    answer = desk.send("/cases/db-timeout-1/accuse", "/practice", number="1")
    assert answer.status_code == 409
    assert "run it instead" in answer.text


def test_with_the_stack_down_nothing_is_started(tmp_path: Path) -> None:
    """The board says why, has no button, and a form that comes anyway is refused."""
    desk = DeskUnderTest(tmp_path, sample_case(), command=telling(OPENED))
    assert "the stack is down; <code>make up</code> starts it" in desk.get("/").text
    assert 'action="/runs"' not in desk.get("/").text
    answer = desk.send("/cases/db-timeout-1/accuse", "/runs", number="1")
    assert answer.status_code == 409
    assert desk.runs.last is None


@pytest.mark.usefixtures("stack_up")
def test_a_run_leads_to_its_case(tmp_path: Path) -> None:
    """Start, progress as it is told, and a way into the case."""
    desk = DeskUnderTest(tmp_path, sample_case(), command=telling(PHASE, OPENED, waits_s=1.0))
    shown = start(desk)
    assert shown.url.path == "/runs/1"
    assert 'http-equiv="refresh"' in shown.text
    assert "is being run right now" in desk.get("/").text
    until_over(desk)
    shown = desk.get("/runs/1")
    assert 'href="/cases/db-timeout-1"' in shown.text
    assert 'http-equiv="refresh"' not in shown.text


@pytest.mark.usefixtures("stack_up")
def test_events_are_sent_as_they_come_and_from_where_they_were_left(tmp_path: Path) -> None:
    """Numbered, as the standard says; the last one says how it ended."""
    desk = DeskUnderTest(tmp_path, sample_case(), command=telling(PHASE, OPENED, waits_s=0.5))
    start(desk)
    answer = desk.get("/runs/1/events")
    assert answer.headers["content-type"].startswith("text/event-stream")
    sent = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
    assert [each["event"] for each in sent] == ["phase", "opened", "ended"]
    again = desk.get("/runs/1/events", headers={"last-event-id": "1"}).text
    assert again.startswith("id: 2\n")
    assert again.count("data: ") == 1


@pytest.mark.usefixtures("stack_up")
def test_a_run_that_fails_says_what_it_said(tmp_path: Path) -> None:
    """The end of its error output, and no case."""
    command = telling(PHASE, exit_code=2, says="lab: expected <clean> edges")
    desk = DeskUnderTest(tmp_path, sample_case(), command=command)
    start(desk)
    until_over(desk)
    shown = desk.get("/runs/1").text
    assert "lab: expected &lt;clean&gt; edges" in shown
    assert "It became no case" in shown


@pytest.mark.usefixtures("stack_up")
def test_one_run_at_a_time(tmp_path: Path) -> None:
    """A second start is refused while the first is at work, and welcome afterwards."""
    desk = DeskUnderTest(tmp_path, sample_case(), command=telling(OPENED, waits_s=1.0))
    start(desk)
    with pytest.raises(RunInProgress):
        desk.runs.start(1)
    until_over(desk)
    assert desk.runs.start(1).number == 2
    until_over(desk)


@pytest.mark.usefixtures("stack_up")
@pytest.mark.parametrize(
    "fields",
    [
        *({"number": each} for each in ("moon", "--hold=10m", "", "0", "-1", "9999", "db-timeout")),
        *({"level": each} for each in ("moon", "", "6", "-1")),
        *({}, {"scenario": "db-timeout"}),
    ],
)
def test_only_what_is_on_the_board_is_run(tmp_path: Path, fields: dict[str, str]) -> None:
    """Nothing a form says reaches a command line: it has numbers alone."""
    desk = DeskUnderTest(tmp_path, sample_case(), command=telling(OPENED))
    answer = desk.send("/cases/db-timeout-1/accuse", "/runs", **fields)
    assert answer.status_code == 422
    assert desk.runs.last is None


@pytest.mark.usefixtures("stack_up")
def test_of_a_level_one_is_run_that_is_not_solved(tmp_path: Path) -> None:
    """By the same command, under a number; neither the page nor its form names a scenario."""
    asked: list[str] = []

    def command(scenario: str) -> list[str]:
        asked.append(scenario)
        return [*lab_run(scenario)[:1], "-c", ""]

    desk = DeskUnderTest(tmp_path, command=command)
    shown = desk.get("/").text
    assert not [name for name in desk.runs.scenarios() if name in shown]
    for level in range(6):
        desk.send("/", "/runs", level=str(level))
        until_over(desk)
        assert desk.runs.scenarios()[asked[-1]].difficulty == level
    assert "--by-number" in lab_run("db-timeout")


@pytest.mark.usefixtures("stack_up")
def test_the_safety_lever_at_the_board(tmp_path: Path) -> None:
    """One button stops all harm, and then nothing can be started until another allows it."""
    desk = DeskUnderTest(tmp_path, sample_case(), command=telling(PHASE, OPENED, waits_s=0.5))
    assert "Stop all harm" in start(desk).text
    until_over(desk)
    assert "Stop all harm" in desk.get("/").text
    stopped = desk.send("/", "/harm/stop")
    assert stopped.url.path == "/"
    assert HarmMarkFile(tmp_path).is_set()
    assert "Allow harm again" in stopped.text
    assert "Stop all harm" not in stopped.text
    assert 'action="/runs"' not in stopped.text
    refused = desk.send("/", "/runs", number="1")
    assert refused.status_code == 409
    assert "harm is stopped" in refused.text
    allowed = desk.send("/", "/harm/allow")
    assert 'action="/runs"' in allowed.text
    assert not HarmMarkFile(tmp_path).is_set()


@pytest.mark.parametrize("action", ["/harm/stop", "/harm/allow"])
def test_the_safety_lever_is_for_the_desk_s_own_forms(tmp_path: Path, action: str) -> None:
    """Another site's page neither stops nor allows anything."""
    desk = DeskUnderTest(tmp_path, sample_case())
    assert desk.post(action).status_code == 403
    assert desk.post(action, headers={"Origin": "http://evil.example"}).status_code == 403
    assert desk.get(action).status_code == 405
    assert not HarmMarkFile(tmp_path).is_set()


def test_a_run_that_never_was_is_not_there(tmp_path: Path) -> None:
    """With a way back."""
    desk = DeskUnderTest(tmp_path)
    assert desk.get("/runs/7").status_code == 404
    assert desk.get("/runs/7/events").status_code == 404


def test_a_run_tells_programs_a_line_an_event(capsys: pytest.CaptureFixture[str]) -> None:
    """Steps in words, seconds of load, notes; each a JSON object."""
    with RunEvents(sys.stdout) as events:
        events.phase(Step.CRIME, "under load", 4.26)
        events.progress(LoadProgress(Window.CRIME, 12, 12.0, 0.5, 1010.0))
        events.note("again")
    phase, load, note = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (phase["step"], phase["seconds_left"]) == ("crime", 4.3)
    assert (load["event"], load["error_rate"]) == ("load", 0.5)
    assert note == {"event": "note", "text": "again"}


def test_imports_have_a_shelf_of_their_own_from_which_they_are_deleted(tmp_path: Path) -> None:
    """With date, traces, spans and size; a page asks first, and no other site's form answers."""
    archive = FolderArchive(tmp_path / "cases")
    path = tmp_path / "it.json"
    path.write_bytes(SHAPES["protobuf"]())
    for _ in range(2):
        bring_files(archive, [path], Wish(), lambda what, count: None)
    desk = DeskUnderTest(tmp_path, archive=archive)
    assert archive.cases()[0].case_id == "imported-1"
    shown = desk.get("/").text
    shelf = shown[shown.index("Imported traces") :]
    assert re.search(r'<td class="number">1</td><td class="number">2</td>', shelf)
    assert re.search(r"\d\.\d\d kB", shelf)
    asked = desk.get("/cases/imported-1/delete").text
    assert "Delete this case?" in asked
    assert desk.post("/cases/imported-1/delete").status_code == 403
    assert len(archive.cases()) == 1
    answer = desk.send("/cases/imported-1/delete", "/cases/imported-1/delete")
    assert (answer.status_code, archive.cases()) == (200, ())
    assert "Imported traces" not in desk.get("/").text
    assert desk.get("/cases/imported-1/delete").status_code == 404
