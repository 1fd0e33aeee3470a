"""What every archive of cases does; and what a folder does when disks and people misbehave."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import psutil
import pytest

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.bring import Wish, bring_content, bring_file
from lab.adapters.cases.journal_file import JournalFile
from lab.adapters.cases.own_note import sha256_of
from lab.adapters.formats.source import Content
from lab.adapters.memory.case_archive import MemoryArchive
from lab.adapters.memory.clock import FakeClock
from lab.adapters.otlp.traces import write_traces
from lab.adapters.own_folders import MARK
from lab.domain.case import Case
from lab.domain.evidence import Evidence, Sample, Sight, Telemetry
from lab.domain.journal import Ending, Step
from lab.domain.load import Request, Window
from lab.domain.rows import summary_of
from lab.domain.trace import Trace
from lab.errors import CaseAtWork, CaseError, NotOurs, UsageError
from lab.ports.case_archive import CaseArchive
from lab.scenario_file import varied
from lab.settings import CHECKOUT
from tests.support.sample_case import START_S, healthy_trace, request, sample_case


class Given(Protocol):
    """An archive under test, and the load generator's log of a run."""

    @property
    def archive(self) -> CaseArchive: ...

    def log_requests(self, case_id: str, requests: tuple[Request, ...]) -> None: ...

    def bring(self, *traces: Trace) -> str: ...


@dataclasses.dataclass
class GivenMemory:
    archive: MemoryArchive

    def log_requests(self, case_id: str, requests: tuple[Request, ...]) -> None:
        self.archive.give(case_id, requests)

    def bring(self, *traces: Trace) -> str:
        evidence = Evidence({}, (), {}, {each.trace_id: each for each in traces})
        index = tuple(map(summary_of, traces))
        case_id = f"brought-{len(traces)}"
        self.archive.bring(Telemetry(case_id, "traces", "a file", START_S, evidence, index))
        return case_id


@dataclasses.dataclass
class GivenFolder:
    archive: FolderArchive

    def log_requests(self, case_id: str, requests: tuple[Request, ...]) -> None:
        lines = (json.dumps(dataclasses.asdict(each)) + "\n" for each in requests)
        folder = self.archive.working_folder(case_id)
        (folder / "requests.jsonl").write_text("".join(lines))

    def bring(self, *traces: Trace) -> str:
        documents = io.BytesIO(json.dumps(write_traces(traces)).encode())
        content = Content("a file", documents)
        return bring_content(self.archive, content, Wish(), lambda _what, _count: None).case_id


