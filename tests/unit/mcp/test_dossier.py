"""A dossier as a task file: the same after reading, and nothing of the answer in it."""

from __future__ import annotations

import dataclasses
import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.domain.evidence import Sample
from lab.domain.load import Window
from lab.errors import UsageError
from lab.mcp.dossier import moment
from lab.mcp.rooms import dossier_of
from lab.mcp.task_file import of_document, read, to_document, write
from tests.support.sample_case import START_S, sample_case

DOSSIER = dossier_of(sample_case())


def test_a_task_file_holds_the_whole_dossier(tmp_path: Path) -> None:
    """Requests, windows, spans and lines; of the samples what is needed and no more."""
    path = tmp_path / "task.json.gz"
    write(to_document(DOSSIER), path)
    again = read(path)
    assert to_document(again) == to_document(DOSSIER)
    assert again.evidence.traces == DOSSIER.evidence.traces
    assert again.evidence.reference_stats == DOSSIER.evidence.reference_stats
    assert Sample.AFFECTED not in again.evidence.samples
    assert {each.actor for each in again.evidence.requests} == {""}
    first = path.read_bytes()
    write(to_document(DOSSIER), path)
    assert path.read_bytes() == first


def test_a_period_is_the_requests_or_where_the_trace_began() -> None:
    """None between two windows."""
    assert DOSSIER.period(DOSSIER.evidence.traces["01bb" * 8]) == "incident"
    assert DOSSIER.period(DOSSIER.evidence.traces["dd" * 16]) == "after"
    requests = tuple(e for e in DOSSIER.evidence.requests if e.window is Window.CRIME)
    alone = dataclasses.replace(
        DOSSIER, evidence=dataclasses.replace(DOSSIER.evidence, requests=requests)
    )
    assert alone.period(DOSSIER.evidence.traces["01aa" * 8]) == "before"


def test_times_are_rfc_3339_in_utc() -> None:
    """To the microsecond."""
    assert moment(START_S + 0.25) == "2023-11-14T22:13:20.250000Z"


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"{torn", b'{"format": "deadspan-task-1"}', b'{"format": "other"}'],
)
def test_what_is_no_task_file_is_refused(
    tmp_path: Path, content: bytes, pack: Callable[[bytes], bytes]
) -> None:
    """And a file that is not there."""
    path = tmp_path / "task.json.gz"
    path.write_bytes(pack(content))
    with pytest.raises(UsageError, match="expected"):
        read(path)
    with pytest.raises(UsageError, match="cannot be read"):
        read(tmp_path / "none")


def test_a_background_trace_is_told_as_one() -> None:
    """No request began it, so it is of no window but by its time."""
    document = to_document(DOSSIER)
    document["requests"] = [row for row in document["requests"] if row[6] != "dd" * 16]
    again = of_document(json.loads(json.dumps(document)))
    assert again.evidence.samples[Sample.JOINED] == ("dd" * 16,)
