"""What somebody brings becomes a case: whole, or not at all."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import anyio
import pytest

from lab.adapters.bounds import LONGEST_STRING_BYTES
from lab.adapters.cases import telemetry_case
from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.bring import bring_file, bring_otlp, bring_traces, without_secrets
from lab.adapters.cases.zip_file import pack_folder
from lab.adapters.memory.clock import FakeClock
from lab.adapters.memory.trace_store import MemoryTraceStore
from lab.adapters.otlp import file as otlp_file
from lab.adapters.otlp.traces import trace_to_otlp, write_traces
from lab.adapters.own_folders import MARK
from lab.domain.case import Telemetry
from lab.domain.trace import Trace
from lab.errors import CaseError, NothingToGrade, TraceStoreError
from lab.investigation.running.collect import fetch, trace_ids
from tests.support.sample_case import broken_trace, fatal_trace, healthy_trace, sample_case

TRACES = tuple(
    make(f"{number:02x}" * 16)
    for number, make in enumerate((healthy_trace, fatal_trace, broken_trace), start=1)
)


def nobody(what: str, count: int) -> None:
    """Nobody watches."""


@pytest.fixture
def archive(tmp_path: Path) -> FolderArchive:
    return FolderArchive(tmp_path / "cases", clock=FakeClock())


@pytest.fixture
def case_file(tmp_path: Path) -> Path:
    """A case made elsewhere, as a file."""
    elsewhere = FolderArchive(tmp_path / "elsewhere", clock=FakeClock())
    elsewhere.working_folder("db-timeout-1")
    path = tmp_path / "travelled.case.zip"
    with path.open("wb") as file:
        pack_folder(elsewhere.seal(sample_case()), file)
    return path


def left_in(tmp_path: Path) -> list[str]:
    folder = tmp_path / "cases"
    there = [path.name for path in folder.iterdir()] if folder.exists() else []
    return [name for name in there if name != MARK]


# --- case files --------------------------------------------------------------------------


def test_a_case_file_becomes_a_case_of_the_next_free_number(
    archive: FolderArchive, case_file: Path, tmp_path: Path
) -> None:
    """It is read like any other, as the newest, and nothing but it is left."""
    archive.working_folder("db-timeout-1")
    archive.seal(sample_case(opened_unix_s=1.0))
    brought = bring_file(archive, case_file)
    assert (brought.case_id, brought.is_new) == ("db-timeout-2", True)
    assert (brought.traces, brought.spans) == (23, 22 * 6 + 5)
    assert archive.load("db-timeout-2").evidence == sample_case().evidence
    assert archive.load(None).case_id == "db-timeout-2"
    assert sorted(left_in(tmp_path)) == ["db-timeout-1", "db-timeout-2"]


def test_a_case_file_that_is_here_already_is_not_taken_twice(
    archive: FolderArchive, case_file: Path
) -> None:
    """What was found out in it stays with it; who asks for it anew gets it anew."""
    first = bring_file(archive, case_file).case_id
    archive.record_verdict(first, {"hint": 1})
    again = bring_file(archive, case_file)
    assert (again.case_id, again.is_new) == (first, False)
    anew = bring_file(archive, case_file, again=True)
    assert (anew.case_id, anew.is_new) == ("db-timeout-2", True)


def test_a_case_file_that_is_refused_leaves_nothing(
    archive: FolderArchive, case_file: Path, tmp_path: Path
) -> None:
    case_file.write_bytes(case_file.read_bytes()[:-40])
    with pytest.raises(CaseError, match="nothing was taken from it"):
        bring_file(archive, case_file)
    assert left_in(tmp_path) == []


def test_what_an_import_that_was_killed_left_goes_with_a_later_one(
    archive: FolderArchive, case_file: Path, tmp_path: Path
) -> None:
    """An hour later, for one that is younger may be at work."""
    import os

    for name, age_s in ((".import-old", 4000), (".import-young", 10)):
        folder = tmp_path / "cases" / name
        folder.mkdir(parents=True)
        at_s = folder.stat().st_mtime - age_s
        os.utime(folder, (at_s, at_s))
    bring_file(archive, case_file)
    assert sorted(left_in(tmp_path)) == [".import-young", "db-timeout-1"]


def test_a_telemetry_case_travels_too(archive: FolderArchive, tmp_path: Path) -> None:
    """It is exported and imported like any other, and stays without a truth."""
    otlp = written(tmp_path, trace_to_otlp(TRACES[0]))
    first = bring_otlp(archive, otlp, "imported", nobody).case_id
    path = tmp_path / "again.case.zip"
    with path.open("wb") as file:
        pack_folder(archive.folder(first), file)
    shutil.rmtree(archive.folder(first))
    brought = bring_file(archive, path)
    assert isinstance(archive.open(brought.case_id), Telemetry)


# --- OTLP --------------------------------------------------------------------------------


def written(tmp_path: Path, *documents: object) -> Path:
    """The documents, one a line."""
    path = tmp_path / "traces.json"
    path.write_text("".join(json.dumps(each) + "\n" for each in documents))
    return path


def torn(traces: Iterable[Trace]) -> list[object]:
    """A document for each span, the children first: as late batches of many services come."""
    spans = [span for trace in traces for span in trace]
    return [write_traces([Trace(span.trace_id, (span,))]) for span in reversed(spans)]


def test_spans_in_any_order_are_sorted_into_their_traces(
    archive: FolderArchive, tmp_path: Path
) -> None:
    """A line a batch, as the Collector writes them, of three traces all mixed."""
    brought = bring_otlp(archive, written(tmp_path, *torn(TRACES)), "outage", nobody)
    case = archive.open(brought.case_id)
    assert isinstance(case, Telemetry)
    assert brought.case_id == "outage-1"
    assert case.evidence.traces == {trace.trace_id: trace for trace in TRACES}
    assert case.source == "the OTLP file traces.json"
    assert (tmp_path / "cases" / "outage-1" / "manifest.json").exists()
    assert not list((tmp_path / "cases").glob("**/.sorting*"))


@pytest.mark.parametrize("shape", ["one", "pretty", "tempo", "batches", "gzip"])
def test_a_document_is_read_in_every_shape_one_meets(
    archive: FolderArchive, tmp_path: Path, shape: str
) -> None:
    document = write_traces(TRACES)
    path = written(tmp_path, document)
    if shape == "pretty":
        path.write_text(json.dumps(document, indent=2))
    elif shape == "tempo":
        path = written(tmp_path, {"trace": document})
    elif shape == "batches":
        path = written(tmp_path, {"batches": document["resourceSpans"]})
    elif shape == "gzip":
        path.write_bytes(gzip.compress(path.read_bytes()))
    brought = bring_otlp(archive, path, "imported", nobody)
    assert (brought.traces, brought.spans) == (3, sum(len(each.spans) for each in TRACES))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "expected OTLP/JSON"),
        (b"hello", "expected OTLP/JSON"),
        (b"\x1f\x8bnot gzip", "expected OTLP/JSON"),
        (b'{"data": [{"traceID": "1"}]}', "JSON of another kind; Jaeger's"),
        (b'{"resourceSpans": []}', "expected OTLP/JSON|found none"),
        (b'{"resourceSpans": [3]}', "expected OTLP/JSON"),
        (b'{"resourceSpans": [{"scopeSpans": 3}]}', r"scopeSpans: expected an array"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{}]}]}]}', r"spans\[0\].*an id of 16"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": []}]}]}', "found none"),
        (b'{"resourceSpans": [' + b"[" * 100_000, "nested more than 120 levels"),
        (b'{"a[\\"{{": "' + b"[" * 100_000 + b'"}', "JSON of another kind"),
    ],
)
def test_what_is_no_telemetry_is_refused_and_leaves_nothing(
    archive: FolderArchive, tmp_path: Path, content: bytes, complaint: str
) -> None:
    path = tmp_path / "traces.json"
    path.write_bytes(content)
    with pytest.raises(CaseError, match=complaint):
        bring_otlp(archive, path, "imported", nobody)
    assert left_in(tmp_path) == []


def unclosed(size: int) -> bytes:
    return b'{"resourceSpans": "' + b'\\\\"' * (size // 2)


def one_string(size: int) -> bytes:
    return b'{"a": "' + b"x" * size + b'", "resourceSpans": []}'


def empty_groups(size: int) -> bytes:
    return b'{"resourceSpans": [' + b"{}," * (size // 3) + b"{}]}"


def one_span(size: int, more: bytes) -> bytes:
    """A span without an id, so that it is refused once all of it was read."""
    return b'{"resourceSpans": [{"scopeSpans": [{"spans": [{%s}]}]}]}' % more


def many_attributes(size: int) -> bytes:
    pair = b'{"key": "a", "value": {"stringValue": "b"}},'
    return one_span(size, b'"attributes": [' + pair * (size // len(pair)) + b"{}]")


def long_name(size: int) -> bytes:
    return one_span(size, b'"name": "' + b"\\u001b" * (size // 6) + b'"')


def many_keys(size: int) -> bytes:
    return one_span(size, b",".join(b'"k%d": {}' % n for n in range(size // 13)))


@pytest.mark.parametrize("sizes", [(200_000, 800_000), (2_200_000, 8_800_000)], ids=["kB", "MB"])
@pytest.mark.parametrize(
    "hostile", [unclosed, one_string, empty_groups, many_attributes, long_name, many_keys]
)
def test_a_hostile_file_takes_time_by_its_length_alone(
    hostile: Callable[[int], bytes],
    sizes: tuple[int, int],
    archive: FolderArchive,
    tmp_path: Path,
) -> None:
    """Four times the bytes take no more than eight times the processor time."""
    took_s = []
    for size in sizes:
        path = tmp_path / "traces.json"
        path.write_bytes(hostile(size))
        tries_s = []
        for _ in range(2):  # What other tests left behind may be collected in one of them.
            began_s = time.process_time()
            with pytest.raises(CaseError):
                bring_otlp(archive, path, "imported", nobody)
            tries_s.append(time.process_time() - began_s)
        took_s.append(min(tries_s))
    assert took_s[1] <= 8 * max(took_s[0], 0.05)


@pytest.mark.parametrize("hostile", [one_string, long_name])
def test_a_string_without_end_is_refused(
    hostile: Callable[[int], bytes], archive: FolderArchive, tmp_path: Path
) -> None:
    """Before the parser has read it over and over; just below the bound it is read."""
    path = tmp_path / "traces.json"
    path.write_bytes(hostile(LONGEST_STRING_BYTES + 2 * otlp_file._CHUNK_BYTES))
    with pytest.raises(CaseError, match="found a string of more than 4 MiB"):
        bring_otlp(archive, path, "imported", nobody)
    path.write_bytes(hostile(LONGEST_STRING_BYTES - 100))
    with pytest.raises(CaseError) as other:
        bring_otlp(archive, path, "imported", nobody)
    assert "found a string" not in str(other.value)


@pytest.mark.parametrize("piece", [1, 2, 3, 7])
def test_depth_is_told_wherever_a_string_is_torn(piece: int, tmp_path: Path) -> None:
    """A bracket in a string is no level, whatever is escaped at the end of a piece."""
    text = rb'{"a": "[\\", "b\"[[": "\\\"[[[", "c": [1, {"d": "]"}]}'
    bounded = otlp_file._Bounded(tmp_path, io.BytesIO(text))
    deepest = 0
    while bounded.read(piece):
        deepest = max(deepest, bounded._depth)
    json.loads(text)
    assert deepest <= 3
    assert bounded._depth == 0


def test_one_bad_span_refuses_the_whole_file(archive: FolderArchive, tmp_path: Path) -> None:
    """Half a trace would be read as evidence."""
    bad = write_traces([TRACES[0]])
    bad["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["startTimeUnixNano"] = "soon"
    path = written(tmp_path, *torn(TRACES[1:]), bad)
    with pytest.raises(CaseError, match="startTimeUnixNano: expected a 64-bit number"):
        bring_otlp(archive, path, "imported", nobody)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    ("module", "limit", "complaint"),
    [
        (otlp_file, "MOST_BYTES", "GiB, found more"),
        (otlp_file, "MOST_GROUP_BYTES", "MiB in one `resourceSpans`"),
        (otlp_file, "MOST_GROUPS", "`resourceSpans`, found more"),
        (telemetry_case, "MOST_TRACES", "traces and .* in one case"),
        (telemetry_case, "MOST_SPANS", "spans in one case"),
    ],
)
def test_more_than_anybody_could_open_is_refused(
    archive: FolderArchive,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    module: object,
    limit: str,
    complaint: str,
) -> None:
    """The bound is named; a longer file costs no memory before that."""
    monkeypatch.setattr(module, limit, 2)
    with pytest.raises(CaseError, match=complaint):
        bring_otlp(archive, written(tmp_path, write_traces(TRACES)), "imported", nobody)
    assert left_in(tmp_path) == []


def test_what_cannot_be_a_case_id_is_refused(archive: FolderArchive, tmp_path: Path) -> None:
    """The name becomes a folder's."""
    with pytest.raises(CaseError, match="case id"):
        bring_otlp(archive, written(tmp_path, write_traces(TRACES)), "../x", nobody)
    assert left_in(tmp_path) == []


