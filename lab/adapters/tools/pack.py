"""Writes a folder of built tools that can be passed on."""

from __future__ import annotations

import lzma
import shlex
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from lab import umask
from lab.adapters import own_folders
from lab.adapters.tools.manifest import MANIFEST, Manifest, Packed, sha256_of
from lab.adapters.tools.table import AGPL, Tool, target
from lab.errors import NotOurs
from lab.settings import CHECKOUT

NOTICES: Final = CHECKOUT / "lock" / "notices.txt.xz"
"""The licence texts of all modules that tools are built of; see `lock/licences.py`."""

_SOURCES: Final = "sources"
_README: Final = Path(__file__).with_name("pack_readme.md")
_BEFORE: Final = "\n## Before you pass"


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
        own_folders.discard(folder / _SOURCES, within=folder)
        for tool, binary in binaries.items():
            _place(binary, folder / tool.executable)
            _keep_sources(tool, folder / _SOURCES / tool.name)
        shutil.copyfile(CHECKOUT / "LICENSE", folder / "LICENSE")
        (folder / "NOTICES.txt").write_bytes(lzma.decompress(NOTICES.read_bytes()))
        (folder / "README.md").write_text(_readme(binaries), encoding="utf-8")
        packed = {
            tool.name: Packed(
                version=tool.version,
                file=tool.executable,
                sha256=sha256_of(folder / tool.executable),
            )
            for tool in binaries
        }
        manifest = Manifest(platform="/".join(target()), tools=packed)
        (folder / MANIFEST).write_text(f"{manifest.model_dump_json(indent=2)}\n", encoding="utf-8")


def _place(binary: Path, place: Path) -> None:
    """Copy a program in one step: an earlier one may be running."""
    partial = place.with_name(f"{place.name}.partial")
    shutil.copyfile(binary, partial)
    partial.chmod((mode := partial.stat().st_mode) | (mode & 0o444) >> 2)
    partial.replace(place)


def _keep_sources(tool: Tool, folder: Path) -> None:
    folder.mkdir(parents=True)
    for source in tool.sources():
        shutil.copyfile(source, folder / source.name)


def _readme(tools: Iterable[Tool]) -> str:
    """What is in the pack, and, where a tool is under the AGPL, what that asks."""
    listed = list(tools)
    rows = "\n".join(
        f"| `{tool.executable}` | {tool.name} {tool.version} | "
        f"{'AGPL-3.0-only' if tool.name in AGPL else 'permissive'} | "
        f"`{_SOURCES}/{tool.name}`: `{_build(tool)}` |"
        for tool in listed
    )
    names = " and ".join(f"`{tool.executable}`" for tool in listed if tool.name in AGPL)
    text = _README.read_text(encoding="utf-8")
    text = text if names else text.partition(_BEFORE)[0]
    return text.format(platform="/".join(target()), rows=rows, names=names, sources=_SOURCES)


def _build(tool: Tool) -> str:
    """How it was built, as one types it."""
    goos, goarch = target()
    settings = f"CGO_ENABLED=0 GOFLAGS=-mod=readonly GOOS={goos} GOARCH={goarch}"
    return f"{settings} {shlex.join(['go', 'build', *tool.build_flags, tool.package])}"
