"""A folder of built tools that can be passed on: written, and read again with its checksums."""

from __future__ import annotations

import hashlib
import lzma
import shlex
import shutil
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lab import umask
from lab.adapters import own_folders
from lab.adapters.tools.table import AGPL, Tool, target
from lab.errors import NotOurs, ToolMissing
from lab.settings import CHECKOUT

MANIFEST: Final = "manifest.json"
SOURCES: Final = "sources"
NOTICES: Final = CHECKOUT / "lock" / "notices.txt.xz"
"""The licence texts of all modules that tools are built of; see `lock/licences.py`."""

_AGAIN: Final = "have it packed anew (`lab tools --pack DIR`), or unset LAB_TOOLS_FROM"


class _Packed(BaseModel):
    """One binary of a pack; ``file`` is its name in the folder."""

    model_config = ConfigDict(extra="ignore")

    version: str
    file: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class _Manifest(BaseModel):
    """What is in a pack; ``platform`` is Go's name for the machines that it runs on."""

    model_config = ConfigDict(extra="ignore")

    format: Literal[1] = 1
    platform: str
    tools: dict[str, _Packed]


def binary_in(folder: Path, tool: Tool) -> Path | None:
    """The binary of ``tool`` in ``folder``; None where there is none.

    In a pack it is the very file that was packed. Without a manifest it is whatever bears
    the tool's name; the caller checks what it is. ToolMissing says what is wrong.
    """
    if not folder.is_dir():
        raise ToolMissing(
            f"expected LAB_TOOLS_FROM to be a folder with tools, found none at {folder}; correct "
            "the variable, or unset it to have the tools built"
        )
    if not (folder / MANIFEST).exists():
        if (folder / own_folders.MARK).exists():
            raise ToolMissing(
                f"expected a whole pack of tools in {folder}, found one that was not finished; "
                f"{_AGAIN}"
            )
        named = (folder / tool.executable, folder / tool.name)
        return next((path for path in named if path.is_file()), None)
    manifest = _read(folder / MANIFEST)
    here = "/".join(target())
    if manifest.platform != here:
        raise ToolMissing(
            f"expected tools for {here} in {folder}, found some for {manifest.platform}; {_AGAIN}"
        )
    if (packed := manifest.tools.get(tool.name)) is None:
        return None
    if packed.version != tool.version:
        raise ToolMissing(
            f"expected {tool.name} {tool.version} in {folder}, found {packed.version}; {_AGAIN}"
        )
    binary = folder / packed.file
    _check(binary, packed.sha256)
    return binary


def prepare(folder: Path) -> None:
    """Make ``folder``, for everybody to read; NotOurs where it has things of somebody else's."""
    with umask.asked_for():
        own_folders.make(folder, is_private=False)
    if not own_folders.is_own(folder):
        raise NotOurs(
            f"expected {folder} to be empty, or a pack that the lab made, found other things in "
            "it; name another folder"
        )


def write(folder: Path, binaries: Mapping[Tool, Path]) -> None:
    """Write ``binaries`` into ``folder`` with what they are made of, and whose work they are.

    Nothing is written to a folder with other things in it that the lab did not make
    (NotOurs). The manifest comes last, so a pack that was not finished is none.
    """
    prepare(folder)
    with umask.asked_for():
        (folder / MANIFEST).unlink(missing_ok=True)
        own_folders.discard(folder / SOURCES, within=folder)
        for tool, binary in binaries.items():
            _place(binary, folder / tool.executable)
            _keep_sources(tool, folder / SOURCES / tool.name)
        shutil.copyfile(CHECKOUT / "LICENSE", folder / "LICENSE")
        (folder / "NOTICES.txt").write_bytes(lzma.decompress(NOTICES.read_bytes()))
        (folder / "README.md").write_text(_readme(binaries), encoding="utf-8")
        packed = {
            tool.name: _Packed(
                version=tool.version,
                file=tool.executable,
                sha256=_sha256_of(folder / tool.executable),
            )
            for tool in binaries
        }
        manifest = _Manifest(platform="/".join(target()), tools=packed)
        (folder / MANIFEST).write_text(f"{manifest.model_dump_json(indent=2)}\n", encoding="utf-8")