@pytest.fixture(params=["memory", "folder"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> Given:
    if request.param == "memory":
        return GivenMemory(MemoryArchive(tmp_path, FakeClock()))
    return GivenFolder(FolderArchive(tmp_path / "cases", clock=FakeClock()))


def sealed(archive: CaseArchive, case: Case | None = None) -> Case:
    """Seal the sample case, as the end of a run does."""
    case = case or sample_case()
    archive.working_folder(case.case_id)
    archive.seal(case)
    return case


def brought_traces(count: int, start_s: float = START_S) -> list[Trace]:
    """So many, one a second."""
    moments = (start_s + n for n in range(count))
    return [healthy_trace(f"{int(each):032x}", each) for each in moments]


# --- the contract ------------------------------------------------------------------------


def test_what_was_healthy_is_kept_beside_a_strangers_traces(given: Given) -> None:
    """It can be changed, and taken away again; the traces stay as they were."""
    archive, traces = given.archive, brought_traces(6)
    case_id = given.bring(*traces)
    assert archive.sight(case_id).evidence.requests == ()
    archive.refer(case_id, stretch="0s..2s")
    first = archive.sight(case_id)
    assert isinstance(first, Telemetry)
    assert first.healthy is not None
    assert [each.window for each in first.evidence.requests].count(Window.REFERENCE) == 2
    archive.refer(case_id, stretch="..3s")
    second = archive.sight(case_id).evidence
    assert second.samples[Sample.REFERENCE] == tuple(each.trace_id for each in traces[:3])
    assert second.windows[Window.REFERENCE].end_s <= second.windows[Window.CRIME].start_s
    archive.refer(case_id)
    last = archive.sight(case_id)
    assert isinstance(last, Telemetry)
    assert (last.healthy, last.evidence.requests) == (None, ())
    assert list(last.evidence.traces.values()) == traces


def test_traces_are_compared_with_those_of_another_time(given: Given) -> None:
    """Those of the other can be read beside its own, and those in both are healthy."""
    archive = given.archive
    shared, *own = brought_traces(4)
    others = [shared, *brought_traces(4, START_S + 100)]
    case_id, calm = given.bring(shared, *own), given.bring(*others)
    archive.refer(case_id, other=calm)
    found = archive.sight(case_id)
    assert isinstance(found, Telemetry)
    assert [each.trace_id for each in found.index] == [each.trace_id for each in (shared, *own)]
    assert found.evidence.samples[Sample.OTHERS] == tuple(each.trace_id for each in own)
    assert {*found.evidence.traces} == {each.trace_id for each in (*own, *others)}
    assert [*found.evidence.kept_in(Window.REFERENCE)] == others


def test_two_that_say_at_once_what_was_healthy_leave_one_whole(given: Given) -> None:
    """Whichever is later; a reference in which something is missing would be believed."""
    archive = given.archive
    case_id = given.bring(*brought_traces(4))
    calm = [given.bring(*brought_traces(n, START_S + 100 * n)) for n in (5, 6)]
    with ThreadPoolExecutor(4) as threads:
        said = [{"other": calm[0]}, {"stretch": "0s..2s"}, {"other": calm[1]}]
        for done in [threads.submit(archive.refer, case_id, **said[n % 3]) for n in range(40)]:
            done.result()
    found = archive.sight(case_id)
    assert isinstance(found, Telemetry)
    assert len(tuple(found.evidence.kept_in(Window.REFERENCE))) in {2, 5, 6}
    assert {each.trace_id for each in found.index} <= found.evidence.traces.keys()


def test_what_cannot_have_been_healthy_is_refused(given: Given) -> None:
    """A case has windows of its own, and of the very same traces none are left to compare."""
    case = sealed(given.archive)
    case_id = given.bring(*brought_traces(3))
    for wrong in ({"stretch": "soon"}, {"stretch": "0s..9s"}, {"other": case_id}):
        with pytest.raises(UsageError, match="expected"):
            given.archive.refer(case_id, **wrong)
    with pytest.raises(UsageError, match=case.case_id):
        given.archive.refer(case.case_id, stretch="0s..1s")
    with pytest.raises(UsageError, match=case.case_id):
        given.archive.refer(case_id, other=case.case_id)
    assert given.archive.sight(case_id).evidence.requests == ()


def test_a_sealed_case_is_read_back_whole(given: Given) -> None:
    """Everything that proof, grading and hints need comes back equal."""
    case = sealed(given.archive)
    assert given.archive.load(case.case_id) == case


def test_a_case_keeps_its_level_and_the_lines_it_was_sealed_with(given: Given) -> None:
    """Points go by the one, exhibits by the other."""
    case = sample_case()
    line = json.dumps({"time_unix_s": START_S + 21, "service": "auth", "body": "no answer"})
    logged = dataclasses.replace(case.evidence, logs=(line,))
    sealed(given.archive, dataclasses.replace(case, evidence=logged))
    assert given.archive.level(case.case_id) == case.scenario.difficulty
    assert [each.strip() for each in given.archive.logs(case.case_id)] == [line]
    assert given.archive.load(case.case_id).evidence.logs == (line,)


def test_a_varied_case_is_read_back_as_it_was_varied(given: Given) -> None:
    """Grading and proof go by the plan of its run, not by the scenario as it is written."""
    case = sample_case()
    varied_case = dataclasses.replace(case, scenario=varied(case.scenario, 3), seed=3)
    assert varied_case.scenario != case.scenario
    loaded = given.archive.load(sealed(given.archive, varied_case).case_id)
    assert loaded.scenario == varied_case.scenario


def test_the_newest_case_is_loaded_where_none_is_named(given: Given) -> None:
    """Newest by when it was opened, not by its number."""
    sealed(given.archive, sample_case("db-timeout-2", opened_unix_s=START_S + 10))
    sealed(given.archive, sample_case("db-timeout-1", opened_unix_s=START_S + 90))
    assert given.archive.load(None).case_id == "db-timeout-1"
    assert [case.case_id for case in given.archive.cases()] == ["db-timeout-1", "db-timeout-2"]


def test_a_run_at_work_is_no_case(given: Given) -> None:
    """A working folder with everything in it but the seal is not listed and not loaded."""
    given.archive.working_folder("db-timeout-1")
    given.log_requests("db-timeout-1", (request("ab" * 16, Window.CRIME, 1),))
    given.archive.journal("db-timeout-1").record(Step.PREFLIGHT, "started")
    assert given.archive.cases() == ()
    with pytest.raises(CaseError):
        given.archive.load("db-timeout-1")
    with pytest.raises(CaseError):
        given.archive.load(None)


def test_ids_count_up_for_each_scenario(given: Given) -> None:
    """The number after the last of a scenario, that of a run at work included."""
    assert given.archive.next_case_id("db-timeout") == "db-timeout-1"
    sealed(given.archive, sample_case("db-timeout-1"))
    assert given.archive.next_case_id("db-timeout") == "db-timeout-2"
    given.archive.working_folder("db-timeout-4")
    assert given.archive.next_case_id("db-timeout") == "db-timeout-5"
    assert given.archive.next_case_id("db") == "db-1"


def test_a_case_is_sealed_once(given: Given) -> None:
    """A sealed case is never overwritten."""
    sealed(given.archive)
    with pytest.raises(CaseError, match="expected no case db-timeout-1"):
        sealed(given.archive)


def test_the_journal_of_a_run_keeps_order_and_data(given: Given) -> None:
    """Entries come back as recorded, also through another look at the same run."""
    given.archive.working_folder("db-timeout-1")
    journal = given.archive.journal("db-timeout-1")
    journal.record(Step.PREFLIGHT, "started", seed=7)
    journal.record(Step.CRIME, "lease taken", spoiler=True, faults=["auth-users_db timeout"])
    entries = given.archive.journal("db-timeout-1").entries()
    assert [(each.step, each.event, each.spoiler) for each in entries] == [
        (Step.PREFLIGHT, "started", False),
        (Step.CRIME, "lease taken", True),
    ]
    assert entries[1].data == {"faults": ["auth-users_db timeout"]}


def test_the_load_generators_requests_are_read_while_the_run_goes_on(given: Given) -> None:
    """The log of a run is evidence before there is a case."""
    assert given.archive.requests("db-timeout-1") == ()
    written = (request("ab" * 16, Window.CRIME, 1), request("cd" * 16, Window.TRANSITION, 2))
    given.log_requests("db-timeout-1", written)
    assert given.archive.requests("db-timeout-1") == written


def test_verdicts_are_counted_and_solve_the_case(given: Given) -> None:
    """A hint is no accusation; one solved verdict solves the case for good."""
    case_id = sealed(given.archive).case_id
    given.archive.record_verdict(case_id, {"hint": 1})
    given.archive.record_verdict(case_id, {"verdict": "messenger"})
    (summary,) = given.archive.cases()
    assert (summary.accusations, summary.solved) == (1, False)
    given.archive.record_verdict(case_id, {"verdict": "solved"})
    given.archive.record_verdict(case_id, {"verdict": "innocent"})
    (summary,) = given.archive.cases()
    assert (summary.accusations, summary.solved) == (3, True)
    assert given.archive.load(case_id) == sample_case()


def test_a_verdict_on_no_case_is_refused(given: Given) -> None:
    """Nobody is accused in a case that does not exist."""
    with pytest.raises(CaseError):
        given.archive.record_verdict("db-timeout-9", {"verdict": "solved"})


# --- folders -----------------------------------------------------------------------------


@pytest.fixture
def archive(tmp_path: Path) -> FolderArchive:
    return FolderArchive(tmp_path / "cases", log_dir=tmp_path / "log", clock=FakeClock())


def folder_of(archive: FolderArchive, tmp_path: Path) -> Path:
    return tmp_path / "cases" / sealed(archive).case_id


def test_a_case_folder_holds_what_it_promises(archive: FolderArchive, tmp_path: Path) -> None:
    """Every file is there under its documented name, and nothing of the run's own."""
    folder = folder_of(archive, tmp_path)
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "manifest.json",
        "scenario/scenario.yaml",
        "scenario/briefing.md",
        "scenario/debrief.md",
        "requests.jsonl",
        "traces.jsonl",
        "logs.jsonl",
        "journal.jsonl",
        "proof.json",
        "checksums",
    }
    there = {path.name for path in (tmp_path / "cases").iterdir()}
    assert there == {folder.name, MARK}


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum here")
def test_checksums_are_those_of_sha256sum(archive: FolderArchive, tmp_path: Path) -> None:
    """Anybody can check a case without the lab."""
    folder = folder_of(archive, tmp_path)
    subprocess.run(
        ["sha256sum", "--check", "--strict", "checksums"],
        cwd=folder,
        check=True,
        stdout=subprocess.DEVNULL,
    )


@pytest.mark.parametrize(
    "name",
    ["manifest.json", "requests.jsonl", "traces.jsonl", "journal.jsonl", "proof.json", "checksums"],
)
@pytest.mark.parametrize("damage", ["missing", "truncated", "garbage", "empty"])
def test_a_damaged_file_is_named(
    archive: FolderArchive, tmp_path: Path, name: str, damage: str
) -> None:
    """Loading says which file is not as it was sealed, and what to do; it never guesses."""
    path = folder_of(archive, tmp_path) / name
    text = path.read_bytes()
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {"truncated": text[: len(text) // 2], "garbage": b"\xff\x00{", "empty": b""}[damage]
        )
    ways: tuple[Callable[[str], object], ...] = (
        *(archive.load, partial(archive.load, at_once=False)),
        *(archive.sight, archive.joined, archive.run_record),
    )
    for way in ways:
        with pytest.raises(CaseError, match=rf"{name}: expected .*damaged: restore") as refusal:
            way("db-timeout-1")
        assert "Traceback" not in str(refusal.value)


def test_a_trace_that_is_read_when_it_is_asked_for_is_as_strictly_read(
    archive: FolderArchive, tmp_path: Path
) -> None:
    """The same case either way; a line that somebody changed is named once it is looked at."""
    folder = folder_of(archive, tmp_path)
    whole, later = archive.load(None), archive.load(None, at_once=False)
    assert dict(later.evidence.traces) == whole.evidence.traces
    assert dataclasses.replace(later, evidence=whole.evidence) == whole
    path = folder / "traces.jsonl"
    changed = path.read_text().replace('"startTimeUnixNano": "', '"startTimeUnixNano": "-', 1)
    path.write_text(changed)
    edit("proof.json", lambda it: it)(folder)
    with pytest.raises(CaseError, match=r"traces.jsonl: .*line 1 .*startTimeUnixNano"):
        archive.load(None)
    later = archive.load(None, at_once=False)
    with pytest.raises(CaseError, match=r"traces.jsonl: .*line 1 .*startTimeUnixNano"):
        list(later.evidence.traces.values())


def test_what_belongs_together_is_said_by_the_scenario_alone(
    archive: FolderArchive, tmp_path: Path
) -> None:
    """It is not read where nothing was joined; where something was, it is, and must be right."""
    folder = folder_of(archive, tmp_path)
    (folder / "scenario" / "scenario.yaml").write_text("of another lab")
    edit("proof.json", lambda it: it)(folder)
    assert isinstance(archive.joined(None), Sight)
    ids = archive.sight(None).evidence.samples[Sample.AFFECTED]
    joined = {"samples": {"affected": ids, "joined": ids}}
    edit("manifest.json", lambda it: it | joined)(folder)
    with pytest.raises(CaseError, match="expected a scenario this lab understands"):
        archive.joined(None)


def test_the_traces_of_a_case_are_joined_as_its_scenario_says(tmp_path: Path) -> None:
    """Each request has the same others as in the case that is read as a whole."""
    archive = FolderArchive(tmp_path / "cases")
    file = CHECKOUT / "scenarios" / "locked-drawer" / "recorded.case.zip"
    case_id = bring_file(archive, file).case_id
    whole, found = archive.load(case_id).evidence, archive.joined(case_id).evidence
    stories = {each: whole.trace(each) for each in whole.traces}
    assert {each: found.trace(each) for each in found.traces} == stories
    assert any(story and story.joined for story in stories.values())


def edit(name: str, change: Callable[[Any], Any]) -> Callable[[Path], None]:
    """A change to a JSON file together with its checksum: the work of a person."""

    def apply(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps(change(json.loads(path.read_text()))))
        sums = [
            f"{sha256_of(folder / line.split('  ')[1])}  {line.split('  ')[1]}"
            for line in (folder / "checksums").read_text().splitlines()
        ]
        (folder / "checksums").write_text("\n".join(sums) + "\n")

    return apply


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (
            edit("manifest.json", lambda it: it | {"version": 2}),
            "expected version 1 or older of a case file, found 2.*git pull",
        ),
        (edit("manifest.json", lambda it: it | {"format": "x"}), "format to be right"),
        (edit("manifest.json", lambda it: it | {"ending": "happy"}), "ending to be right"),
        (edit("manifest.json", lambda it: [it]), "manifest.json: expected a JSON object"),
        (edit("manifest.json", lambda it: it | {"samples": {"best": []}}), "samples.best"),
        (edit("proof.json", lambda it: {"findings": [{}]}), r"findings\.0\.step"),
    ],
)
def test_what_was_changed_by_hand_is_refused(
    archive: FolderArchive, tmp_path: Path, change: Callable[[Path], None], complaint: str
) -> None:
    """A newer format is told apart from damage, and a wrong field is named."""
    change(folder_of(archive, tmp_path))
    with pytest.raises(CaseError, match=complaint):
        archive.load("db-timeout-1")


