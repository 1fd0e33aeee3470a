"""Is this machine fit for the lab, and this checkout in order? Findings, never a repair."""

from __future__ import annotations

import asyncio
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import psutil

from lab.adapters.harm_mark import HarmMarkFile
from lab.adapters.stack import compose as stack_compose
from lab.adapters.stack import compose_file, container_engine, processes
from lab.adapters.stack.external import ExternalStack
from lab.adapters.stack.local import LocalStack
from lab.adapters.stack.postgres import MAJOR, LocalPostgres, can_start_servers
from lab.adapters.stack.readiness import port_is_free
from lab.adapters.stack.supervisor import Supervisor
from lab.adapters.tools import go_toolchain, toolbox
from lab.adapters.warden_client import WardenClient
from lab.errors import LabError, ToolMissing
from lab.frozen import dataclass
from lab.ports.injector import EdgeState
from lab.settings import Settings
from lab.shop.keeper import secret
from lab.shop.topology import HOST, PORTS

Level = Literal["ok", "warn", "fail"]

_PYTHON: Final = (3, 11)
_GIB: Final = 2**30
_BUILD_NEEDS_BYTES: Final = 6 * _GIB  # Go's caches while three tools are built; 1 GiB stays.
_STATE_NEEDS_BYTES: Final = 1 * _GIB
_STACK_NEEDS_BYTES: Final = int(1.5 * _GIB)
_TESTED: Final = {("Linux", "x86_64")}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; ``advice`` is empty where nothing needs doing."""

    name: str
    level: Level
    found: str
    advice: str = ""


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Look at everything; changes nothing and needs nothing to run."""
    own: tuple[Callable[[Settings], Finding], ...] = (
        *(_platform, _python, _state_disk),
        _harm,
    )
    checks = (*own, *_CHECKS[settings.stack])
    return tuple(check(settings) for check in checks)


def _platform(_: Settings) -> Finding:
    found = f"{platform.system()} {platform.machine()}"
    if (platform.system(), platform.machine()) in _TESTED:
        return Finding("platform", "ok", found)
    return Finding("platform", "warn", found, "should work; the lab is run on Linux x86_64 only")


def _python(_: Settings) -> Finding:
    found = platform.python_version()
    if sys.version_info >= _PYTHON:
        return Finding("python", "ok", found)
    wanted = ".".join(map(str, _PYTHON))
    return Finding("python", "fail", found, f"install Python {wanted} or newer, then `make clean`")


def _memory(_: Settings) -> Finding:
    free = psutil.virtual_memory().available
    found = f"{free / _GIB:.1f} GiB available"
    if free >= _STACK_NEEDS_BYTES:
        return Finding("memory", "ok", found)
    return Finding(
        "memory", "warn", found, "the stack and its load take about 1.5 GiB; close something"
    )


def _cache_disk(settings: Settings) -> Finding:
    needed = _BUILD_NEEDS_BYTES if _missing_tools(settings) else 0
    return _disk("disk of the cache", settings.cache_dir, needed, "LAB_CACHE_DIR")


def _state_disk(settings: Settings) -> Finding:
    return _disk("disk of the checkout", settings.state_dir, _STATE_NEEDS_BYTES, "LAB_STATE_DIR")


def _harm(settings: Settings) -> Finding:
    """The safety lever: on this disk where the warden shares it, else as the warden tells."""
    name, advice = "safety lever", "`lab allow-harm`, once whoever stopped harm agrees"
    if settings.stack == "local":
        is_stopped = HarmMarkFile(settings.state_dir).is_set()
    else:
        try:
            is_stopped = asyncio.run(_warden_tells(settings))
        except LabError:
            return Finding(name, "ok", "unknown while the warden does not answer")
    if is_stopped:
        return Finding(name, "warn", "harm is stopped: nothing can be run or held", advice)
    return Finding(name, "ok", "harm is allowed")


async def _warden_tells(settings: Settings) -> bool:
    headers = secret.headers(settings.secret_file)
    async with WardenClient(settings.url("warden"), headers=headers) as warden:
        return await warden.is_harm_stopped()


