"""A recorded case: a case file small enough to be committed, the same bytes for the same case."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from lab import umask
from lab.adapters.cases import case_folder
from lab.adapters.cases.zip_file import pack_folder, read_zip
from lab.domain.case import Case
from lab.errors import CaseError

RECORDING: Final = "recorded.case.zip"
"""The name of a recording in its scenario's folder."""


def recordings(scenarios_dir: Path) -> Mapping[str, Path]:
    """Scenario → its recording, of each that has one."""
    return {path.parent.name: path for path in sorted(scenarios_dir.glob(f"*/{RECORDING}"))}


def pack_case(case: Case) -> bytes:
    """The zip of ``case``."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        case_folder.write_case(folder, case)
        packed = io.BytesIO()
        pack_folder(folder, packed)
    return packed.getvalue()


def write_recording(path: Path, packed: bytes) -> None:
    """Put ``packed`` at ``path`` in one step: an interrupted write leaves what was there."""
    with umask.whole_file(path) as file:
        file.write(packed)


def read_recording(path: Path) -> Case:
    """The case in the zip at ``path``; CaseError where it is missing or not as it was written."""
    if not path.exists():
        raise CaseError(
            f"{path}: expected a recording, found none; `lab record {path.parent.name}` makes one"
        )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        case = read_zip(path, folder)
        if not isinstance(case, Case):
            raise CaseError(f"{path}: expected a recorded case, found a stranger's telemetry")
        return case
