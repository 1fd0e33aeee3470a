"""Case folders that were torn, changed or made by somebody else: one clear error, no change."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from lab.adapters.cases import case_folder
from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.own_note import sha256_of
from lab.cli import app
from lab.errors import CaseError, LabError
from lab.settings import CHECKOUT
from tests.support.fuzz import fuzz
from tests.support.sample_case import sample_case

FEW_SECONDS = 30.0
SEALED = ("manifest.json", "requests.jsonl", "traces.jsonl", "journal.jsonl", "proof.json")
CASE_ID = "db-timeout-1"
SUPPORT_CODE = str(sample_case().support_code)
CULPRIT = sample_case().evidence.traces[SUPPORT_CODE].spans[-1].span_id
READERS = (
    ("traces",),
    ("trace", SUPPORT_CODE[:8]),
    ("proof", "--reveal", "--explain"),
    ("journal", "--reveal"),
    ("accuse", SUPPORT_CODE, CULPRIT, "--mechanism", "timeout"),
)
"""Every command that reads a case in its own way."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state folder with one case."""
    archive = FolderArchive(tmp_path / "cases")
    archive.working_folder(CASE_ID)
    archive.seal(sample_case(CASE_ID))
    return tmp_path


def case_in(state: Path) -> Path:
    return state / "cases" / CASE_ID


def contents(folder: Path) -> dict[str, bytes]:
    """Every regular file below ``folder``, but for what the lab notes for itself."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {
        str(path): path.read_bytes() for path in files if path.name not in case_folder.OWN_NOTES
    }


def reseal(folder: Path) -> None:
    """Bring the checksums up to date: the change was made by a person who knows of them."""
    sums = folder / "checksums"
    names = [line.split("  ")[1] for line in sums.read_text().splitlines()]
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in names]
    sums.write_text("".join(lines))


def told(state: Path, *words: str) -> str:
    """What ``lab`` answers; an error of the lab's own or an answer, never anything else."""
    began = time.monotonic()
    result = CliRunner().invoke(app, words, env={"LAB_STATE_DIR": str(state)})
    assert time.monotonic() - began < FEW_SECONDS
    if isinstance(result.exception, LabError):
        return str(result.exception)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert "\x1b" not in result.output
    return result.output


@pytest.mark.parametrize("words", READERS, ids=lambda words: words[0])
def test_a_whole_case_is_read_by_every_command(state: Path, words: tuple[str, ...]) -> None:
    """The twin of all damage below: nothing is wrong, and nothing is said to be."""
    assert re.search(
        {
            "traces": "20 of 23",
            "trace": "6 spans, none missing",
            "proof": "checkout errors",
            "journal": "lease taken",
            "accuse": "SOLVED",
        }[words[0]],
        told(state, *words),
    )


@pytest.mark.parametrize("name", [*SEALED, "checksums", "scenario/scenario.yaml"])
@pytest.mark.parametrize("words", READERS, ids=lambda words: words[0])
def test_a_damaged_case_is_a_sentence_and_stays_as_it_is(
    state: Path, name: str, words: tuple[str, ...]
) -> None:
    """The file is named, whatever was asked; nothing is mended, graded or written down."""
    path = case_in(state) / name
    path.write_bytes(path.read_bytes()[:-10])
    before = contents(state)

    said = told(state, words[0], *words[1:])

    assert name in said or "expected a case" in said
    assert "Traceback" not in said
    assert contents(state) == before


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_dangling_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.parametrize("become", [a_folder, a_pipe, a_dangling_link])
@pytest.mark.parametrize("name", [*SEALED, "checksums"])
def test_what_is_no_file_is_never_waited_for(
    state: Path, name: str, become: Callable[[Path], None]
) -> None:
    """A pipe in the place of a file must not hang whoever lists or reads cases."""
    become(case_in(state) / name)
    with pytest.raises(CaseError, match=f"{name}.*damaged"):
        FolderArchive(state / "cases").load(CASE_ID)
    told(state, "cases")


@pytest.mark.parametrize("become", [a_folder, a_pipe])
def test_accusations_that_are_no_file_are_none(state: Path, become: Callable[[Path], None]) -> None:
    """The one file that changes may be missing, so what is none of its kind counts as missing."""
    path = case_in(state) / "accusations.jsonl"
    path.touch()
    become(path)
    assert "db-timeout-1" in told(state, "cases", "--json")