def _disk(name: str, folder: Path, needed: int, variable: str) -> Finding:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    found = f"{free / _GIB:.1f} GiB free for {folder}"
    if not os.access(existing, os.W_OK):
        return Finding(name, "fail", f"{existing} cannot be written", f"set {variable}")
    if free >= needed:
        return Finding(name, "ok", found)
    return Finding(
        name, "fail", found, f"{needed / _GIB:.0f} GiB are needed: free some, or set {variable}"
    )


def _tools(settings: Settings) -> Finding:
    located = []
    for tool in toolbox.wanted(settings):
        try:
            found = toolbox.find(tool, settings)
        except ToolMissing as error:
            return Finding("tools", "fail", f"{tool.name} will not do", str(error))
        located.append(f"{tool.name} ({found.source if found else 'missing'})")
    if missing := _missing_tools(settings):
        advice = "`make up` builds what is missing"
        if any(tool.name == "tempo" for tool in missing):
            advice += "; where Tempo cannot be built, `STORE=jaeger make up` does without it"
        return Finding("tools", "warn", ", ".join(located), advice)
    return Finding("tools", "ok", ", ".join(located))


def _go(settings: Settings) -> Finding:
    missing = _missing_tools(settings)
    if not missing:
        return Finding("go", "ok", "not needed: nothing is to be built")
    required = max(tool.go_version for tool in missing)
    with tempfile.TemporaryDirectory() as scratch:
        go = go_toolchain.on_path(required, Path(scratch))
    if go is not None:
        return Finding("go", "ok", str(go))
    wanted = ".".join(map(str, required))
    return Finding("go", "ok", f"no Go {wanted} on PATH: the build installs one into the cache")


def _postgres_user(settings: Settings) -> Finding:
    if settings.postgres_dsn is not None:
        return Finding("postgres", "ok", "your own (LAB_POSTGRES_DSN)")
    reason = can_start_servers()
    if reason is None:
        how = "in a user namespace" if os.geteuid() == 0 else "as you"
        return Finding("postgres", "ok", f"runs {how}")
    return Finding("postgres", "fail", reason, "see above")


def _postgres_data(settings: Settings) -> Finding:
    name = "postgres data"
    database = LocalPostgres(settings)
    if database.has_half_made_data:
        return Finding(
            name, "warn", "a first start was interrupted", "nothing: the next start makes it anew"
        )
    if not database.is_prepared:
        return Finding(name, "ok", "none yet: the first start makes it")
    if database.data_version != MAJOR:
        return Finding(
            name,
            "fail",
            f"written by PostgreSQL {database.data_version}, not {MAJOR}",
            "`make clean` removes it",
        )
    return Finding(name, "ok", f"PostgreSQL {MAJOR}")


def _leftovers(settings: Settings) -> Finding:
    births = _supervisor(settings).births()
    alive = processes.survivors(births)
    if not alive:
        return Finding("processes", "ok", "the stack is down")
    if any(birth.name == "supervisord" and birth.lives for birth in births):
        return Finding("processes", "ok", f"the stack is up: {len(alive)} processes")
    return Finding(
        "processes",
        "warn",
        f"{len(alive)} processes outlived their supervisor: "
        + ", ".join(f"{name} ({pid})" for pid, name in sorted(alive.items())),
        "`make up` or `make down` ends them",
    )


def _readiness(settings: Settings) -> Finding:
    parts = asyncio.run(LocalStack(settings).status())
    if not any(part.pid for part in parts):
        return Finding("readiness", "ok", "nothing runs that should answer")
    unwell = [f"{part.name} ({part.detail})" for part in parts if part.pid and not part.is_ready]
    if not unwell:
        return Finding("readiness", "ok", "what runs is ready")
    return Finding("readiness", "warn", "; ".join(unwell), "`lab up` starts anew what lost it")


def _edges(settings: Settings) -> Finding:
    """As the warden sees them: harm is a run's business, what nobody of the lab made is not."""
    try:
        edges = asyncio.run(_seen_by_the_warden(settings))
    except LabError:
        return Finding("edges", "ok", "no warden to ask")
    strange = [str(edge) for edge in edges.values() if edge.strange]
    if not strange:
        return Finding("edges", "ok", f"{len(edges)}, each the lab's own")
    return Finding(
        *("edges", "fail", "; ".join(strange)),
        "somebody reaches Toxiproxy's control port; `lab heal` removes what is none of the shop's",
    )


