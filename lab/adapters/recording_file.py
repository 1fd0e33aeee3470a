"""A recorded case: the files of a case folder in one zip, the same bytes for the same case."""

from __future__ import annotations

import io
import json
import sysconfig
import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from lab.adapters import case_folder
from lab.domain.case import Case
from lab.errors import CaseError
from lab.scenario_file import FILES
from lab.settings import CHECKOUT

RECORDING: Final = "recorded.case.zip"
"""The name of a recording in its scenario's folder."""

MEMBERS: Final = tuple(
    sorted(
        (
            case_folder.MANIFEST,
            case_folder.REQUESTS,
            case_folder.TRACES,
            case_folder.LOGS,
            case_folder.JOURNAL,
            case_folder.PROOF,
            case_folder.CHECKSUMS,
            *(f"{case_folder.SCENARIO}/{name}" for name in FILES),
        )
    )
)
"""All that is written and all that is read; what learners said is none of it."""

LARGEST_CONTENT_BYTES: Final = 64 * 1024 * 1024
"""What all members may come to; a small file can claim to hold a large one."""

_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)


def pack_case(case: Case, logs: Iterable[str]) -> bytes:
    """The zip of ``case``, with those of its log lines that belong to its traces or to none."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        case_folder.write_case(folder, case, _logs_of(case, logs))
        for name in (case_folder.TRACES, case_folder.LOGS):
            _forget_the_machine(folder / name)
        case_folder.write_checksums(folder)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in MEMBERS:
                member = zipfile.ZipInfo(name, _LONG_AGO)
                member.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(member, (folder / name).read_bytes())
    return packed.getvalue()


def write_recording(path: Path, packed: bytes) -> None:
    """Put ``packed`` at ``path`` in one step: an interrupted write leaves what was there."""
    part = path.with_suffix(".part")
    part.write_bytes(packed)
    part.replace(path)


def read_recording(path: Path) -> Case:
    """The case in the zip at ``path``; CaseError where it is missing or not as it was written."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / case_folder.SCENARIO).mkdir()
        try:
            for name, content in _members(path):
                (folder / name).write_bytes(content)
            return case_folder.read_case(folder)
        except (OSError, KeyError, zipfile.BadZipFile, CaseError) as error:
            said = str(error).replace(f"{folder}/", "")
            raise CaseError(
                f"{path}: expected a recording as `lab record` writes it, found: {said}"
            ) from error


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """The known members by their known names; nothing else is looked at."""
    left = LARGEST_CONTENT_BYTES
    with zipfile.ZipFile(path) as archive:
        for name in MEMBERS:
            with archive.open(name) as member:
                content = member.read(left + 1)
            left -= len(content)
            if left < 0:
                raise CaseError(
                    f"more than {LARGEST_CONTENT_BYTES // 2**20} MiB, which no recording holds"
                )
            yield name, content


def _forget_the_machine(path: Path) -> None:
    """Let stack traces name files from the checkout or Python's own folder on."""
    text = path.read_text(encoding="utf-8")
    for place, name in ((CHECKOUT, ""), (Path(sysconfig.get_path("stdlib")), "python/")):
        text = text.replace(f"{place}/", name)
    path.write_text(text, encoding="utf-8", newline="\n")


def _logs_of(case: Case, logs: Iterable[str]) -> Iterator[str]:
    traces = case.evidence.traces
    for line in logs:
        trace_id = json.loads(line)["trace_id"]
        if trace_id is None or trace_id in traces:
            yield line
