"""The commands that carry cases: what they say, what they write, and what they refuse."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lab import bootstrap
from lab.adapters.cases.archive import FolderArchive
from lab.adapters.otlp.traces import write_traces
from lab.adapters.tools import toolbox
from lab.cli import app
from lab.commands import common, desk, practice, run
from lab.commands.common import moment_s
from lab.errors import CaseError, DiskRefused, LabError, NothingToGrade, UsageError
from lab.investigation.running.recording import MOST_BYTES
from lab.settings import CHECKOUT, Settings
from tests.support.sample_case import fatal_trace, healthy_trace, sample_case

CASE_ID = "db-timeout-1"
RECORDING = CHECKOUT / "scenarios" / "db-timeout" / "recorded.case.zip"
Lab = Callable[..., Any]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """The command line with one case."""
    archive = FolderArchive(tmp_path / "cases")
    archive.working_folder(CASE_ID)
    archive.seal(sample_case(CASE_ID))

    def run(*words: str) -> Any:
        result = CliRunner().invoke(app, words, env={"LAB_STATE_DIR": str(tmp_path)})
        if isinstance(result.exception, LabError):
            raise result.exception
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result

    return run


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses at which a desk would be served."""
    found: list[str] = []
    for module in (desk, practice):
        monkeypatch.setattr(module, "show", lambda settings, path, browser: found.append(path))
    return found


def test_a_case_goes_out_and_comes_back(lab: Lab, tmp_path: Path) -> None:
    """By --json, for programs; the second time it is known."""
    path = tmp_path / "out.case.zip"
    out = json.loads(lab("export", CASE_ID, "--to", str(path), "--json").output)
    assert out == {"case": CASE_ID, "file": str(path), "bytes": path.stat().st_size}
    known = json.loads(lab("import", str(path), "--json").output)
    assert (known["case"], known["is_new"]) == (CASE_ID, False)
    new = json.loads(lab("import", str(path), "--again", "--json").output)
    assert (new["case"], new["is_new"]) == ("db-timeout-2", True)
    assert [each.name for each in tmp_path.iterdir() if each.suffix == ".part"] == []


def test_an_export_writes_over_nothing_unless_told(lab: Lab, tmp_path: Path) -> None:
    path = tmp_path / "out.case.zip"
    path.write_text("mine")
    with pytest.raises(UsageError, match="--force"):
        lab("export", "--to", str(path))
    assert path.read_text() == "mine"
    lab("export", "--to", str(path), "--force")
    assert path.read_bytes().startswith(b"PK")