async def _seen_by_the_warden(settings: Settings) -> Mapping[str, EdgeState]:
    headers = secret.headers(settings.secret_file)
    async with WardenClient(settings.url("warden"), headers=headers) as warden:
        return await warden.edges()


def _ports(settings: Settings) -> Finding:
    ours = processes.survivors(_supervisor(settings).births())
    taken = [name for name in PORTS if not port_is_free(HOST, settings.port(name))]
    held = {name: processes.pid_listening_on(settings.port(name)) for name in taken}
    foreign = {name: pid for name, pid in held.items() if pid not in ours}
    first, last = min(PORTS.values()), max(PORTS.values())
    found = f"{first + settings.port_offset}–{last + settings.port_offset}"
    if not foreign:
        return Finding("ports", "ok", f"{found}: nobody else uses them")
    return _held_ports(settings, foreign)


def _held_ports(settings: Settings, held: Mapping[str, int | None]) -> Finding:
    return Finding(
        "ports",
        "fail",
        "; ".join(
            f"{settings.port(name)} ({name}) is held by {processes.describe(pid)}"
            for name, pid in held.items()
        ),
        f"end that process, or move the lab: LAB_PORT_OFFSET={settings.port_offset + 100}",
    )


def _missing_tools(settings: Settings) -> list[toolbox.Tool]:
    missing = []
    for tool in toolbox.wanted(settings):
        try:
            if toolbox.find(tool, settings) is None:
                missing.append(tool)
        except ToolMissing:
            continue  # The user named a binary: it is wrong, not missing.
    return missing


def _engine(_: Settings) -> Finding:
    try:
        engine = container_engine.find()
    except ToolMissing as error:
        return Finding("container engine", "fail", "none that will do", str(error))
    return Finding("container engine", "ok", f"{engine.name} {engine.version}")


def _container_memory(_: Settings) -> Finding:
    free = psutil.virtual_memory().available
    found = f"{free / _GIB:.1f} GiB available"
    if free >= stack_compose.NEEDS_BYTES:
        return Finding("memory", "ok", found)
    return Finding(
        "memory", "fail", found, f"containers take {stack_compose.NEEDS_BYTES / _GIB:.0f} GiB"
    )


def _container_ports(settings: Settings) -> Finding:
    taken = stack_compose.taken_ports(settings)
    if not taken:
        return Finding("ports", "ok", "nobody uses those that containers publish")
    try:
        up = asyncio.run(container_engine.find().containers(compose_file.project(settings)))
    except LabError:
        up = ()
    if any(container.state == "running" for container in up):
        return Finding("ports", "ok", "the containers are up")
    held = {name: processes.pid_listening_on(port) for name, port in taken.items()}
    return _held_ports(settings, held)


def _addresses(settings: Settings) -> Finding:
    parts = asyncio.run(ExternalStack(settings).status())
    silent = [part for part in parts if not part.is_ready]
    if not silent:
        return Finding("addresses", "ok", f"{len(parts)} parts answer")
    return Finding(
        "addresses",
        "fail",
        "; ".join(f"{part.name}: {part.detail or part.state}" for part in silent),
        "start it where it runs, or correct the address: LAB_GATEWAY_URL, LAB_WARDEN_URL, "
        "LAB_TEMPO_URL, LAB_COLLECTOR_URL, LAB_COLLECTOR_METRICS_URL",
    )


def _supervisor(settings: Settings) -> Supervisor:
    return Supervisor(settings.run_dir, settings.log_dir, settings.port("supervisor"))


_CHECKS: Final[Mapping[str, tuple[Callable[[Settings], Finding], ...]]] = MappingProxyType(
    {
        "local": (
            *(_memory, _cache_disk, _tools, _go),
            *(_postgres_user, _postgres_data, _leftovers, _ports, _readiness, _edges),
        ),
        "compose": (_container_memory, _engine, _container_ports, _edges),
        "external": (_addresses, _edges),
    }
)
"""What to look at beside machine and state folder, by what `STACK` says."""