@pytest.mark.parametrize(
    "line",
    ["[" * 100_000, "9" * 5000, "null", "3", '{"verdict": {}}', '{"verdict": "solved"', "\udcff"],
)
def test_an_accusation_that_is_none_hides_no_case(state: Path, line: str) -> None:
    """Lines that nobody judged count for nothing."""
    path = case_in(state) / "accusations.jsonl"
    path.write_bytes(line.encode(errors="surrogateescape") + b"\n")
    [listed] = json.loads(told(state, "cases", "--json"))
    assert listed["case"] == CASE_ID
    assert not listed["solved"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("difficulty", 10**9),
        ("difficulty", -1),
        ("opened_unix_s", 1e300),
        ("opened_unix_s", float("nan")),
        ("opened_unix_s", -1e12),
        ("case_id", 3),
        ("format", [[]]),
        ("samples", {"affected": 3}),
        ("windows", {"crime": {"start_s": "now"}}),
    ],
)
def test_a_manifest_that_means_nothing_is_refused_and_hides_no_other_case(
    state: Path, field: str, value: Any
) -> None:
    """Numbers that no table can hold are damage too, also in a list of all cases."""
    archive = FolderArchive(state / "cases")
    archive.working_folder("db-timeout-2")
    archive.seal(sample_case("db-timeout-2"))
    path = case_in(state) / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {field: value}))

    assert "db-timeout-2" in told(state, "cases")
    with pytest.raises(CaseError, match=rf"manifest\.json: expected {field}"):
        archive.load(CASE_ID)


# --- changed together with its checksum --------------------------------------------------

junk: st.SearchStrategy[Any] = st.one_of(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    st.sampled_from([[], {}, 10**400, 1e300, -1, "a" * 3000, "\x1b[2J", [[]], {"a": None}]),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of every value inside ``value``."""
    if isinstance(value, dict):
        inner = list(value.items())
    else:
        inner = list(enumerate(value)) if isinstance(value, list) else []
    found = []
    for key, each in inner:
        found += [(*path, key), *places(each, (*path, key))]
    return found


@settings(parent=fuzz(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(SEALED), data=st.data())
def test_what_somebody_rewrote_is_read_as_a_case_or_refused(
    state: Path, name: str, data: st.DataObject
) -> None:
    """Any field of any file, with a checksum that fits: every command answers or says why not."""
    path = case_in(state) / name
    as_sealed = contents(case_in(state))
    lines = path.read_text().splitlines() if name.endswith("l") else [path.read_text()]
    number = data.draw(st.integers(0, len(lines) - 1), "line")
    document = json.loads(lines[number])
    *where, last = data.draw(st.sampled_from(places(document)), "place")
    owner = document
    for part in where:
        owner = owner[part]
    owner[last] = data.draw(junk, "junk")
    lines[number] = json.dumps(document)
    path.write_text("".join(f"{line}\n" for line in lines))
    reseal(case_in(state))
    before = contents(state)
    try:
        for words in (("cases",), *READERS[:-1]):
            assert "Traceback" not in told(state, *words)
            assert contents(state) == before
        assert "Traceback" not in told(state, *READERS[-1])
    finally:
        (case_in(state) / "accusations.jsonl").unlink(missing_ok=True)
        for each, content in as_sealed.items():
            Path(each).write_bytes(content)


@pytest.mark.parametrize(
    "words", [("cases",), ("journal", CASE_ID), ("proof", CASE_ID, "--reveal")]
)
def test_the_command_line_ends_with_a_sentence_and_64(state: Path, words: tuple[str, ...]) -> None:
    """Through the real entry: no traceback, no bug report, no hang; a list still lists."""
    a_pipe(case_in(state) / "proof.json")
    done = subprocess.run(
        [sys.executable, "-m", "lab", *words],
        env={"PATH": "/usr/bin:/bin", "LAB_STATE_DIR": str(state)},
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        check=False,
        timeout=120,
    )
    assert "Traceback" not in done.stderr
    assert not (state / "log").exists()
    if words == ("cases",):
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert done.returncode == 64
        assert done.stderr.startswith("lab: ")
        assert "proof.json" in done.stderr