def test_an_export_that_the_disk_refuses_is_said_so(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(DiskRefused, match="say --to another place"):
        lab("export", "--to", str(tmp_path / "nowhere" / "x.case.zip"))


def test_a_damaged_case_is_not_exported(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "cases" / CASE_ID / "traces.jsonl").write_text("{}\n")
    with pytest.raises(CaseError, match="SHA-256"):
        lab("export", "--to", str(tmp_path / "x.case.zip"))
    assert not (tmp_path / "x.case.zip").exists()


def test_a_case_file_is_opened_at_the_desk(lab: Lab, tmp_path: Path, shown: list[str]) -> None:
    """Imported on the way where it is not here already; a case by its id as ever."""
    path = tmp_path / "out.case.zip"
    lab("export", "--to", str(path))
    lab("open", str(path))
    lab("open", CASE_ID)
    assert shown == [f"/cases/{CASE_ID}"] * 2


def test_a_recorded_case_is_practised_on_and_taken_up_again(lab: Lab, shown: list[str]) -> None:
    """What was accused stays with it, until somebody asks to begin anew."""
    first = lab("practice", "half-a-page").output
    lab("practice", "half-a-page")
    lab("practice", "half-a-page", "--fresh")
    assert shown == ["/cases/half-a-page-1", "/cases/half-a-page-1", "/cases/half-a-page-2"]
    assert "The stack" not in first
    lab("practice", "half-a-page", "--no-desk")
    assert len(shown) == 3
    assert json.loads(lab("cases", "--json").output)[0]["scenario"] == "half-a-page"


def test_what_was_never_recorded_cannot_be_practised_on(lab: Lab) -> None:
    """With what may have been meant."""
    with pytest.raises(UsageError, match="got 'db-timeut': db-timeout can be practised on"):
        lab("practice", "db-timeut")


@pytest.mark.parametrize("there", [True, False])
def test_a_recording_is_offered_while_tools_are_built(
    monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    """Minutes of waiting are minutes of practice; who has the tools is told nothing."""
    said: list[str] = []
    monkeypatch.setattr(toolbox, "find", lambda tool, settings: object() if there else None)
    monkeypatch.setattr(common.notes, "print", lambda text, **_: said.append(text))
    known = bootstrap.scenarios(Settings())["db-timeout"]
    run._build_first(Settings(), known, is_told=True, is_for_people=False)
    run._build_first(
        Settings(), replace(known, id="never-recorded"), is_told=True, is_for_people=True
    )
    run._build_first(Settings(), known, is_told=False, is_for_people=False)
    assert len(said) == (0 if there else 2)
    assert there or "make practice NAME=db-timeout" in said[0]
    assert there or f"make practice LEVEL={known.difficulty}` " in said[1]


@pytest.mark.parametrize("level", [1, 2, 3, 4, 5])
def test_a_case_of_a_level_is_one_that_is_not_solved_and_keeps_its_name_to_itself(
    lab: Lab, level: int
) -> None:
    """By its number in ids and lists; opened twice, it may be another of the level."""
    said = lab("practice", "--level", str(level), "--no-desk").output
    assert "Case case-1 is open" in said
    listed = json.loads(lab("cases", "--json").output)[0]
    assert (listed["case"], listed["scenario"]) == ("case-1", None)
    assert listed["difficulty"] == level
    lab("debrief", "case-1", "--give-up")
    listed = json.loads(lab("cases", "--json").output)[0]
    assert listed["scenario"] in bootstrap.scenarios(Settings())
    lab("practice", "--level", str(level), "--no-desk")
    of_level = [case["title"] for case in json.loads(lab("cases", "--json").output)[:2]]
    assert len(set(of_level)) == 2


def test_level_0_is_the_worked_example(lab: Lab) -> None:
    """Its solution is told in the README, so no hint costs anything and there is nothing to win."""
    lab("practice", "--level", "0", "--no-desk")
    listed = json.loads(lab("cases", "--json").output)[0]
    assert (listed["difficulty"], listed["case"]) == (0, "case-1")
    assert {each["cost"] for each in json.loads(lab("hint", "--json").output)} == {0}


@pytest.mark.parametrize("command", ["practice", "run"])
@pytest.mark.parametrize("words", [(), ("db-timeout", "--level", "2")])
def test_a_case_is_asked_for_by_name_or_by_level(
    lab: Lab, command: str, words: tuple[str, ...]
) -> None:
    """Neither would be no case, and both could be two."""
    with pytest.raises(UsageError, match="expected a scenario"):
        lab(command, *words)


def test_a_strangers_traces_are_listed_and_shown_and_not_graded(lab: Lab, tmp_path: Path) -> None:
    """Everything that needs no truth works; everything else says that there is none."""
    good, bad = healthy_trace("ab" * 16), fatal_trace("cd" * 16)
    path = tmp_path / "traces.json"
    path.write_text(json.dumps(write_traces([good, bad])))
    told = json.loads(lab("import", "--otlp", str(path), "--json").output)
    assert (told["case"], told["is_new"], told["traces"], told["spans"]) == (
        "imported-1", True, 2, 12)  # fmt: skip
    assert (told["read"], told["duplicates"], told["skipped"]) == (12, 0, [])
    rows = json.loads(lab("traces", "imported-1", "--json").output)
    assert [row["trace_id"] for row in rows] == [good.trace_id, bad.trace_id]
    (worst,) = json.loads(lab("traces", "--slowest", "--limit", "1", "--json").stdout)
    assert (worst["trace_id"], worst["errors"], worst["whole"]) == (bad.trace_id, 5, True)
    (failed,) = json.loads(lab("traces", "--outcome", "error", "--json").output)
    assert failed == worst
    assert lab("trace", "abab", "--json").exit_code == 0
    for words in (("briefing",), ("hint",), ("proof", "--reveal"), ("debrief", "--reveal"),
                  ("accuse", "abab", "ab", "--mechanism", "timeout")):  # fmt: skip
        with pytest.raises(NothingToGrade, match="Nobody knows who did it"):
            lab(*words)
    for words in (("--window", "incident"), ("--tenant", "x"), ("--background",)):
        with pytest.raises(UsageError, match="traces that somebody brought, without requests"):
            lab("traces", *words)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ((), "expected one of FILE"),
        (("a.case.zip", "--otlp", "b"), "expected one of FILE"),
        ((str(RECORDING), "--name", "b"), "expected no --name"),
        ((str(RECORDING), "b"), "expected a case file alone"),
        (("nowhere.case.zip",), "expected a file, found none"),
        (("-", "a.json"), r"expected - \(standard input\) alone"),
        (("a.json", "--since", "5m"), "expected none of --since"),
        (("--jaeger", "http://127.0.0.1:9", "--query", "{ true }"), "knows no TraceQL"),
        (("--jaeger", "http://127.0.0.1:9"), "expected Jaeger to answer"),
        (("--otlp", "nowhere.json"), "expected a file, found none"),
        (("--tempo", "http://127.0.0.1:9", "--from", "yesterday"), "expected a moment"),
        (("--tempo", "http://127.0.0.1:9", "--from", "1m", "--to", "2m"), "--since before --to"),
        (("--tempo", "http://127.0.0.1:9"), "expected Tempo to answer"),
        (("--tempo", "http://127.0.0.1:9", "--header", "x"), "expected --header"),
    ],
)
def test_an_import_that_means_nothing_is_refused(
    lab: Lab, words: tuple[str, ...], complaint: str
) -> None:
    with pytest.raises(LabError, match=complaint):
        lab("import", *words)


