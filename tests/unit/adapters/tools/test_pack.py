"""A folder of built tools: what is written, and what is refused when it comes back."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lab.adapters.own_folders import MARK
from lab.adapters.tools import manifest, pack, toolbox
from lab.adapters.tools.table import Tool
from lab.errors import NotOurs, ToolMissing
from lab.settings import Settings


def program(path: Path, version: str = "1.2.3") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho 'it version {version}'\n")
    path.chmod(0o755)
    return path


def silent(tool: str, phase: str, elapsed_s: float, estimate_s: float) -> None:
    """Progress that nobody watches."""


@pytest.fixture
def tool(tmp_path: Path) -> Tool:
    module = tmp_path / "module"
    module.mkdir()
    (module / "go.mod").write_text("module it\n\ngo 1.25.0\n")
    (module / "go.sum").write_text("example.org/dep v1.0.0 h1:x=\n")
    return Tool("tempo", "1.2.3", "it", module, "example.org/it", "-s", 1.0)


@pytest.fixture
def folder(tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A pack of one tool, which lies in the cache; none is on PATH."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    settings = Settings(cache_dir=tmp_path / "cache")
    program(tool.cached_in(settings.cache_dir))
    toolbox.pack_into(tmp_path / "pack", [tool], settings, silent)
    return tmp_path / "pack"


def given(folder: Path, tmp_path: Path) -> Settings:
    """Where nothing was ever built."""
    return Settings(cache_dir=tmp_path / "other-cache", tools_from=folder)


def test_what_was_packed_is_taken(tool: Tool, folder: Path, tmp_path: Path) -> None:
    """By another user of another machine, who then builds nothing."""
    found = toolbox.find(tool, given(folder, tmp_path))
    assert found is not None
    assert (found.path, found.source, found.version) == (folder / "it", "folder", "1.2.3")
    assert toolbox.ensure([tool], given(folder, tmp_path), silent) == {"tempo": folder / "it"}


def test_what_the_pack_lacks_is_built(tool: Tool, folder: Path, tmp_path: Path) -> None:
    """Also what somebody took out, who would rather not pass it on."""
    assert toolbox.find(replace(tool, name="otelcol"), given(folder, tmp_path)) is None
    (folder / "it").unlink()
    assert toolbox.find(tool, given(folder, tmp_path)) is None


def test_a_pack_says_what_it_asks_of_who_passes_it_on(tool: Tool, folder: Path) -> None:
    """Where a program is under the AGPL: the way to its source, in the pack; else no such word."""
    text = (folder / "README.md").read_text()
    assert "Affero" in text
    assert "go build" in text
    assert sorted(path.name for path in (folder / "sources" / "tempo").iterdir()) == [
        "go.mod",
        "go.sum",
    ]
    assert "Permission is hereby granted" in (folder / "NOTICES.txt").read_text()
    pack.write(folder, {replace(tool, name="door"): folder / "it"})
    assert "Affero" not in (folder / "README.md").read_text()
    assert not (folder / "sources" / "tempo").exists()


def test_a_pack_is_as_open_as_its_users_shell_makes_files(folder: Path) -> None:
    """It is there to be passed on, unlike the rest of what the lab writes."""
    for path in (folder, folder / "it"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o055 == 0o055


def damaged(folder: Path) -> None:
    (folder / "it").write_text((folder / "it").read_text() + "# and more\n")


def unfinished(folder: Path) -> None:
    (folder / manifest.MANIFEST).unlink()


def said(**what: Any) -> Callable[[Path], None]:
    """The manifest says something else."""

    def change(folder: Path) -> None:
        now = json.loads((folder / manifest.MANIFEST).read_text())
        now["tools"]["tempo"].update({k: v for k, v in what.items() if k != "platform"})
        now["platform"] = what.get("platform", now["platform"])
        (folder / manifest.MANIFEST).write_text(json.dumps(now))

    return change


def garbled(folder: Path) -> None:
    (folder / manifest.MANIFEST).write_text("[1")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (damaged, "to be the file that was packed .*, found sha256"),
        (unfinished, "a whole pack of tools in .*, found one that was not finished"),
        (said(platform="plan9/mips"), "found some for plan9/mips"),
        (said(version="1.2.4"), r"expected tempo 1\.2\.3 in .*, found 1\.2\.4"),
        (said(file="../it"), "tools.tempo.file: "),
        (said(sha256="x"), "tools.tempo.sha256: "),
        (garbled, "to say what is in the pack, found Invalid JSON"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_pack_that_is_not_as_it_was_written_is_refused(
    tool: Tool, folder: Path, tmp_path: Path, change: Callable[[Path], None], complaint: str
) -> None:
    """With what was expected, what was found, and what to do; nothing else is built instead."""
    change(folder)
    with pytest.raises(ToolMissing, match=complaint) as caught:
        toolbox.find(tool, given(folder, tmp_path))
    assert "LAB_TOOLS_FROM" in str(caught.value)


def for_another_machine(path: Path) -> None:
    path.write_bytes(b"\x7fELF and nothing that this machine could run")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (program, None),
        (lambda path: program(path, "1.2.4"), "prints 'it version 1.2.4' for --version"),
        (for_another_machine, "is no program for "),
    ],
    ids=["right", "other-version", "other-machine"],
)
def test_a_folder_without_a_manifest_is_taken_by_names_and_versions(
    tool: Tool, tmp_path: Path, make: Callable[[Path], Any], complaint: str | None
) -> None:
    """An image has its programs somewhere, and nobody packed them."""
    (tmp_path / "brought").mkdir()
    make(tmp_path / "brought" / "it")
    settings = given(tmp_path / "brought", tmp_path)
    if complaint is None:
        assert toolbox.find(tool, settings) is not None
        return
    with pytest.raises(ToolMissing, match=complaint):
        toolbox.find(tool, settings)


def test_a_folder_that_is_none_is_named(tool: Tool, tmp_path: Path) -> None:
    with pytest.raises(ToolMissing, match=r"LAB_TOOLS_FROM to be a folder .* found none at"):
        toolbox.find(tool, given(tmp_path / "nowhere", tmp_path))


def test_a_folder_with_other_things_in_it_is_not_written_to(tool: Tool, tmp_path: Path) -> None:
    """Not even where a name is still free, and before anything is built for it."""
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("mine")
    with pytest.raises(NotOurs, match="name another folder"):
        toolbox.pack_into(theirs, [tool], Settings(cache_dir=tmp_path / "cache"), silent)
    assert not (tmp_path / "cache").exists()
    assert [path.name for path in theirs.iterdir()] == ["thesis.txt"]


def test_a_pack_of_the_labs_own_is_written_anew(tool: Tool, folder: Path, tmp_path: Path) -> None:
    """The newer binary is there, and the older one's checksum is not."""
    newer = replace(tool, version="1.2.4")
    pack.write(folder, {newer: program(tmp_path / "newer", "1.2.4")})
    assert (folder / MARK).is_file()
    assert toolbox.find(newer, given(folder, tmp_path)) is not None


def test_what_is_brought_is_not_in_the_cache_key(tmp_path: Path) -> None:
    """It is not built, so CI has nothing of it to save."""
    tool = toolbox.TOOLS[1]
    program(tmp_path / "brought" / tool.executable, tool.version)
    settings = Settings(cache_dir=tmp_path / "cache")
    brought = settings.model_copy(update={"tools_from": tmp_path / "brought"})
    assert toolbox.cache_key(brought) != toolbox.cache_key(settings)