def test_a_scenario_that_is_no_longer_understood_is_refused(
    archive: FolderArchive, tmp_path: Path
) -> None:
    """The scenario's own problems are listed with their lines."""
    folder = folder_of(archive, tmp_path)
    path = folder / "scenario" / "scenario.yaml"
    path.write_text(path.read_text().replace("mechanism: timeout", "mechanism: ghosts"))
    edit("proof.json", lambda it: it)(folder)
    with pytest.raises(CaseError, match=r"(?s)scenario: expected a scenario.*ghosts"):
        archive.load("db-timeout-1")


def test_a_checksum_that_points_outside_is_refused(archive: FolderArchive, tmp_path: Path) -> None:
    """A case from a stranger reads no file but its own."""
    folder = folder_of(archive, tmp_path)
    with (folder / "checksums").open("a") as sums:
        sums.write(f"{'0' * 64}  ../../secret\n")
    with pytest.raises(CaseError, match="checksums: expected lines of"):
        archive.load("db-timeout-1")


@pytest.mark.parametrize("case_id", ["../../etc", "", ".run-db-timeout-1", "db-timeout", "a/b-1"])
def test_what_is_no_case_id_never_becomes_a_path(archive: FolderArchive, case_id: str) -> None:
    """Only ``<scenario-id>-<n>`` is looked for."""
    with pytest.raises(CaseError, match="expected a case id such as"):
        archive.load(case_id)
    with pytest.raises(CaseError):
        archive.working_folder(case_id)


