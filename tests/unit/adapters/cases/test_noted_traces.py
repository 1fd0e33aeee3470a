"""Traces that were read once are noted, and the note says the same or is not believed."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest

from lab.adapters.cases import noted_traces as module
from lab.adapters.cases import traces_on_disk
from lab.adapters.cases.case_folder import TRACES, read_sight, sealed_files, write_case
from lab.adapters.cases.noted_traces import NOTED, note_traces, noted_trace, noted_traces
from lab.adapters.cases.own_note import code_of_notes, write_note
from lab.adapters.cases.traces_on_disk import TracesOnDisk, all_traces
from lab.adapters.otlp.traces import read_traces, trace_to_otlp
from lab.domain.trace import Link, Scope, Span, Trace
from lab.errors import CaseDamaged
from tests.support.recorded_cases import recorded
from tests.support.sample_case import sample_case
from tests.unit.adapters.cases.test_own_spelling import PARENT, SPAN

SUM = "0" * 64
LINK = Link("c" * 32, "c" * 16, {"a": 1}, "a=b", 1)


def read_back(folder: Path, *traces: Trace) -> Mapping[str, Trace]:
    """What a note of the traces says."""
    note_traces(folder, {each.trace_id: each for each in traces}, SUM)
    noted = noted_traces(folder, SUM)
    assert noted is not None
    return {trace_id: noted_trace(told) for trace_id, told in noted.items()}


PLAIN: Final = replace(SPAN, attributes={**SPAN.attributes, "l": "1"})


@pytest.mark.parametrize(
    "spans",
    [
        *([PLAIN], [PARENT, PLAIN], [PLAIN, PARENT], [SPAN], [replace(SPAN, links=(LINK,))]),
        *([replace(PLAIN, attributes={"l": (1, "a", (True, 0.5))})], [replace(PLAIN, events=())]),
        *([replace(PLAIN, name="\ud800\u2028\n\x00ü")], [replace(PLAIN, parent_id=None, end_ns=0)]),
        *([replace(PLAIN, attributes={"i": 1, "f": 1.0, "b": True, "n": 2**63, "x": 1e300})],),
        [replace(PLAIN, scope=Scope("a", "1", {"k": "v"}, "url"))],
        [replace(PLAIN, resource={"service.name": "payments", "r": ("x",)}), PARENT],
        # Equal, and not the same.
        [
            replace(PLAIN, span_id=f"{n:016x}", resource={"service.name": "payments", "s": value})
            for n, value in enumerate((1, True, 1.0, 1), start=1)
        ],
    ],
)
def test_every_span_is_read_as_it_was(tmp_path: Path, spans: list[Span]) -> None:
    """In its place, with values of the same kind; what no row can hold, too."""
    told = json.dumps(trace_to_otlp(Trace(SPAN.trace_id, tuple(spans))))
    (trace,) = read_traces(json.loads(told)).values()
    found = read_back(tmp_path, trace)
    assert repr(found[SPAN.trace_id].spans) == repr(trace.spans)


def test_noting_takes_time_by_the_number_of_spans_alone(tmp_path: Path) -> None:
    """Also where each of them has a resource of its own."""

    def took_s(count: int) -> float:
        spans = (
            replace(PLAIN, span_id=f"{n:016x}", resource={"service.instance.id": str(n)})
            for n in range(1, count + 1)
        )
        trace = Trace(SPAN.trace_id, tuple(spans))
        start_s = time.process_time()
        note_traces(tmp_path, {trace.trace_id: trace}, SUM)
        return time.process_time() - start_s

    took_s(1000)
    assert took_s(10_000) < 6 * 10 * took_s(1000)


def test_a_note_in_which_no_traces_stand_is_none(tmp_path: Path) -> None:
    """Whole by its sum, and of no use."""
    made_of = {"traces": SUM, "code": code_of_notes()}
    write_note(tmp_path / NOTED, "noblank\n", made_of)
    assert noted_traces(tmp_path, SUM) is None


@pytest.mark.parametrize("name", ["db-timeout", "locked-drawer", "late-email"])
def test_the_traces_of_a_recorded_case_are_noted_in_rows(name: str, tmp_path: Path) -> None:
    """All of them but those with links, or nobody would be any quicker."""
    traces = recorded(name).evidence.traces
    assert read_back(tmp_path, *traces.values()) == traces
    noted = noted_traces(tmp_path, SUM)
    assert noted is not None
    for trace_id, told in noted.items():
        has_links = any(span.links for span in traces[trace_id])
        assert bytes(told[:1]) == (b"{" if has_links else b"["), trace_id


def test_a_note_of_other_traces_or_by_other_code_is_not_believed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the traces themselves are read."""
    note_traces(tmp_path, {SPAN.trace_id: Trace(SPAN.trace_id, (SPAN,))}, SUM)
    assert noted_traces(tmp_path, "1" * 64) is None
    monkeypatch.setattr(module, "code_of_notes", lambda: "another")
    assert noted_traces(tmp_path, SUM) is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sealed case without any note."""
    write_case(tmp_path, sample_case())
    return tmp_path


def sum_of(folder: Path) -> str:
    """Of its traces."""
    return sealed_files(folder)[TRACES]


def test_they_are_noted_once_all_were_read(folder: Path) -> None:
    """One after the other, as whoever compares does; one alone costs nobody the others."""
    traces = sample_case().evidence.traces
    found = read_sight(folder).evidence.traces
    first, *others = traces
    assert found[first] == traces[first]
    assert not (folder / NOTED).exists()
    for each in others:
        assert found[each] == traces[each]
    assert (folder / NOTED).exists()


def test_they_are_noted_in_the_order_of_the_file(folder: Path) -> None:
    """Whatever was asked for first: a list is the same the second time."""
    found = read_sight(folder).evidence.traces
    in_order = list(found)
    for each in reversed(in_order):
        assert found[each].trace_id == each
    assert (folder / NOTED).exists()
    assert list(read_sight(folder).evidence.traces) == in_order


def test_whoever_reads_all_at_once_notes_them(folder: Path) -> None:
    """So a case that arrives has its note before anybody asks."""
    assert all_traces(folder / TRACES, sum_of(folder)) == sample_case().evidence.traces
    assert (folder / NOTED).exists()


def test_with_a_note_nobody_reads_the_traces(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither at once nor one by one."""
    traces = all_traces(folder / TRACES, sum_of(folder))

    def read(*_: object) -> dict[str, Trace]:
        raise AssertionError("read")

    for name in ("traces_of_line", "bounded_lines", "whole_lines"):
        monkeypatch.setattr(traces_on_disk, name, read)
    assert all_traces(folder / TRACES, sum_of(folder)) == traces
    found = TracesOnDisk(folder / TRACES, sum_of(folder))
    assert list(found) == list(traces)
    assert dict(found) == traces


