"""A case folder as one zip, and a stranger's zip as a case folder: nothing of it is trusted.

What is read from an archive is bounded before it is read: its size, how many members it
has, how they are named, how much each may unpack to. No member's name ever becomes a path
unless it is one of the names a sealed case may have, so none can lead out of the folder.
"""

from __future__ import annotations

import hashlib
import stat
import sysconfig
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from lab.adapters.cases.case_folder import (
    CHECKSUMS,
    LEDGERS,
    SCENARIO,
    TRACES,
    is_sealed_name,
    read_case_file,
    sealed_files,
)
from lab.adapters.cases.manifest import MANIFEST
from lab.domain.case import CaseFile
from lab.errors import CaseDamaged, CaseError
from lab.settings import CHECKOUT

MOST_PACKED_BYTES: Final = 64 * 2**20
MOST_BYTES: Final = 512 * 2**20
"""What all members may come to; a small file can claim to hold a large one."""

MOST_MEMBERS: Final = 64
MOST_RATIO: Final = 200
"""Unpacked to packed; traces come to about 40, a bomb to a thousand."""

_FREE_BYTES: Final = 2**20
"""Below this no ratio is looked at: a file of blanks is no bomb."""

_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
_ENCRYPTED: Final = 0x1
_CHUNK_BYTES: Final = 2**16
_LONG_AGO: Final = (1980, 1, 1, 0, 0, 0)
_MOST_PROBLEMS: Final = 5

_UNREADABLE: Final = (
    zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError,
    ValueError, OverflowError, AttributeError, IndexError,
)  # fmt: skip
"""What `zipfile` raises over hostile headers, in one version of Python or another."""


# --- writing -----------------------------------------------------------------------------


def pack_folder(folder: Path, target: IO[bytes], *, level: int = 9) -> None:
    """Write the sealed files of ``folder`` as a zip: the same bytes for the same case.

    Line by line, so that a large case needs no memory. Files of the checkout and of
    Python are named from there on, wherever they lie on this machine.
    """
    sums: list[str] = []
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=level) as archive:
        for name in sorted(sealed_files(folder), key=lambda name: (name != MANIFEST, name)):
            digest = hashlib.sha256()
            with (folder / name).open("rb") as source, archive.open(_member(name), "w") as member:
                for line in source:
                    told = _without_places(line) if name.endswith(".jsonl") else line
                    digest.update(told)
                    member.write(told)
            sums.append(f"{digest.hexdigest()}  {name}\n")
        archive.writestr(_member(CHECKSUMS), "".join(sums))


def copy_traces(folder: Path, target: IO[bytes]) -> None:
    """Write the traces of ``folder`` alone, which are OTLP/JSON as they lie there."""
    with (folder / TRACES).open("rb") as source:
        for line in source:
            target.write(_without_places(line))


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _LONG_AGO)
    member.compress_type = zipfile.ZIP_DEFLATED
    member.external_attr = (stat.S_IFREG | 0o644) << 16
    return member


def _without_places(line: bytes) -> bytes:
    """Let stack traces name files from the checkout or Python's own folder on."""
    for place, name in ((CHECKOUT, b""), (Path(sysconfig.get_path("stdlib")), b"python/")):
        line = line.replace(f"{place}/".encode(), name)
    return line


# --- reading -----------------------------------------------------------------------------


def unpack(path: Path, folder: Path) -> None:
    """Put the members of the zip at ``path`` into ``folder``, an empty one.

    CaseError tells everything that is wrong with the archive's table of contents, or the
    member whose content is not as that says. What a sealed case may not have is refused.
    """
    for name, chunks in _members(path):
        if name in LEDGERS:
            continue  # What somebody found out, or sent where, is no part of what they bring.
        target = folder / name
        target.parent.mkdir(exist_ok=True)
        with target.open("xb") as file:
            for chunk in chunks:
                file.write(chunk)
    try:
        sealed = sealed_files(folder)
    except CaseDamaged as error:
        raise _refused(path, f"{error.file}: expected {error.expected}") from error
    present = {str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file()}
    if unsealed := present - sealed.keys() - {CHECKSUMS}:
        raise _refused(path, f"{min(unsealed)}, which its checksums do not know")