def test_a_misspelt_case_suggests_near_ones(archive: FolderArchive, tmp_path: Path) -> None:
    """Whoever mistypes is told what they may have meant."""
    sealed(archive)
    with pytest.raises(CaseError, match="did you mean db-timeout-1"):
        archive.load("db-timout-1")


def test_one_damaged_case_hides_no_other(archive: FolderArchive, tmp_path: Path) -> None:
    """A list shows what can be read."""
    sealed(archive, sample_case("db-timeout-1"))
    sealed(archive, sample_case("db-timeout-2"))
    (tmp_path / "cases" / "db-timeout-2" / "manifest.json").write_text("{")
    assert [case.case_id for case in archive.cases()] == ["db-timeout-1"]


def test_a_torn_last_line_loses_only_itself(archive: FolderArchive, tmp_path: Path) -> None:
    """What a killed process left half-written is left out, and the next line is whole again."""
    archive.working_folder("db-timeout-1")
    journal = archive.journal("db-timeout-1")
    journal.record(Step.PREFLIGHT, "started")
    path = tmp_path / "cases" / ".run-db-timeout-1" / "journal.jsonl"
    with path.open("a") as file:
        file.write('{"time_unix_s": 1')
    assert [each.event for each in journal.entries()] == ["started"]
    case_id = sealed(archive, sample_case("db-timeout-3")).case_id
    record = tmp_path / "cases" / case_id / "accusations.jsonl"
    record.write_text('{"verdict": "inno')
    archive.record_verdict(case_id, {"verdict": "solved"})
    assert archive.cases()[0].solved


