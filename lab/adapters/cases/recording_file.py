"""A recorded case: a case file small enough to be committed, the same bytes for the same case."""

from __future__ import annotations

import io
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from lab import umask
from lab.adapters.cases import case_folder
from lab.adapters.cases.json_lines import whole_lines
from lab.adapters.cases.zip_file import pack_folder, read_zip
from lab.domain.case import Case
from lab.errors import CaseError

RECORDING: Final = "recorded.case.zip"
"""The name of a recording in its scenario's folder."""


def recordings(scenarios_dir: Path) -> Mapping[str, Path]:
    """Scenario → its recording, of each that has one."""
    return {path.parent.name: path for path in sorted(scenarios_dir.glob(f"*/{RECORDING}"))}


def pack_case(case: Case, logs: Iterable[str]) -> bytes:
    """The zip of ``case``, with those of its log lines that belong to its traces or to none."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        case_folder.write_case(folder, case, _logs_of(case, logs))
        packed = io.BytesIO()
        pack_folder(folder, packed)
    return packed.getvalue()


def write_recording(path: Path, packed: bytes) -> None:
    """Put ``packed`` at ``path`` in one step: an interrupted write leaves what was there."""
    part = path.with_suffix(".part")
    with umask.asked_for():
        part.write_bytes(packed)
    part.replace(path)


def read_recording(path: Path) -> Case:
    """The case in the zip at ``path``; CaseError where it is missing or not as it was written."""
    return read_with_logs(path)[0]


def read_with_logs(path: Path) -> tuple[Case, tuple[str, ...]]:
    """The same with its log lines."""
    if not path.exists():
        raise CaseError(
            f"{path}: expected a recording, found none; `lab record {path.parent.name}` makes one"
        )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        case = read_zip(path, folder)
        if not isinstance(case, Case):
            raise CaseError(f"{path}: expected a recorded case, found a stranger's telemetry")
        return case, tuple(line for _, line in whole_lines(folder / case_folder.LOGS))


def _logs_of(case: Case, logs: Iterable[str]) -> Iterator[str]:
    traces = case.evidence.traces
    for line in logs:
        trace_id = json.loads(line)["trace_id"]
        if trace_id is None or trace_id in traces:
            yield line
