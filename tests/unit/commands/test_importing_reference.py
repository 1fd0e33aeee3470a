"""An import beside what was said to be healthy: the same culprit as where the truth is known."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner, Result

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.otlp.traces import trace_to_otlp
from lab.cli import app
from lab.domain.load import Window
from lab.domain.trace import Trace
from lab.errors import CaseError, LabError, NoReference, NothingToGrade, UsageError
from tests.support.recorded_cases import recorded
from tests.support.sample_case import START_S, fatal_trace, healthy_trace, sample_case
from tests.support.trace_formats import EXAMPLES

CULPRITS: Final = {
    "db-timeout": ("auth", "users_db", "timeout"),
    "slow-shelves": ("catalog", "catalog_db", "latency"),
}
"""Who did it in these recordings, to whom, and how."""


class Door:
    """The command line over a state folder; what it refuses is raised."""

    def __init__(self, state: Path) -> None:
        self._env = {"LAB_STATE_DIR": str(state), "COLUMNS": "160"}

    def __call__(self, line: str) -> Result:
        done = CliRunner().invoke(app, line.split(), env=self._env)
        if isinstance(done.exception, LabError):
            raise done.exception
        assert done.exception is None or isinstance(done.exception, SystemExit), line
        return done


@pytest.fixture
def lab(tmp_path: Path) -> Door:
    return Door(tmp_path / "state")


def written(path: Path, traces: Iterator[Trace]) -> str:
    path.write_text("".join(json.dumps(trace_to_otlp(each)) + "\n" for each in traces))
    return str(path)


def exported(name: str, path: Path, *windows: Window) -> str:
    """What requests of these windows of a recorded case left, as OTLP."""
    evidence = recorded(name).evidence
    ids = [each.trace_id for each in evidence.requests if each.window in windows]
    return written(path, (evidence.traces[each] for each in ids if each in evidence.traces))


def healthy_time(name: str) -> str:
    window = recorded(name).evidence.windows[Window.REFERENCE]
    return f"{window.start_s:.3f}..{window.end_s:.3f}"


@dataclass(frozen=True)
class Imported:
    """A case of an import, and of which recording its traces are."""

    name: str
    case_id: str
    lab: Door


def read(lab: Door, line: str) -> Any:
    return json.loads(lab(f"{line} --json").stdout)


WAYS: Final = (("db-timeout", "stretch"), ("slow-shelves", "file"))


@pytest.fixture(scope="module", params=WAYS, ids=" by ".join)
def imported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Imported:
    """A recorded case as an import with its healthy time, said in either way."""
    name, way = request.param
    place = tmp_path_factory.mktemp(name)
    lab = Door(place / "state")
    if way == "stretch":
        both = exported(name, place / "all.jsonl", Window.REFERENCE, Window.CRIME)
        line = f"import {both} --before {healthy_time(name)}"
    else:
        calm = exported(name, place / "calm.jsonl", Window.REFERENCE)
        line = f"import {exported(name, place / 'bad.jsonl', Window.CRIME)} --compare {calm}"
    return Imported(name, str(read(lab, line)["case"]), lab)


def test_what_an_import_is_compared_with_is_no_part_of_its_incident(
    lab: Door, tmp_path: Path
) -> None:
    """The detective asked beside another import says the same, whatever was said to be healthy."""
    calm = exported("db-timeout", tmp_path / "calm.jsonl", Window.REFERENCE)
    bad = exported("db-timeout", tmp_path / "bad.jsonl", Window.CRIME)
    before, case_id = (read(lab, f"import {each}")["case"] for each in (calm, bad))
    said = read(lab, f"detect {case_id} --reference {before}")
    lab(f"reference {case_id} --compare {before}")
    assert read(lab, f"detect {case_id} --reference {before}") == said


def test_the_culprit_is_who_the_truth_says(imported: Imported) -> None:
    """The detective names it, the map shows it, and what sets the hurt apart is of its service."""
    case_id, lab = imported.case_id, imported.lab
    service, peer, mechanism = CULPRITS[imported.name]
    first = read(lab, f"detect {case_id}")["suspects"][0]
    assert (first["service"], first["peer"], first["mechanism"]) == (service, peer, mechanism)
    edges = {(e["caller"], e["callee"]): e for e in read(lab, f"map {case_id}")["edges"]}
    hurt = edges[service, peer]
    assert hurt["crime"]["p95_ms"] > 20 * hurt["reference"]["p95_ms"]
    told = read(lab, f"contrast {case_id}")
    assert (told["hurt"] > 0, told["healthy"] > 0, told["at_edge"]) == (True, True, True)
    assert any(row["where"] == service for row in (*told["rows"], *told["amounts"])[:40])


def test_a_hurt_trace_has_ghosts_and_a_healthy_twin(imported: Imported) -> None:
    """The usual time of each span, and the greatest change where the truth says it is."""
    case_id, lab = imported.case_id, imported.lab
    worst = read(lab, f"traces {case_id} --slowest --limit 1")[0]["trace_id"]
    assert " usual" in lab(f"trace {worst} --case {case_id}").stdout
    twin = read(lab, f"twin {worst} --case {case_id}")
    assert twin["rows"][0]["service"] == CULPRITS[imported.name][0]
    assert lab(f"trace {twin['healthy_trace_id']} --case {case_id}").exit_code == 0


def test_its_time_is_told_with_and_without_a_name(lab: Door, tmp_path: Path) -> None:
    """Without a reference no time is called the incident; with one both are."""
    path = exported("db-timeout", tmp_path / "all.jsonl", Window.REFERENCE, Window.CRIME)
    case_id = read(lab, f"import {path}")["case"]
    alone = lab(f"signals {case_id}")
    assert "errors/s" in alone.stdout
    assert not {"incident", "before"} & {*alone.stdout.split()}
    document = read(lab, f"signals {case_id}")
    assert (document["windows"], {each["window"] for each in document["buckets"]}) == ([], {None})
    assert "incident" not in lab(f"logs {case_id}").stdout
    lab(f"reference {case_id} --before {healthy_time('db-timeout')}")
    told = read(lab, f"signals {case_id}")["in_each_window"]
    assert [(each["window"], each["errors"] > 0) for each in told] == [
        ("before", False),
        ("incident", True),
    ]
    patterns = read(lab, f"logs {case_id}")
    assert any(each["incident"] and not each["before"] for each in patterns)


def test_without_a_reference_each_says_so_and_how(lab: Door, tmp_path: Path) -> None:
    """What compares is refused as a usage error, what shows says it beside what it shows."""
    path = exported("db-timeout", tmp_path / "all.jsonl", Window.CRIME)
    case_id = read(lab, f"import {path}")["case"]
    trace_id = read(lab, f"traces {case_id} --limit 1")[0]["trace_id"]
    how = f"lab reference {case_id} --before FROM..TO"
    for line in (f"twin {trace_id} --case {case_id}", f"contrast {case_id}", f"detect {case_id}"):
        with pytest.raises(NoReference) as refused:
            lab(line)
        assert refused.value.exit_code == 64
        assert how in str(refused.value)
    for line in (f"map {case_id}", f"signals {case_id}", f"logs {case_id}"):
        shown = lab(line)
        assert how in shown.stderr, line
        assert " new " not in shown.stdout
    edges = read(lab, f"map {case_id}")["edges"]
    assert {each["reference"] for each in edges} == {None}
    assert how in lab(f"reference {case_id}").stdout


def test_it_is_said_changed_and_taken_away(lab: Door, tmp_path: Path) -> None:
    """Of the newest where none is named; and no trace changes by it."""
    path = exported("db-timeout", tmp_path / "all.jsonl", Window.REFERENCE, Window.CRIME)
    calm = exported("db-timeout", tmp_path / "calm.jsonl", Window.REFERENCE)
    case_id = read(lab, f"import {path}")["case"]
    lab(f"export {case_id} --otlp --to {tmp_path / 'first.jsonl'}")
    first = read(lab, "reference --before 0s..2s")
    assert (first["case"], first["compared_with"]) == (case_id, None)
    other = read(lab, f"reference {case_id} --compare {calm}")
    assert (other["compared_with"], other["healthy_unix_s"]) == ("the file calm.jsonl", None)
    assert other["healthy_traces"] > first["healthy_traces"] > 0
    assert len(read(lab, f"traces {case_id} --limit 9999")) == len(recorded_ids())
    none = read(lab, f"reference {case_id} --none")
    assert (none["healthy_traces"], none["compared_with"]) == (0, None)
    calm_id = read(lab, f"import {calm} --name calm")["case"]
    assert read(lab, f"reference {case_id} --compare {calm_id}")["healthy_traces"] > 0
    lab(f"export {case_id} --otlp --to {tmp_path / 'last.jsonl'}")
    assert (tmp_path / "first.jsonl").read_bytes() == (tmp_path / "last.jsonl").read_bytes()


def recorded_ids() -> list[str]:
    evidence = recorded("db-timeout").evidence
    meant = {Window.REFERENCE, Window.CRIME}
    ids = (each.trace_id for each in evidence.requests if each.window in meant)
    return [each for each in ids if each in evidence.traces]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("--before soon", "got 'soon'"),
        ("--before 0s..1h", "all of them begin there"),
        ("--before 0s..1s --compare x", "expected one of --before, --compare"),
        ("--compare {same}", "found every trace of the case among them"),
    ],
)
def test_a_reference_that_cannot_be_meant_leaves_no_case(
    options: str, why: str, lab: Door, tmp_path: Path
) -> None:
    """Whatever is wrong with it, nothing is imported."""
    path = exported("db-timeout", tmp_path / "all.jsonl", Window.REFERENCE, Window.CRIME)
    with pytest.raises(UsageError, match=why):
        lab(f"import {path} {options.format(same=path)}")
    assert read(lab, "cases") == []


@pytest.mark.parametrize("path", ["nothing-here.jsonl", "{empty}"])
def test_a_file_to_compare_with_has_to_hold_traces(path: str, lab: Door, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").write_text("no trace\n")
    meant = path.format(empty=tmp_path / "empty.txt")
    bad = exported("db-timeout", tmp_path / "bad.jsonl", Window.CRIME)
    with pytest.raises(CaseError, match="expected"):
        lab(f"import {bad} --compare {meant}")
    assert read(lab, "cases") == []
    case_id = read(lab, f"import {bad}")["case"]
    with pytest.raises(CaseError, match="expected"):
        lab(f"reference {case_id} --compare {meant}")


def test_a_case_has_a_reference_of_its_own(lab: Door, tmp_path: Path) -> None:
    """So none is chosen for it, nor is it one of another's."""
    FolderArchive(tmp_path / "state" / "cases").seal(sample_case())
    case = tmp_path / "one.case.zip"
    lab(f"export db-timeout-1 --to {case}")
    with pytest.raises(UsageError, match="a reference of its own"):
        lab("reference db-timeout-1 --before 0s..1s")
    with pytest.raises(UsageError, match="once it is here"):
        lab(f"import {case} --before 0s..1s")
    imported_id = read(lab, f"import {EXAMPLES / 'jaeger-ui.json'}")["case"]
    with pytest.raises(UsageError, match="a reference of its own"):
        lab(f"reference {imported_id} --compare {case}")
    with pytest.raises(UsageError, match="a reference of its own"):
        lab(f"reference {imported_id} --compare db-timeout-1")