def test_a_damaged_journal_line_is_named(tmp_path: Path) -> None:
    """A whole line that is no entry was changed by somebody."""
    path = tmp_path / "journal.jsonl"
    path.write_text('{"step": "dance"}\n')
    with pytest.raises(CaseError, match=r"journal\.jsonl:1: expected a journal entry"):
        JournalFile(path, FakeClock()).entries()


# --- disks and processes -----------------------------------------------------------------


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="skipped: not Linux")
def test_a_full_disk_is_said_so(archive: FolderArchive, tmp_path: Path) -> None:
    """No traceback: the file, the system's own word, and the way out."""
    folder = archive.working_folder("db-timeout-1")
    (folder / "traces.jsonl").symlink_to("/dev/full")
    with pytest.raises(CaseError, match=r"No space left on device .*free some space"):
        archive.seal(sample_case())
    assert archive.cases() == ()
    (folder / "journal.jsonl").symlink_to("/dev/full")
    with pytest.raises(CaseError, match="No space left"):
        archive.journal("db-timeout-1").record(Step.PREFLIGHT, "started")


def test_a_folder_that_cannot_be_made_is_said_so(tmp_path: Path) -> None:
    """The state folder may be somebody else's, or no folder at all."""
    (tmp_path / "cases").write_text("a file")
    archive = FolderArchive(tmp_path / "cases")
    with pytest.raises(CaseError, match=r"expected to write .*LAB_STATE_DIR"):
        archive.working_folder("db-timeout-1")
    with pytest.raises(CaseError, match="expected to read"):
        archive.cases()