def test_where_nothing_can_be_written_they_are_read_each_time(folder: Path) -> None:
    """And nobody hears of it."""
    (folder / NOTED / "in-the-way").mkdir(parents=True)
    for _ in range(2):
        assert all_traces(folder / TRACES, sum_of(folder)) == sample_case().evidence.traces


@pytest.mark.parametrize(
    "told",
    ["", "x", "[]", "{}", "5", "null", '["a",[],[[]]]', '["a",[],[[0,1]]]', '{"resourceSpans":5}'],
)
def test_a_note_that_no_lab_wrote_is_damage(folder: Path, told: Any) -> None:
    """Though its first line is right: it is told in one sentence, and which file to restore."""
    all_traces(folder / TRACES, sum_of(folder))
    head = json.loads((folder / NOTED).read_text().partition("\n")[0])
    del head["sha256"]
    trace_id = next(iter(sample_case().evidence.traces))
    write_note(folder / NOTED, f"{trace_id} {told}\n", head)
    with pytest.raises(CaseDamaged, match=r"\.traces\.jsonl"):
        all_traces(folder / TRACES, sum_of(folder))
    with pytest.raises(CaseDamaged, match=r"\.traces\.jsonl"):
        TracesOnDisk(folder / TRACES, sum_of(folder))[trace_id]