def test_moments_are_read_as_people_type_them() -> None:
    assert moment_s("now", 1000.0) == 1000.0
    assert moment_s("15m", 1000.0) == 100.0
    assert moment_s("1.5h", 10_000.0) == 4600.0
    assert moment_s("2026-03-01T13:02:00Z", 0) == moment_s("2026-03-01T14:02:00+01:00", 0)
    for text in ("", "m", "yesterday", "99999999-01-01"):
        with pytest.raises(UsageError, match="expected a moment"):
            moment_s(text, 0)


def test_every_recording_is_small_enough_for_a_checkout() -> None:
    """500 kB each and 12 MB together, so that thirty cases cost less than one picture book."""
    sizes = {path.parent.name: path.stat().st_size for path in
             (CHECKOUT / "scenarios").glob("*/recorded.case.zip")}  # fmt: skip
    assert sizes
    assert {name for name, size in sizes.items() if size > MOST_BYTES} == set()
    assert sum(sizes.values()) <= 12_000_000


@pytest.mark.parametrize("force", [(), ("--force",)], ids=["", "--force"])
@pytest.mark.parametrize("target", ["", ".", "/", "folder", "pipe"])
def test_a_case_is_written_over_no_folder_and_no_device(
    lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, force: tuple[str, ...]
) -> None:
    """Whoever may write there would have a file in its place, and the device no more."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="expected --to to name a file"):
        lab("export", "--to", target, *force)
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)


def test_a_path_is_shown_as_it_is(lab: Lab, tmp_path: Path) -> None:
    """None of it is a style or an emoji."""
    target = tmp_path / "[bold]:smile:[x].zip"
    assert "[bold]:smile:[x].zip" in lab("export", "--to", str(target)).output