def test_leftovers_are_those_whose_process_is_gone(archive: FolderArchive) -> None:
    """A run at work keeps its folder; one whose pid is gone, or another's now, left it."""
    mine = archive.working_folder("db-timeout-1")
    dead = archive.working_folder("db-timeout-2")
    reused = archive.working_folder("db-timeout-3")
    empty = archive.working_folder("db-timeout-4")
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    (dead / ".owner.json").write_text(json.dumps({"pid": gone.pid, "started_unix_s": 1.0}))
    started_s = psutil.Process().create_time() - 100
    (reused / ".owner.json").write_text(
        json.dumps({"pid": os.getpid(), "started_unix_s": started_s})
    )
    (empty / ".owner.json").unlink()
    assert set(archive.leftovers()) == {"db-timeout-2", "db-timeout-3", "db-timeout-4"}
    for folder in (dead, reused, empty):
        shutil.rmtree(folder)
    assert mine.exists()
    assert archive.leftovers() == ()


def die(folder: Path, *, seconds_ago: float) -> None:
    """Make a working folder look as if its run had died then."""
    (folder / ".owner.json").unlink()
    journal = folder / "journal.jsonl"
    journal.touch()
    last_sign_s = time.time() - seconds_ago
    os.utime(journal, (last_sign_s, last_sign_s))


def test_the_newest_run_is_told_of_whatever_became_of_it(
    archive: FolderArchive, tmp_path: Path
) -> None:
    """A run at work, then a dead one, then the case, as each of them goes."""
    sealed(archive, sample_case("db-timeout-1", opened_unix_s=time.time() - 100))
    dead = archive.working_folder("db-timeout-2")
    archive.journal("db-timeout-2").record(Step.CRIME, "window opened")
    die(dead, seconds_ago=50)
    archive.working_folder("db-timeout-3")
    at_work = archive.run_record(None)
    assert (at_work.case_id, at_work.ending) == ("db-timeout-3", None)
    shutil.rmtree(tmp_path / "cases" / ".run-db-timeout-3")
    interrupted = archive.run_record(None)
    assert (interrupted.case_id, interrupted.ending) == ("db-timeout-2", Ending.INTERRUPTED)
    assert interrupted.reached is Step.CRIME
    assert archive.run_record("db-timeout-2") == interrupted
    die(archive.working_folder("db-timeout-4"), seconds_ago=200)
    shutil.rmtree(dead)
    completed = archive.run_record(None)
    assert (completed.case_id, completed.ending) == ("db-timeout-1", Ending.COMPLETED)
    assert completed == archive.run_record("db-timeout-1")
    assert archive.leftovers() == ("db-timeout-4",)


