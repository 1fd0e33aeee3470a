"""What is in a pack of tools, with checksums: read before a binary of it is used."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal

from pydantic import BaseModel, Field, ValidationError

from lab.adapters import own_folders
from lab.adapters.tools.table import Tool, target
from lab.errors import ToolMissing

MANIFEST: Final = "manifest.json"
_AGAIN: Final = "have it packed anew (`lab tools --pack DIR`), or unset LAB_TOOLS_FROM"


class Packed(BaseModel):
    """One binary of a pack; ``file`` is its name in the folder."""

    version: str
    file: str = Field(pattern=r"^[A-Za-z0-9._-]+$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")


class Manifest(BaseModel):
    """What is in a pack; ``platform`` is Go's name for the machines that it runs on."""

    format: Literal[1] = 1
    platform: str
    tools: dict[str, Packed]


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
    packed = manifest.tools.get(tool.name)
    if packed is None or not (folder / packed.file).exists():
        return None
    if packed.version != tool.version:
        raise ToolMissing(
            f"expected {tool.name} {tool.version} in {folder}, found {packed.version}; {_AGAIN}"
        )
    binary = folder / packed.file
    if (found := sha256_of(binary)) != packed.sha256:
        raise ToolMissing(
            f"expected {binary} to be the file that was packed (sha256 {packed.sha256}), found "
            f"sha256 {found}; {_AGAIN}"
        )
    return binary


def sha256_of(file: Path) -> str:
    """In hexadecimal digits; read again only where the file has changed."""
    now = file.stat()
    return _sha256(file, now.st_mtime_ns, now.st_size, now.st_ino)


@lru_cache(maxsize=32)
def _sha256(file: Path, *_as_it_is: int) -> str:
    """Of a hundred megabytes it takes a while, and a command asks for each tool several times."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _read(file: Path) -> Manifest:
    try:
        return Manifest.model_validate_json(file.read_bytes())
    except (OSError, ValidationError) as error:
        found = str(error)
        if isinstance(error, ValidationError):
            first = error.errors()[0]
            found = ": ".join(filter(None, (".".join(map(str, first["loc"])), first["msg"])))
        raise ToolMissing(
            f"expected {file} to say what is in the pack, found {found}; {_AGAIN}"
        ) from error
