"""Finds the tools of the local stack, or builds them, once per user.

A tool is looked for in ``LAB_<TOOL>_BIN``, then in the folder ``LAB_TOOLS_FROM``,
then on ``PATH``, then in the per-user cache; what is still missing, Go builds from
the pinned modules in ``deploy/local/tools``. Nothing here prints: see `Progress`.
"""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from lab.adapters.tools import go_toolchain, manifest, pack
from lab.adapters.tools.go_build import Workshop
from lab.adapters.tools.go_toolchain import Installer
from lab.adapters.tools.table import (
    COLLECTOR_FOR_DATADOG,
    JAEGER,
    PROMTOOL,
    SIGNAL_TOOLS,
    TOOLS,
    Located,
    Progress,
    Tool,
    target,
)
from lab.errors import ToolMissing, UsageError
from lab.settings import Settings

__all__ = [
    "ALL_TOOLS",
    "COLLECTOR_FOR_DATADOG",
    "JAEGER",
    "PROMTOOL",
    "SIGNAL_TOOLS",
    "TOOLS",
    "Located",
    "Progress",
    "Tool",
    "cache_key",
    "ensure",
    "find",
    "named",
    "pack_into",
    "wanted",
]

_ANSWER_S: Final = 20.0


# promtool beside prometheus: it is made of what was compiled for that.
ALL_TOOLS: Final = (*TOOLS, JAEGER, SIGNAL_TOOLS[0], PROMTOOL, *SIGNAL_TOOLS[1:])


def wanted(settings: Settings) -> tuple[Tool, ...]:
    """The tools of the stack that ``settings`` ask for."""
    stores = [tool for tool in TOOLS if tool.name != "tempo" or settings.store == "tempo"]
    jaeger = (JAEGER,) if settings.runs_jaeger else ()
    tools = (*stores, *jaeger, *(SIGNAL_TOOLS if settings.signals == "full" else ()))
    other = COLLECTOR_FOR_DATADOG
    if settings.backend != "datadog":
        return tools
    return tuple(other if tool.name == other.stands_for else tool for tool in tools)


def named(names: Iterable[str]) -> tuple[Tool, ...]:
    """The tools of these names; UsageError lists all where one is none."""
    known = {tool.name: tool for tool in (*ALL_TOOLS, COLLECTOR_FOR_DATADOG)}
    if strange := [name for name in names if name not in known]:
        raise UsageError(f"expected tools of {', '.join(known)}, got {', '.join(strange)}")
    return tuple(known[name] for name in dict.fromkeys(names))


def find(tool: Tool, settings: Settings) -> Located | None:
    """Look for ``tool`` without building it.

    ToolMissing only where the user named a binary that will not do, or a folder with
    one: to build another in silence would not be what was asked for. A binary on ``PATH``
    that will not do (another version, or another program of that name) is
    passed over.
    """
    named = _named_by_user(tool, settings)
    if named is not None:
        if (flaw := _flaw(tool, named)) is not None:
            raise ToolMissing(
                f"expected {tool.setting} to be {tool.name} {tool.version}, found that {named} "
                f"{flaw}; correct the variable, or unset it to have the tool built"
            )
        return Located(named, "environment", tool.version)
    if (brought := _brought(tool, settings)) is not None:
        return Located(brought, "folder", tool.version)
    on_path = shutil.which(tool.executable)
    if on_path is not None and _flaw(tool, Path(on_path)) is None:
        return Located(Path(on_path), "path", tool.version)
    cached = tool.cached_in(settings.cache_dir)
    return Located(cached, "cache", tool.version) if cached.is_file() else None


def ensure(
    tools: Iterable[Tool],
    settings: Settings,
    progress: Progress,
    *,
    install_go: Installer = go_toolchain.install_wheel,
) -> dict[str, Path]:
    """Return the path of each tool by its name; build those that are missing.

    Interrupted or failed, it keeps what is done and continues on the next
    call. A second builder waits for the first and takes what that built.
    Raises ToolMissing, with what to do about it.
    """
    asked_for = tuple(tools)
    located = {tool.name: find(tool, settings) for tool in asked_for}
    missing = [tool for tool in asked_for if located[tool.name] is None]
    workshop = Workshop(settings.cache_dir)
    if missing:
        _build(missing, workshop, progress, install_go)
    elif workshop.has_leftovers():
        _sweep(workshop)
    return {
        tool.name: found.path if found else tool.cached_in(settings.cache_dir)
        for tool in asked_for
        for found in (located[tool.name],)
    }


def pack_into(
    folder: Path,
    tools: Iterable[Tool],
    settings: Settings,
    progress: Progress,
    *,
    install_go: Installer = go_toolchain.install_wheel,
) -> None:
    """Write ``tools`` into ``folder``, as `pack.write` does; build those that are missing.

    Only builds of the lab's own: of what others are made, nobody could say.
    """
    packed = tuple(tools)
    pack.prepare(folder)  # Else a folder that will not do would be told after minutes.
    missing = [tool for tool in packed if not tool.cached_in(settings.cache_dir).is_file()]
    if missing:
        _build(missing, Workshop(settings.cache_dir), progress, install_go)
    pack.write(folder, {tool: tool.cached_in(settings.cache_dir) for tool in packed})