def test_a_run_that_never_was_has_no_record(archive: FolderArchive) -> None:
    """An unknown id is refused like that of an unknown case."""
    with pytest.raises(CaseError, match="expected a case of"):
        archive.run_record("db-timeout-9")
    with pytest.raises(CaseError, match="lab run"):
        archive.run_record(None)


def test_only_the_newest_leftovers_are_kept(archive: FolderArchive) -> None:
    """A run that begins deletes what died long ago; the journals of the newest ten stay."""
    ids = [f"db-timeout-{number}" for number in range(1, 14)]
    for number, folder in enumerate([archive.working_folder(each) for each in ids]):
        die(folder, seconds_ago=1000 - number)
    mine = archive.working_folder("db-timeout-14")
    assert archive.leftovers() == tuple(reversed(ids[3:]))
    archive.working_folder("db-timeout-14")
    assert mine.exists()


def test_an_entry_is_on_disk_before_the_run_goes_on(
    archive: FolderArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each entry is appended and brought to disk by itself; what was written stays as it was."""
    archive.working_folder("db-timeout-1")
    journal = archive.journal("db-timeout-1")
    synced: list[str] = []
    path = journal._path
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.read_text()))
    journal.record(Step.PREFLIGHT, "started")
    journal.record(Step.CRIME, "window opened")
    assert [text.count("\n") for text in synced] == [1, 2]
    assert synced[1].startswith(synced[0])


def test_a_seal_that_is_killed_leaves_no_case(
    archive: FolderArchive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the one rename everything is private, whatever was already written."""

    def killed(_self: Path, _target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        sealed(archive)
    monkeypatch.undo()
    assert archive.cases() == ()
    archive.seal(sample_case())
    assert archive.load(None) == sample_case()


# --- logs --------------------------------------------------------------------------------


def log_batch(*records: dict[str, Any], service: str = "auth") -> str:
    name = {"key": "service.name", "value": {"stringValue": service}}
    return json.dumps(
        {
            "resourceLogs": [
                {"resource": {"attributes": [name]}, "scopeLogs": [{"logRecords": records}]}
            ]
        }
    )


def log_record(text: str, at_s: float, trace_id: str = "") -> dict[str, Any]:
    return {
        "timeUnixNano": str(int((START_S + at_s) * 1e9)),
        "severityText": "ERROR",
        "body": {"stringValue": text},
        "traceId": trace_id,
    }


def test_a_case_keeps_the_log_lines_that_belong_to_it(
    archive: FolderArchive, tmp_path: Path
) -> None:
    """Those of its traces and of none, inside its time, from a rotated file too."""
    case = sample_case()
    ours = next(iter(case.evidence.traces))
    folder = tmp_path / "log" / "signals"
    folder.mkdir(parents=True)
    (folder / "signals-logs-2026-11-22T16-00-00.000-size.jsonl").write_text(
        log_batch(log_record("early", 1, ours), log_record("yesterday", -90_000, ours)) + "\n"
    )
    (folder / "signals-logs.jsonl").write_text(
        log_batch(
            log_record("ours", 21, ours),
            log_record("a stranger's", 21, "9f" * 16),
            log_record("the pool's", 22),
            log_record("late", 44.9, ours),
            log_record("too late", 46, ours),
        )
        + "\nnot json\n"
        + '{"resourceLogs": 3}\n'
        + log_batch(log_record("torn", 21, ours))
    )
    archive.working_folder(case.case_id)
    logged = dataclasses.replace(case.evidence, logs=archive.logs_of(case.evidence))
    sealed = archive.seal(dataclasses.replace(case, evidence=logged))
    lines = [json.loads(line) for line in (sealed / "logs.jsonl").read_text().splitlines()]
    assert archive.load(case.case_id).evidence.logs == logged.logs
    assert [line["body"] for line in lines] == ["early", "ours", "the pool's", "late"]
    assert lines[1] == {
        "time_unix_s": START_S + 21,
        "service": "auth",
        "severity": "ERROR",
        "body": "ours",
        "trace_id": ours,
        "span_id": None,
        "attributes": {},
    }


# --- deleting ----------------------------------------------------------------------------


def test_a_deleted_case_is_gone_and_no_other(given: Given) -> None:
    """With what was found out in it; its number is free again."""
    sealed(given.archive, sample_case("db-timeout-1"))
    sealed(given.archive, sample_case("db-timeout-2"))
    given.archive.record_verdict("db-timeout-2", {"solved": False})
    given.archive.delete("db-timeout-2")
    assert [each.case_id for each in given.archive.cases()] == ["db-timeout-1"]
    sealed(given.archive, sample_case("db-timeout-2"))
    assert given.archive.records("db-timeout-2") == ()
    with pytest.raises(CaseError):
        given.archive.delete("db-timeout-3")


def test_a_case_that_a_run_writes_is_not_deleted(tmp_path: Path) -> None:
    archive = FolderArchive(tmp_path / "cases")
    folder = archive.working_folder("db-timeout-1")
    with pytest.raises(CaseAtWork):
        archive.delete("db-timeout-1")
    assert folder.is_dir()


def test_what_a_dead_run_left_is_deleted_by_its_id(tmp_path: Path) -> None:
    archive = FolderArchive(tmp_path / "cases")
    folder = archive.working_folder("db-timeout-1")
    (folder / ".owner.json").unlink()
    archive.delete("db-timeout-1")
    assert [each.name for each in (tmp_path / "cases").iterdir()] == [MARK]


def test_what_the_lab_noted_in_a_case_is_deleted_with_it(tmp_path: Path) -> None:
    """Also the half of a note whose writer was killed."""
    archive = FolderArchive(tmp_path / "cases")
    sealed(archive)
    archive.load("db-timeout-1")
    folder = tmp_path / "cases" / "db-timeout-1"
    (folder / ".partners.json").write_text("of a case with joins")
    for note in (".scenario.json", ".traces.jsonl", ".partners.json"):
        assert (folder / note).is_file()
        (folder / f"{note}.part-x_1yz0ab").write_text("half")
        (folder / f"{note}.part-17-140").write_text("half, as it was called before")
    archive.delete("db-timeout-1")
    assert not folder.exists()


def test_what_somebody_keeps_in_a_case_is_not_copied_with_its_traces(tmp_path: Path) -> None:
    """Or it could be deleted with the case that was compared with it, or keep that from it."""
    given = GivenFolder(FolderArchive(tmp_path / "cases", clock=FakeClock()))
    case_id, calm = given.bring(*brought_traces(4)), given.bring(*brought_traces(5, START_S + 99))
    (tmp_path / "cases" / calm / "notes.md").write_text("mine")
    given.archive.refer(case_id, other=calm)
    given.archive.delete(case_id)
    assert (tmp_path / "cases" / calm / "notes.md").read_text() == "mine"


@pytest.mark.parametrize(
    "path",
    [
        *("notes.md", ".notes", "scenario/draft.md", "mine/list.txt"),
        *("mine.part-1", "scenario/.scenario.json", ".scenario.json.bak"),
        *(".traces.jsonl.part-mine/list.txt", ".traces.jsonl.part-mine.txt"),
        *(".reference/list.txt", ".reference-x_1yz0ab/list.txt", ".reference-mine/traces.jsonl"),
    ],
)
def test_a_case_in_which_somebody_keeps_files_is_not_deleted(tmp_path: Path, path: str) -> None:
    archive = FolderArchive(tmp_path / "cases")
    sealed(archive)
    theirs = tmp_path / "cases" / "db-timeout-1" / path
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("mine")
    with pytest.raises(NotOurs, match="move what is yours"):
        archive.delete("db-timeout-1")
    assert theirs.read_text() == "mine"
    assert archive.load("db-timeout-1") == sample_case()


def test_no_case_is_deleted_through_a_link_or_out_of_a_folder_of_others(tmp_path: Path) -> None:
    """A link leads to what somebody else keeps, and an unmarked folder is not the lab's."""
    archive, theirs = FolderArchive(tmp_path / "cases"), FolderArchive(tmp_path / "theirs")
    sealed(archive, sample_case("db-timeout-1"))
    sealed(theirs, sample_case("db-timeout-2"))
    there = tmp_path / "theirs" / "db-timeout-2"
    (tmp_path / "cases" / "db-timeout-2").symlink_to(there)
    with pytest.raises(NotOurs, match="expected a folder of the lab's own"):
        archive.delete("db-timeout-2")
    (tmp_path / "theirs" / MARK).unlink()
    with pytest.raises(NotOurs, match="to bear the mark"):
        theirs.delete("db-timeout-2")
    assert there.is_dir()
