"""Who belongs to whom is found once in a case; after that a command reads the traces it shows."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.adapters.cases import case_folder, traces_on_disk
from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.bring import bring_file
from lab.adapters.cases.case_folder import sealed_files, write_checksums
from lab.adapters.cases.noted_partners import PARTNERS, with_partners
from lab.adapters.cases.noted_traces import noted_trace
from lab.adapters.cases.own_note import code_of_notes, write_note
from lab.domain.evidence import Evidence
from lab.domain.trace import Trace
from lab.settings import CHECKOUT
from tests.support.sample_case import sample_case


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A recorded case with joins, as somebody brought it; nothing is noted of it yet."""
    archive = FolderArchive(tmp_path / "cases")
    file = CHECKOUT / "scenarios" / "locked-drawer" / "recorded.case.zip"
    found = archive.folder(bring_file(archive, file).case_id)
    for note in found.glob(".*"):
        note.unlink()
    return found


def stories(evidence: Evidence) -> dict[str, Trace | None]:
    """Each trace with what belongs to it."""
    return {each: evidence.trace(each) for each in evidence.traces}


def test_the_same_belong_together_by_the_note(folder: Path) -> None:
    found = case_folder.read_case(folder).evidence
    again = case_folder.read_case(folder).evidence
    assert (folder / PARTNERS).is_file()
    assert stories(again) == stories(found)
    assert any(story and story.joined for story in stories(again).values())
    assert [found.joined_to(each) for each in found.traces] == [
        again.joined_to(each) for each in again.traces
    ]


def test_by_the_note_a_trace_is_read_with_its_own_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_folder.read_case(folder)
    read: list[memoryview] = []

    def watched(told: memoryview) -> Trace:
        read.append(told)
        return noted_trace(told)

    monkeypatch.setattr(traces_on_disk, "noted_trace", watched)
    evidence = case_folder.read_case(folder, at_once=False).evidence
    owner, others = next(iter(evidence.partners.items()))
    story = evidence.trace(owner)
    assert story is not None
    assert [each.trace_id for each in story.joined] == list(others)
    assert len(read) == 1 + len(others) < len(evidence.traces)


@pytest.mark.parametrize("told", ["", "[]", '{"a": 1}', '{"a": null}', "{", "[" * 100_000])
def test_what_the_lab_did_not_note_is_found_anew(folder: Path, told: str) -> None:
    found = case_folder.read_case(folder).evidence
    made_of = {"sealed": dict(sealed_files(folder)), "code": code_of_notes()}
    write_note(folder / PARTNERS, told, made_of)
    assert case_folder.read_case(folder).evidence.partners == found.partners


def test_a_case_that_was_sealed_anew_has_other_partners(folder: Path) -> None:
    found = case_folder.read_case(folder).evidence
    path = folder / "traces.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:60]))
    write_checksums(folder)
    assert set(case_folder.read_case(folder).evidence.partners) < set(found.partners)


def test_nothing_is_noted_where_nothing_is_joined(tmp_path: Path) -> None:
    evidence = sample_case().evidence
    assert with_partners(evidence, tmp_path, {}) is evidence
    assert list(tmp_path.iterdir()) == []


def test_partners_are_found_where_no_note_can_be_written(folder: Path) -> None:
    (folder / PARTNERS).mkdir()
    assert case_folder.read_case(folder).evidence.partners
