"""A recorded case: small, the same bytes every time, read back whole, refused where it is not."""

from __future__ import annotations

import json
import sysconfig
import zipfile
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from lab.adapters import recording_file
from lab.adapters.recording_file import MEMBERS, pack_case, read_recording, write_recording
from lab.domain.case import Case
from lab.domain.evidence import Sample
from lab.errors import CaseError, RecordingTooLarge
from lab.investigation.recording import TRACES_KEPT, recorded, thinned
from lab.settings import CHECKOUT
from tests.sample_case import sample_case
from tests.unit.evidence import DB_TIMEOUT, db_timeout


def proving_case(support_code: str | None = None) -> Case:
    """The sample case with the evidence of a run that proves it."""
    return replace(
        sample_case(),
        scenario=DB_TIMEOUT,
        evidence=db_timeout().evidence(),
        support_code=support_code,
    )


def log_line(trace_id: str | None, body: str = "hello") -> str:
    return json.dumps({"trace_id": trace_id, "body": body})


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    path = tmp_path / "recorded.case.zip"
    write_recording(path, pack_case(sample_case(), ()))
    return path


def rewritten(path: Path, changes: dict[str, bytes | None]) -> None:
    """The zip with other contents of some members; None leaves one out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | changes
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)


def test_a_recording_reads_back_as_the_case_it_was(zipped: Path) -> None:
    """Evidence, proof, journal and scenario; no part file is left beside it."""
    case, read = sample_case(), read_recording(zipped)
    assert read.evidence.samples == case.evidence.samples
    assert read.evidence.traces == case.evidence.traces
    assert read.evidence.requests == case.evidence.requests
    assert (read.proof, read.journal, read.scenario) == (case.proof, case.journal, case.scenario)
    assert [each.name for each in zipped.parent.iterdir()] == [zipped.name]


def test_the_same_case_gives_the_same_bytes() -> None:
    """So that recording it again changes nothing in the history."""
    assert pack_case(sample_case(), ()) == pack_case(sample_case(), ())


def test_only_log_lines_of_its_traces_or_of_none_come_along(tmp_path: Path) -> None:
    """Those of a trace that was left out tell of nothing one can look up."""
    case = sample_case()
    known = next(iter(case.evidence.traces))
    path = tmp_path / "a.zip"
    write_recording(path, pack_case(case, map(log_line, (known, None, "99" * 16))))
    with zipfile.ZipFile(path) as archive:
        lines = archive.read("logs.jsonl").decode().splitlines()
    assert [json.loads(line)["trace_id"] for line in lines] == [known, None]


def test_a_recording_names_no_folder_of_the_machine(tmp_path: Path) -> None:
    """Stack traces begin at the checkout, or at Python's own folder."""
    stdlib = sysconfig.get_path("stdlib")
    said = f"File {CHECKOUT}/lab/shop/app.py, then {stdlib}/asyncio/timeouts.py"
    path = tmp_path / "a.zip"
    write_recording(path, pack_case(sample_case(), [log_line(None, said)]))
    with zipfile.ZipFile(path) as archive:
        line = archive.read("logs.jsonl").decode()
    assert json.loads(line)["body"] == "File lab/shop/app.py, then python/asyncio/timeouts.py"
    assert read_recording(path).case_id == "db-timeout-1"


@pytest.mark.parametrize("name", MEMBERS)
def test_a_recording_without_a_member_is_refused(zipped: Path, name: str) -> None:
    """Each is needed; the message names the file and the missing one."""
    rewritten(zipped, {name: None})
    with pytest.raises(CaseError, match=f"{zipped.name}.*{name.rpartition('/')[2]}"):
        read_recording(zipped)


def test_a_changed_recording_is_refused(zipped: Path) -> None:
    """The sealed sums hold inside the zip, too."""
    rewritten(zipped, {"traces.jsonl": b"{}\n"})
    with pytest.raises(CaseError, match=r"traces\.jsonl"):
        read_recording(zipped)


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04"])
def test_what_is_no_zip_is_refused(tmp_path: Path, content: bytes) -> None:
    """With the path and what was expected there."""
    path = tmp_path / "recorded.case.zip"
    path.write_bytes(content)
    with pytest.raises(CaseError, match="expected a recording"):
        read_recording(path)


def test_a_missing_recording_says_what_writes_one(tmp_path: Path) -> None:
    """The way out is in the message."""
    with pytest.raises(CaseError, match="lab record"):
        read_recording(tmp_path / "recorded.case.zip")


def test_other_members_are_never_touched(zipped: Path, tmp_path: Path) -> None:
    """A path that leads out of the archive is as good as not there."""
    rewritten(zipped, {"../../escaped": b"x"})
    assert read_recording(zipped).case_id == "db-timeout-1"
    assert not list(tmp_path.parent.glob("**/escaped"))


def test_a_recording_that_unpacks_to_too_much_is_refused(
    zipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A zip may claim anything; reading stops at the limit."""
    monkeypatch.setattr(recording_file, "LARGEST_CONTENT_BYTES", 1000)
    with pytest.raises(CaseError, match="more than"):
        read_recording(zipped)


def test_the_most_traces_that_fit_are_kept() -> None:
    """Each size is tried in turn, from all to few."""
    sizes: list[int] = []

    def pack(case: Case) -> bytes:
        sizes.append(len(case.evidence.traces))
        return bytes(sizes[-1])

    case = proving_case()
    assert len(recorded(case, pack, at_most=60)) == 60, "20 affected, 20 before, 20 after"
    assert sizes == [60]


def test_a_case_that_does_not_fit_is_refused_with_its_sizes() -> None:
    """Nothing is written, and the message says what was tried."""
    with pytest.raises(RecordingTooLarge, match=r"100 traces a sample: 600 KiB.*25 traces"):
        recorded(proving_case(), lambda case: bytes(600 * 1024))


def test_a_recording_that_would_prove_nothing_is_refused() -> None:
    """Small enough is not enough: tests rely on what it shows."""
    case = replace(proving_case(), evidence=db_timeout().without(Sample.REFERENCE).evidence())
    with pytest.raises(RecordingTooLarge, match="not proven"):
        recorded(case, lambda case: b"")


@pytest.mark.parametrize("most", TRACES_KEPT)
def test_thinning_drops_whole_traces_and_no_request(most: int) -> None:
    """The support code's trace and the onset stay; samples name what is there and no more."""
    case = sample_case()
    ids = tuple(f"{number:032x}" for number in range(200))
    last = ids[-1]
    samples = {Sample.AFFECTED: ids, Sample.REFERENCE: ids[:30]}
    traces = dict.fromkeys(ids, next(iter(case.evidence.traces.values())))
    evidence = replace(case.evidence, samples=samples, traces=traces)
    thin = thinned(replace(case, evidence=evidence, support_code=last), most).evidence
    assert thin.requests == case.evidence.requests
    onset = ids[: min(20, most)]
    assert thin.samples[Sample.AFFECTED][: len(onset)] == onset
    assert last in thin.samples[Sample.AFFECTED]
    assert len(thin.samples[Sample.AFFECTED]) <= most + 1
    assert len(thin.samples[Sample.REFERENCE]) == min(30, most)
    assert thin.traces.keys() == set(chain.from_iterable(thin.samples.values()))