def read_zip(path: Path, room: Path) -> CaseFile:
    """Unpack the zip at ``path`` into the empty folder ``room`` and read the case that it is.

    CaseError names the archive and what is wrong with which member of it.
    """
    unpack(path, room)
    try:
        return read_case_file(room)
    except CaseDamaged as error:
        raise _refused(path, f"damage: {error.file}: expected {error.expected}") from error
    except CaseError as error:
        raise CaseError(str(error).replace(f"{room}/", f"{path}: ")) from error


def _members(path: Path) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Each member's name with its content in pieces."""
    _expect_a_file(path)
    try:
        archive = zipfile.ZipFile(path)
    except _UNREADABLE as error:
        raise _refused(path, f"no zip that can be read ({_words(error)})") from error
    with archive:
        infos = [info for info in archive.infolist() if info.filename != f"{SCENARIO}/"]
        if problems := tuple(_problems(infos)):
            shown = "; ".join(problems[:_MOST_PROBLEMS])
            more = f"; and {len(problems) - _MOST_PROBLEMS} more" * (len(problems) > _MOST_PROBLEMS)
            raise _refused(path, shown + more)
        for info in infos:
            yield info.filename, _content(path, archive, info)


def _expect_a_file(path: Path) -> None:
    if not path.is_file():
        what = "something else of this name" if path.exists() else "none"
        raise CaseError(f"{path}: expected a case file (.case.zip), found {what}")
    if path.stat().st_size > MOST_PACKED_BYTES:
        raise _refused(
            path,
            f"{path.stat().st_size / 2**20:.0f} MiB, where one has at most "
            f"{MOST_PACKED_BYTES // 2**20}",
        )


def _problems(infos: list[zipfile.ZipInfo]) -> Iterator[str]:
    """Everything in the table of contents that no case file has."""
    if len(infos) > MOST_MEMBERS:
        yield f"{len(infos)} members, where one has at most {MOST_MEMBERS}"
        return
    seen: set[str] = set()
    for info in infos:
        # Names are told as Python writes them: a terminal obeys what it is shown.
        name = ascii(info.filename[:80])
        if info.filename != CHECKSUMS and not is_sealed_name(info.filename):
            yield f"a member {name}, which is no name of a file in a case"
        if info.filename.lower() in seen:
            yield f"{name} twice"
        seen.add(info.filename.lower())
        if (kind := stat.S_IFMT(info.external_attr >> 16)) and kind != stat.S_IFREG:
            yield f"{name}, which is no regular file"
        if info.flag_bits & _ENCRYPTED:
            yield f"{name}, encrypted"
        if info.compress_type not in _METHODS:
            yield f"{name}, packed by method {info.compress_type}; only deflate is read"
        if info.file_size > max(_FREE_BYTES, MOST_RATIO * info.compress_size):
            yield f"{name}, which claims to unpack to {info.file_size} bytes"
    if sum(info.file_size for info in infos) > MOST_BYTES:
        yield f"members that claim to unpack to more than {MOST_BYTES // 2**20} MiB"


def _content(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Iterator[bytes]:
    """What the member holds; never more than it claims."""
    left = info.file_size
    try:
        with archive.open(info) as member:
            while chunk := member.read(_CHUNK_BYTES):
                left -= len(chunk)
                if left < 0:
                    break
                yield chunk
    except _UNREADABLE as error:
        raise _refused(path, f"{info.filename} damaged ({_words(error)})") from error
    if left:
        raise _refused(path, f"{info.filename} of another length than it claims")


def _refused(path: Path, found: str) -> CaseError:
    return CaseError(
        f"{path}: expected a case file as `lab export` writes it, found {found}; nothing was "
        "taken from it. Get it again from where it came, or ask there for another export"
    )


def _words(error: BaseException) -> str:
    return ascii(str(error) or type(error).__name__)[1:-1][:120]