def test_nobody_is_judged_by_telemetry_without_a_truth(
    archive: FolderArchive, tmp_path: Path
) -> None:
    """It can be opened, and whoever wants to grade is told why not."""
    case_id = bring_otlp(archive, written(tmp_path, *torn(TRACES)), "imported", nobody).case_id
    (summary,) = archive.cases()
    assert (summary.scenario_id, summary.difficulty, summary.verdict) == (None, None, None)
    with pytest.raises(NothingToGrade, match=r"Nobody knows who did it.*lab traces"):
        archive.load(case_id)


# --- a trace store -----------------------------------------------------------------------


def test_all_traces_of_a_store_become_a_case(archive: FolderArchive) -> None:
    """One that is gone between search and fetch is left out."""
    store = MemoryTraceStore()
    for trace in TRACES:
        store.receive(trace)
    ids = frozenset({trace.trace_id for trace in TRACES} | {"ee" * 16})

    async def main() -> str:
        return (
            await bring_traces(archive, fetch(store, ids), "imported", "a store", nobody)
        ).case_id

    assert archive.open(anyio.run(main)).evidence.traces.keys() == {t.trace_id for t in TRACES}


class Crowded:
    """A store with two traces in each second, which tells only so many at once."""

    searchable_after_s = 0.0

    def __init__(self, most: int) -> None:
        self._most = most

    async def search(self, traceql: str, *, start_s: float, end_s: float) -> frozenset[str]:
        found = [f"{second}-{n}" for second in range(int(start_s), int(end_s)) for n in (0, 1)]
        return frozenset(found[: self._most])

    async def trace(self, trace_id: str) -> Trace | None:
        return None

    async def spans_received(self) -> int:
        return 0


def test_a_stretch_with_more_than_one_answer_holds_is_halved() -> None:
    found = anyio.run(lambda: trace_ids(Crowded(5), 0, 100, most=5))
    assert len(found) == 200


def test_a_second_with_more_than_one_answer_holds_is_refused() -> None:
    """Rather than some of them taken for all."""
    with pytest.raises(TraceStoreError, match="fewer than 2 traces in one second"):
        anyio.run(lambda: trace_ids(Crowded(2), 0, 100, most=2))


def test_a_source_is_told_without_its_secrets() -> None:
    assert without_secrets("https://me:pw@tempo.example:3200/api?key=1") == (
        "https://tempo.example:3200"
    )
