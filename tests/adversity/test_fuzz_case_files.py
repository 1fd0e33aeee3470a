"""A thousand case files that were torn, changed or made to harm: refused in a sentence, or read."""

from __future__ import annotations

import hashlib
import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.adapters.cases.archive import FolderArchive
from lab.adapters.cases.bring import bring_file
from lab.adapters.cases.case_folder import write_case
from lab.adapters.cases.zip_file import pack_folder
from lab.adapters.own_folders import MARK
from lab.domain.accusation import Accusation
from lab.domain.case import Case, CaseFile
from lab.errors import LabError
from lab.investigation.running.recording import thinned
from lab.investigation.solving.judge import judge
from tests.adversity.test_fuzz_case_folders import places
from tests.support.sample_case import sample_case

FILES = 1000
Harm = Callable[[random.Random, bytes], bytes]

JUNK: tuple[Any, ...] = (
    None, True, -1, 10**400, 1e300, float("nan"), "", "a" * 3000, "\x1b[2J", "../..", "\ud800",
    [], {}, [[]], {"a": None},
)  # fmt: skip
NAMES = (
    "../escaped.txt", "/tmp/escaped.txt", "..\\escaped.txt", "scenario/../../escaped.txt", " ",
    "a" * 60_000, "scenario", "checksums/x.txt", ".imported.json", "accusations.jsonl", "ÿ.txt",
)  # fmt: skip


def unzipped(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(members: list[tuple[str, bytes]]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return target.getvalue()


def resealed(members: dict[str, bytes]) -> list[tuple[str, bytes]]:
    """As somebody leaves them who knows of checksums."""
    sums = "".join(
        f"{hashlib.sha256(content).hexdigest()}  {name}\n"
        for name, content in members.items()
        if name != "checksums"
    )
    return list((members | {"checksums": sums.encode()}).items())


def flipped(dice: random.Random, content: bytes) -> bytes:
    """Some bytes are others, anywhere."""
    changed = bytearray(content)
    for _ in range(dice.choice((1, 1, 3, 50))):
        changed[dice.randrange(len(changed))] = dice.randrange(256)
    return bytes(changed)


def torn(dice: random.Random, content: bytes) -> bytes:
    """A piece is gone, or there twice."""
    start, end = sorted(dice.randrange(len(content)) for _ in range(2))
    return (
        content[:start] + content[end:] if dice.random() < 0.7 else content[:end] + content[start:]
    )


def lied_to(dice: random.Random, content: bytes) -> bytes:
    """A number of the table of contents is another."""
    changed = bytearray(content)
    table = content.index(b"PK\x01\x02")
    at = dice.randrange(table, len(content) - 4)
    value = dice.choice((0, 1, 0xFFFF, 0xFFFFFFFF, dice.getrandbits(32)))
    changed[at : at + 4] = value.to_bytes(4, "little")
    return bytes(changed)


def renamed(dice: random.Random, content: bytes) -> bytes:
    """A member has a name that leads elsewhere, or one more has."""
    members = unzipped(content)
    name = dice.choice(NAMES)
    if dice.random() < 0.5:
        members[name] = b"x"
    else:
        old = dice.choice(sorted(members))
        members = {name if each == old else each: data for each, data in members.items()}
    return zipped(resealed(members))


def rewritten(dice: random.Random, content: bytes) -> bytes:
    """A field of a member means something else, under a checksum that fits."""
    members = unzipped(content)
    name = dice.choice(sorted(each for each in members if ".json" in each))
    text = members[name].decode()
    lines = text.splitlines() if name.endswith("l") else [text]
    number = dice.randrange(len(lines)) if lines else 0
    if not lines:
        return zipped(resealed(members | {name: b"null\n"}))
    document = json.loads(lines[number])
    *where, last = dice.choice(places(document))
    owner = document
    for part in where:
        owner = owner[part]
    owner[last] = dice.choice(JUNK)
    lines[number] = json.dumps(document)
    changed = "".join(f"{line}\n" for line in lines).encode(errors="replace")
    return zipped(resealed(members | {name: changed}))


HARMS: tuple[Harm, ...] = (flipped, torn, lied_to, flipped, torn, lied_to, renamed, rewritten)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A small case file with nothing wrong."""
    folder = tmp_path_factory.mktemp("whole")
    case = sample_case()
    few = replace(case, evidence=replace(case.evidence, requests=case.evidence.requests[:6]))
    write_case(folder, thinned(few, 1))
    target = io.BytesIO()
    pack_folder(folder, target)
    return target.getvalue()


ALLOWED = {
    *("hostile.case.zip", "deep", "deep/cases"),
    *(f"deep/{MARK}", f"deep/cases/{MARK}"),
}
"""The archive itself and the folder it is to come into, which is the lab's own."""


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def test_a_thousand_hostile_files_leave_no_trace(whole: bytes, tmp_path: Path) -> None:
    """Each ends as a case that can be read and graded, or in an error of the lab's own.

    Nothing is ever written outside the folder of cases, and nothing in it but whole ones.
    """
    cases = tmp_path / "deep" / "cases"
    archive = FolderArchive(cases)
    path = tmp_path / "hostile.case.zip"
    dice = random.Random(20)
    read = refused = 0
    for number in range(FILES):
        path.write_bytes(HARMS[number % len(HARMS)](dice, whole))
        if said := outcome(archive, path):
            refused += 1
            assert "Traceback" not in said
            assert len(said) < 2000, said[:300]
        else:
            read += 1
        assert everything(tmp_path) <= ALLOWED, number
    assert refused > FILES // 2
    assert read > 0


def outcome(archive: FolderArchive, path: Path) -> str:
    """What the lab says to the file; nothing where it became a case, which is gone again."""
    try:
        case_id = bring_file(archive, path).case_id
        graded(archive.open(case_id))
        shutil.rmtree(archive.folder(case_id))
    except LabError as error:
        return str(error)
    return ""


def graded(case: CaseFile) -> None:
    """Accuse the first span there is; whatever it comes to, it comes to something."""
    if isinstance(case, Case):
        charges = [
            (trace.trace_id, span.span_id)
            for trace in case.evidence.traces.values()
            for span in trace
        ]
        accusation = Accusation(tuple(charges[:1]), (case.scenario.truth.mechanism,))
        assert judge(case.scenario, case.evidence, accusation).text
