"""A recorded case: small, the same bytes every time, read back whole, refused where it is not."""

from __future__ import annotations

import hashlib
import json
import sysconfig
import zipfile
from dataclasses import replace
from itertools import chain
from pathlib import Path

import pytest

from lab.adapters.cases.recording_file import pack_case, read_recording, write_recording
from lab.domain.case import Case
from lab.domain.evidence import Sample
from lab.domain.journal import Step
from lab.domain.load import Window
from lab.domain.observation import Observation
from lab.domain.proof import Finding, Outcome, Proof
from lab.domain.record import Record, RecordQuery, Source
from lab.errors import CaseError, RecordingTooLarge, UsageError
from lab.investigation.proof.prove import prove
from lab.investigation.running.recording import TRACES_KEPT, of_todays, recorded, reproven, thinned
from lab.settings import CHECKOUT
from tests.support.evidence import DB_TIMEOUT, db_timeout
from tests.support.sample_case import request, sample_case

MEMBERS = (
    "checksums",
    "journal.jsonl",
    "logs.jsonl",
    "manifest.json",
    "proof.json",
    "requests.jsonl",
    "scenario/briefing.md",
    "scenario/debrief.md",
    "scenario/scenario.yaml",
    "traces.jsonl",
)


def proving_case(support_code: str | None = None) -> Case:
    """The sample case with the evidence of a run that proves it."""
    evidence = db_timeout().evidence()
    return replace(
        sample_case(),
        scenario=DB_TIMEOUT,
        evidence=evidence,
        proof=prove(DB_TIMEOUT, evidence),
        support_code=support_code,
    )


def log_line(trace_id: str | None, body: str = "hello") -> str:
    return json.dumps({"time_unix_s": 1.0, "trace_id": trace_id, "body": body})


def with_logs(case: Case, *lines: str) -> Case:
    return replace(case, evidence=replace(case.evidence, logs=lines))


@pytest.fixture
def zipped(tmp_path: Path) -> Path:
    path = tmp_path / "recorded.case.zip"
    write_recording(path, pack_case(sample_case()))
    return path


def rewritten(path: Path, changes: dict[str, bytes | None]) -> None:
    """The zip with other contents of some members; None leaves one out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | changes
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)


def test_what_was_kept_beside_traces_is_in_the_recording_with_its_source(tmp_path: Path) -> None:
    """Also of a name under which nothing was found: that nothing is there is evidence too."""
    queries = {
        "charges": RecordQuery(Source.LOGS, "charged ", "bank"),
        "orphans": RecordQuery(Source.TRACES, "{ }"),
    }
    kept = {
        "charges": (Record(12.5, "a" * 32, attributes={"body": "charged 5", "n": 1}),),
        "orphans": (),
    }
    case = sample_case()
    case = replace(
        case,
        scenario=replace(case.scenario, observation=Observation(records=queries)),
        evidence=replace(case.evidence, records=kept),
    )
    path = tmp_path / "recorded.case.zip"
    write_recording(path, pack_case(case))
    assert read_recording(path).evidence.records == kept
    with zipfile.ZipFile(path) as archive:
        lines = archive.read("records.jsonl").decode().splitlines()
    assert [json.loads(line)["source"] for line in lines] == ["logs", "traces"]


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
    assert pack_case(sample_case()) == pack_case(sample_case())


def test_only_log_lines_of_its_traces_or_of_none_come_along(tmp_path: Path) -> None:
    """Those of a trace that was left out tell of nothing one can look up."""
    case = sample_case()
    known = next(iter(case.evidence.traces))
    path = tmp_path / "a.zip"
    logged = with_logs(case, *map(log_line, (known, None, "99" * 16)))
    write_recording(path, pack_case(thinned(logged, TRACES_KEPT[0])))
    with zipfile.ZipFile(path) as archive:
        lines = archive.read("logs.jsonl").decode().splitlines()
    assert [json.loads(line)["trace_id"] for line in lines] == [known, None]


def test_a_recording_names_no_folder_of_the_machine(tmp_path: Path) -> None:
    """Stack traces begin at the checkout, or at Python's own folder."""
    stdlib = sysconfig.get_path("stdlib")
    said = f"File {CHECKOUT}/lab/shop/app.py, then {stdlib}/asyncio/timeouts.py"
    path = tmp_path / "a.zip"
    write_recording(path, pack_case(with_logs(sample_case(), log_line(None, said))))
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
    with pytest.raises(CaseError, match="expected a case file as `lab export` writes it"):
        read_recording(path)


def test_a_missing_recording_says_what_writes_one(tmp_path: Path) -> None:
    """The way out is in the message."""
    with pytest.raises(CaseError, match="lab record"):
        read_recording(tmp_path / "recorded.case.zip")