def _read(file: Path) -> _Manifest:
    try:
        return _Manifest.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        found = error.strerror if isinstance(error, OSError) else _first_of(error)
        raise ToolMissing(
            f"expected {file} to say what is in the pack, found {found}; {_AGAIN}"
        ) from error


def _first_of(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    place = ".".join(map(str, first["loc"]))
    return f"{place}: {first['msg']}" if place else str(first["msg"])


def _check(binary: Path, sha256: str) -> None:
    try:
        found = f"sha256 {_sha256_of(binary)}"
    except OSError as error:
        found = str(error.strerror)
    if found != f"sha256 {sha256}":
        raise ToolMissing(
            f"expected {binary} to be the file that was packed (sha256 {sha256}), found {found}; "
            f"{_AGAIN}"
        )


def _sha256_of(file: Path) -> str:
    now = file.stat()
    return _sha256(file, now.st_mtime_ns, now.st_size, now.st_ino)


@lru_cache(maxsize=32)
def _sha256(file: Path, *_as_it_is: int) -> str:
    """Of a hundred megabytes it takes a while, and a command asks for each tool several times."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _place(binary: Path, place: Path) -> None:
    """Copy a program in one step: an earlier one may be running."""
    partial = place.with_name(f"{place.name}.partial")
    shutil.copyfile(binary, partial)
    readers = partial.stat().st_mode & 0o444
    partial.chmod(partial.stat().st_mode | readers >> 2)
    partial.replace(place)


def _keep_sources(tool: Tool, folder: Path) -> None:
    folder.mkdir(parents=True)
    for source in tool.sources():
        shutil.copyfile(source, folder / source.name)


def _readme(tools: Iterable[Tool]) -> str:
    listed = list(tools)
    rows = "\n".join(
        f"| `{tool.executable}` | {tool.name} {tool.version} | "
        f"{'AGPL-3.0-only' if tool.name in AGPL else 'permissive'} | "
        f"`{SOURCES}/{tool.name}`: `{_build(tool)}` |"
        for tool in listed
    )
    under_agpl = [tool for tool in listed if tool.name in AGPL]
    text = _README.format(platform="/".join(target()), rows=rows)
    if under_agpl:
        names = " and ".join(f"`{tool.executable}`" for tool in under_agpl)
        text += _UNDER_AGPL.format(names=names, sources=SOURCES)
    return text


def _build(tool: Tool) -> str:
    """How it was built, as one types it."""
    goos, goarch = target()
    settings = f"CGO_ENABLED=0 GOFLAGS=-mod=readonly GOOS={goos} GOARCH={goarch}"
    return f"{settings} {shlex.join(['go', 'build', *tool.build_flags, tool.package])}"


_README: Final = """\
# Tools of Deadspan, built for {platform}

`LAB_TOOLS_FROM=<this folder>` lets the lab use them in place of building its own. It checks
each against the checksum in `manifest.json` and against the version it needs.

| File | What | Licence | Built in, and by |
|---|---|---|---|
{rows}

`NOTICES.txt` has the licence texts and notices of every module that is linked into these
programs; they have to stay with the files wherever they are passed on. `LICENSE` is Deadspan's
own, of its guard, its door and its assembly of the Collector.
"""

_UNDER_AGPL: Final = """
## Before you pass this folder on

{names}: under the GNU Affero General Public License, version 3. Compiled from
the unmodified sources of the module versions that `go.mod` and `go.sum` of its folder in
`{sources}/` name. Whoever gives the binary to somebody else conveys object code, and section 6
of the licence asks that the one who receives it can have the corresponding source as well:

- Keep this file, `{sources}/` and the notices with the binary. `go mod download` in its folder
  fetches exactly those modules, and `go.sum` proves that they are those; the command above builds
  the binary from them.
- That is an offer to get the source from somewhere else (section 6d), and it is on whoever
  passes the binary on to see that it stays there for as long as they offer the binary. If you
  cannot rely on that, add the sources themselves: `go mod vendor` in its folder, before you
  pack it up.
- Nothing may be added that restricts what the licence grants.

To use the folder yourself, on machines of your own, asks nothing of this. Who would rather
pass on no such program leaves the file out: the lab then builds that tool as usual.
"""