NEED_A_TRUTH: Final = (
    *("briefing {case}", "hint --case {case}", "hint 1 --case {case}", "exhibit --case {case}"),
    *("exhibit x --case {case}", "accuse {case} {trace} 0 --mechanism latency", "proof {case}"),
    *("accuse {case} --nobody", "debrief {case}", "debrief {case} --give-up", "journal {case}"),
)
READING: Final = (
    *("traces {case}", "traces {case} --json", "traces {case} --slowest --limit 3", "cases"),
    *("trace {trace} --case {case}", "trace {trace} --case {case} --attributes --wires --full"),
    *("trace {trace} --case {case} --json", "map {case}", "map {case} --json", "cases --json"),
    *("signals {case}", "signals {case} --json", "logs {case}", "logs {case} --lines --json"),
    *("logs {case} --json", "logs {trace} --case {case}", "reference {case}"),
    *("reference {case} --json", "mechanisms"),
)
COMPARING: Final = ("twin {trace} --case {case}", "contrast {case}", "contrast {case} --json")


@pytest.mark.parametrize("with_reference", [False, True])
def test_every_reading_command_answers_of_an_import(
    with_reference: bool, lab: Door, tmp_path: Path
) -> None:
    """And what needs a truth says in a sentence why there is none, and where to go."""
    calm = (healthy_trace(f"{n:032x}", START_S + n) for n in range(1, 11))
    hurt = fatal_trace("ab" * 16, START_S + 20)
    path = written(tmp_path / "few.jsonl", iter((*calm, hurt)))
    said = " --before 0s..15s" if with_reference else ""
    case_id = read(lab, f"import {path}{said}")["case"]
    for line in (*READING, *(COMPARING if with_reference else ())):
        done = lab(line.format(case=case_id, trace=hurt.trace_id))
        assert done.exit_code == 0, f"{line}: {done.output}"
        assert done.stdout.strip(), line
    for line in NEED_A_TRUTH:
        with pytest.raises(NothingToGrade) as refused:
            lab(line.format(case=case_id, trace=hurt.trace_id))
        assert refused.value.exit_code == 64, line
        assert "lab traces" in str(refused.value), line