def test_a_recording_of_a_lab_before_version_1_is_read(zipped: Path) -> None:
    """Its manifest had a number as format, and neither version nor kind."""
    with zipfile.ZipFile(zipped) as archive:
        document = json.loads(archive.read("manifest.json"))
        sums = archive.read("checksums").decode()
    for name in ("version", "kind", "topology", "sampled_from"):
        del document[name]
    draft = json.dumps(document | {"format": 1}).encode()
    lines = [line for line in sums.splitlines() if not line.endswith("manifest.json")]
    lines.append(f"{hashlib.sha256(draft).hexdigest()}  manifest.json")
    rewritten(zipped, {"manifest.json": draft, "checksums": ("\n".join(lines) + "\n").encode()})
    case = sample_case()
    assert read_recording(zipped).evidence.traces == case.evidence.traces
    assert read_recording(zipped).proof == case.proof


def test_a_recording_is_told_with_what_the_run_had() -> None:
    """Whoever practises on a sample is told of how many; a whole case says nothing."""
    case = proving_case()
    assert thinned(case, 100).sampled_from is None
    thin = thinned(case, 15)
    assert thin.sampled_from is not None
    assert thin.sampled_from[Sample.AFFECTED] == 20
    assert thinned(thin, 10).sampled_from == thin.sampled_from


def test_a_proof_is_made_again_from_evidence_and_what_only_the_run_saw() -> None:
    """Numbers of traces change with the sample; lost spans stay as they were counted."""
    of_the_run = Finding(
        Step.EVIDENCE, "spans received", "= 9 ended", "9 (+0)", Outcome.HOLDS, integrity=True
    )
    stale = Finding(Step.CRIME, "a check of last year", "1", "1", Outcome.HOLDS)
    case = proving_case()
    again = reproven(replace(case, proof=Proof((stale, of_the_run))))
    assert again.proof == prove(case.scenario, case.evidence, (of_the_run,))
    assert reproven(again) == again


def test_evidence_of_another_run_proves_no_scenario_of_today() -> None:
    """Texts and bounds may change after a recording, the harm may not."""
    case = proving_case()
    reworded = replace(case.scenario, title="Another title")
    assert of_todays(reworded, case).scenario is reworded
    with pytest.raises(UsageError, match=r"found other faults.*runs it anew"):
        of_todays(replace(case.scenario, faults=()), case)


def test_a_refreshed_recording_leads_to_a_trace_that_shows_the_truth() -> None:
    """Whatever the support code of the run led to: the truth may have been put otherwise since."""
    case = proving_case(support_code="99" * 16)
    fresh = of_todays(replace(case.scenario, title="Another title"), case)
    assert fresh.support_code is not None
    trace = fresh.evidence.trace(fresh.support_code)
    assert trace is not None
    assert fresh.scenario.truth.matches(trace, fresh.evidence.reference_stats)


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
    with pytest.raises(
        RecordingTooLarge, match=r"most 500 kB, found 100 traces a sample: 600 kB.*25 traces"
    ):
        recorded(proving_case(), lambda case: bytes(600_000))


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
    onset = ids[: min(20, most * 2 // 3)]
    assert thin.samples[Sample.AFFECTED][: len(onset)] == onset
    assert last in thin.samples[Sample.AFFECTED]
    assert len(thin.samples[Sample.AFFECTED]) <= most + 1
    assert len(thin.samples[Sample.REFERENCE]) == min(30, most)
    assert thin.traces.keys() == set(chain.from_iterable(thin.samples.values()))


def test_what_is_left_of_few_traces_still_shows_every_kind_of_request() -> None:
    """The others are chosen anew of what the case has, and the last affected stays."""
    case = sample_case()
    requests = [
        request(f"{n:032x}", Window.CRIME, n / 10, latency_ms=ms, route=route)
        for n, (ms, route) in enumerate(
            [(1500.0, "POST /checkout")] * 100
            + [(9.0, "POST /checkout")] * 5
            + [(5.0, "GET /products")] * 40
        )
    ]
    ids = tuple(each.trace_id for each in requests)
    samples = {Sample.AFFECTED: ids[:100], Sample.OTHERS: ids[100:]}
    traces = dict.fromkeys(ids, next(iter(case.evidence.traces.values())))
    evidence = replace(case.evidence, requests=tuple(requests), samples=samples, traces=traces)
    thin = thinned(replace(case, evidence=evidence), 15).evidence.samples
    assert thin[Sample.AFFECTED][-1] == ids[99]
    assert {"POST /checkout", "GET /products"} == {
        evidence.request_of[each].route for each in thin[Sample.OTHERS]
    }
    assert len(thin[Sample.OTHERS]) <= 15