def cache_key(settings: Settings) -> str:
    """Name the content of the cache, for CI to save and restore it by.

    It changes with the modules, the build options and the platform. A tool
    that the user names or brings is not built and does not count.
    """
    keys = (
        tool.key()
        for tool in wanted(settings)
        if _named_by_user(tool, settings) is None and _brought(tool, settings) is None
    )
    return hashlib.sha256("\0".join(keys).encode()).hexdigest()[:16]


def _build(
    missing: Sequence[Tool], workshop: Workshop, progress: Progress, install_go: Installer
) -> None:
    started = time.monotonic()
    estimate_s = sum(tool.estimate_s for tool in missing)

    def waiting(phase: str) -> None:
        progress(missing[0].name, phase, time.monotonic() - started, estimate_s)

    with workshop.exclusively(waiting):
        # Whoever was waited for may have built them meanwhile.
        left = [tool for tool in missing if not tool.cached_in(workshop.cache_dir).is_file()]
        if left:
            workshop.prepare()
            required = max(tool.go_version for tool in left)
            go = go_toolchain.on_path(required, workshop.scratch)
            if go is None:
                go = install_go(workshop.cache_dir, progress)
            with workshop.fetching(left[1:], go):
                _build_each(left, workshop, go, progress)
        workshop.discard()


def _build_each(tools: Sequence[Tool], workshop: Workshop, go: Path, progress: Progress) -> None:
    """Build one after the other; what each took tells how fast this machine is at the rest."""
    pace, expected_s, took_s = 1.0, 0.0, 0.0
    for number, tool in enumerate(tools):
        paced = [replace(each, estimate_s=each.estimate_s * pace) for each in tools[number:]]
        for each in paced:
            progress(each.name, "to be built", 0.0, each.estimate_s)
        began = time.monotonic()
        _place(tool, workshop.compile(paced[0], go, progress), workshop.cache_dir)
        took_s += (this_s := time.monotonic() - began)
        progress(tool.name, "done", this_s, paced[0].estimate_s)
        expected_s += tool.estimate_s
        pace = took_s / expected_s


def _place(tool: Tool, binary: Path, cache_dir: Path) -> None:
    """Put a fresh binary where `find` looks, in one step, once it proves to be what it should."""
    if (flaw := _flaw(tool, binary)) is not None:
        raise ToolMissing(
            f"expected to have built {tool.name} {tool.version}, found that it {flaw}; "
            f"set {tool.setting} to a binary of that version"
        )
    cached = tool.cached_in(cache_dir)
    cached.parent.mkdir(parents=True, exist_ok=True)
    binary.replace(cached)


def _sweep(workshop: Workshop) -> None:
    """Remove what an interrupted removal left, unless somebody builds right now."""

    def give_up(_: str) -> None:
        raise BlockingIOError

    with suppress(BlockingIOError), workshop.exclusively(give_up):
        workshop.discard()


def _named_by_user(tool: Tool, settings: Settings) -> Path | None:
    named: Path | None = getattr(settings, f"{tool.part}_bin")
    return named and named.resolve()


def _brought(tool: Tool, settings: Settings) -> Path | None:
    """The tool in the folder that the user named, if it is there; ToolMissing if it is no good."""
    if settings.tools_from is None:
        return None
    folder = settings.tools_from.resolve()
    binary = manifest.binary_in(folder, tool)
    if binary is not None and (flaw := _flaw(tool, binary)) is not None:
        raise ToolMissing(
            f"expected {tool.name} {tool.version} in LAB_TOOLS_FROM, found that {binary} {flaw}; "
            "remove it there to have that tool built, or unset the variable"
        )
    return binary


def _flaw(tool: Tool, binary: Path) -> str | None:
    """Say why ``binary`` cannot serve as ``tool``; None when it can."""
    if not binary.is_file():
        return "is not a file"
    try:
        printed = _output(binary, "--version")
        if re.search(rf"\bversion v?{re.escape(tool.version)}(?![\w.+-])", printed) is None:
            return f"prints {printed.partition(chr(10))[0]!r} for --version"
        if tool.components and (lacking := set(tool.components) - _components(binary)):
            return f"was built without {', '.join(sorted(lacking))}"
    except (OSError, subprocess.SubprocessError, YAMLError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOEXEC:
            return f"is no program for {'/'.join(target())}"
        return f"does not answer as it should ({error})"
    return None


def _components(collector: Path) -> set[str]:
    """What ``otelcol components`` lists, as ``<kind>/<name>``."""
    listed = YAML(typ="safe").load(_output(collector, "components"))
    return {
        f"{kind}/{entry.get('name')}"
        for kind, entries in (listed.items() if isinstance(listed, dict) else ())
        if isinstance(entries, list)
        for entry in entries
        if isinstance(entry, dict)
    }


def _output(binary: Path, argument: str) -> str:
    """Whatever the binary says; some print their version to stderr."""
    done = subprocess.run(
        [binary, argument],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=True,
        timeout=_ANSWER_S,
    )
    return done.stdout
