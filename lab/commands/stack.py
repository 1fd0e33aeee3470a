"""Commands about the stack: up, down, status, doctor, tools, heal, load, clean."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeVar

import typer

from lab import bootstrap
from lab.adapters import own_folders
from lab.adapters.cases.run_lock import run_at_work
from lab.commands.common import (
    JsonOption,
    RevealOption,
    consent,
    console,
    notes,
    print_json,
    run_async,
)
from lab.errors import LabError, RunInProgress, ToolMissing
from lab.settings import Settings

if TYPE_CHECKING:
    from lab.adapters.tools.table import Located, Tool
    from lab.ports.warden import Warden

T = TypeVar("T")

PART_REFUSED_EXIT: Final = 2
"""Something was not the lab's own, and stays."""

WITHOUT_TEMPO: Final = (
    "Where Tempo cannot be built, STORE=jaeger takes its place: `STORE=jaeger make up` builds "
    "Jaeger instead, and nothing of Tempo is needed then."
)

UNKNOWN: Final = "unknown"
"""Stands for what the warden does not say: whether there is a lease, whether harm is stopped."""


def up() -> None:
    """Start everything that is not running, and wait until it is ready."""
    from lab.adapters.stack import collector_config
    from lab.terminal.stack_tables import StartDisplay

    settings = Settings()
    if settings.stack == "local":
        collector_config.check_backend(settings, os.environ)
        build_tools(settings)
    started = time.monotonic()

    async def start() -> int:
        stack = bootstrap.stack(settings)
        pending = [part.name for part in await stack.status() if not part.is_ready]
        count = 0
        with StartDisplay(notes, pending) as display:
            async for part in stack.up():
                count += 1
                display.ready(part.name)
                if part.detail:
                    notes.print(
                        f"{part.name} ran and was not ready, so it was started anew; "
                        f"before, it said: {part.detail}",
                    )
        return count

    count = run_async(start)
    notes.print(f"{count} parts ready after {time.monotonic() - started:.1f} s")
    notes.print(f"the desk is at {settings.url('desk')}", soft_wrap=True)


def down(
    force: Annotated[
        bool, typer.Option("--force", help="Also under a run at work, which then proves nothing.")
    ] = False,
) -> None:
    """Stop everything of this checkout; data and cases stay.

    Refuses while a run is at work.
    """
    settings = Settings()
    if settings.stack == "external":
        notes.print("STACK=external: whoever started that stack stops it; nothing was stopped")
        return
    at_work = run_at_work(settings.run_dir)
    if at_work and not force:
        raise RunInProgress(
            f"expected no run at work, found {at_work}; nothing was stopped. Wait for it to end, "
            "stop it with Ctrl-C in its own terminal, or say `lab down --force`"
        )
    started = time.monotonic()
    with notes.status("stopping"):
        run_async(bootstrap.stack(settings).down)
    notes.print(f"stopped after {time.monotonic() - started:.1f} s")


def status(as_json: JsonOption = False) -> None:
    """Say what runs, where, whether a lease is held, and whether harm is stopped.

    As JSON the lease is an object, null where none is held, or "unknown"; whether harm is
    stopped is true, false or "unknown".
    """
    from lab.terminal.stack_tables import status_table

    settings = Settings()

    async def ask() -> dict[str, Any]:
        async with bootstrap.lab(settings) as lab, bootstrap.lever(settings) as lever:
            parts = [
                {"name": each.name, "state": each.state, "pid": each.pid, "port": each.port}
                for each in await lab.stack.status()
            ]
            return {
                "parts": parts,
                "lease": await _or_unknown(_lease(lab.warden)),
                "harm_stopped": await _or_unknown(lever.is_pulled()),
            }

    found = run_async(ask)
    parts = found["parts"]
    if as_json:
        print_json(found)
    else:
        console.print(status_table(parts, found["lease"], found["harm_stopped"]))
    if any(part["state"] != "ready" for part in parts):
        raise typer.Exit(1)


async def _lease(warden: Warden) -> dict[str, Any] | None:
    lease = await warden.current()
    if lease is None:
        return None
    return {"holder": lease.holder, "state": lease.state, "expires_in_s": lease.expires_in_s}


async def _or_unknown(asked: Awaitable[T]) -> T | str:
    try:
        return await asked
    except LabError:
        return UNKNOWN


def doctor(as_json: JsonOption = False) -> None:
    """Check this machine and this checkout, and say what to do about each finding."""
    from lab.adapters.stack.doctor import examine
    from lab.terminal.stack_tables import doctor_table

    findings = examine(Settings())
    if as_json:
        print_json(
            [
                {"name": f.name, "level": f.level, "found": f.found, "advice": f.advice}
                for f in findings
            ]
        )
    else:
        console.print(doctor_table(findings))
    if any(finding.level == "fail" for finding in findings):
        raise typer.Exit(1)


def tools(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]…", help="Only these, wanted or not.")
    ] = None,
    *,
    build: Annotated[bool, typer.Option("--build", help="Build what is missing.")] = False,
    all_tools: Annotated[
        bool,
        typer.Option(
            "--all", help="Also those of LAB_SIGNALS=full, Jaeger, and what their tests need."
        ),
    ] = False,
    pack: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write them into a folder that LAB_TOOLS_FROM takes elsewhere."
        ),
    ] = None,
    key: Annotated[bool, typer.Option("--key", help="Print only the cache key for CI.")] = False,
    as_json: JsonOption = False,
) -> None:
    """List the tools, where each came from, and a key under which CI may cache them.

    Without a name or --all, those of the stack that the settings ask for. A pack also says what
    the licences ask of who passes it on.
    """
    from lab.adapters.tools import toolbox as adapter
    from lab.terminal.stack_tables import tools_table

    settings = Settings()
    listed = adapter.ALL_TOOLS if all_tools else adapter.wanted(settings)
    if names:
        listed = adapter.named(names)
    if pack is not None:
        _pack(pack, listed, settings)
    if build:
        build_tools(settings, listed)
    cache_key = adapter.cache_key(settings)
    if key:
        typer.echo(cache_key)
        return
    rows = [_row(tool, adapter.find(tool, settings)) for tool in listed]
    if as_json:
        print_json({"tools": rows, "cache_key": cache_key, "cache_dir": str(settings.cache_dir)})
    else:
        console.print(tools_table(rows, cache_key))
        optional = (*adapter.ALL_TOOLS, adapter.COLLECTOR_FOR_DATADOG)
        left = [tool.name for tool in optional if tool not in listed]
        if left and not names:
            how = f"optional, built by `lab tools --build NAME`: {', '.join(left)}"
            console.print(how)
    if any(row["path"] is None for row in rows):
        raise typer.Exit(1)


def _pack(folder: Path, listed: Sequence[Tool], settings: Settings) -> None:
    from lab.adapters.tools import toolbox
    from lab.terminal.stack_tables import BuildDisplay

    with BuildDisplay(notes) as display:
        toolbox.pack_into(folder, listed, settings, display)
    notes.print(
        f"{len(listed)} tools are in {folder}: `LAB_TOOLS_FROM={folder.resolve()}` takes them "
        f"from there. Before you pass it on, read {folder / 'README.md'}",
        soft_wrap=True,
    )


def _row(tool: Tool, located: Located | None) -> dict[str, object]:
    return {
        "name": tool.name,
        "version": tool.version,
        "source": located.source if located else "missing",
        "path": str(located.path) if located else None,
    }


def build_tools(settings: Settings, listed: Sequence[Tool] | None = None) -> None:
    """Build what is missing, a line of progress for each tool."""
    from lab.adapters.tools import toolbox as adapter
    from lab.terminal.stack_tables import BuildDisplay

    asked_for = listed or adapter.wanted(settings)
    try:
        with BuildDisplay(notes) as display:
            adapter.ensure(asked_for, settings, display)
    except ToolMissing as error:
        missing = {tool.name for tool in asked_for if adapter.find(tool, settings) is None}
        if "tempo" not in missing or settings.stack != "local":
            raise
        raise ToolMissing(f"{error}\n{WITHOUT_TEMPO}") from error
    if own_folders.is_something_aside(settings.cache_dir):
        notes.print("the builds' caches are removed behind, which may take minutes; go on")


def heal(reveal: RevealOption = False, as_json: JsonOption = False) -> None:
    """Return from any state to a clean shop: no toxic, no changed setting, no lease."""
    settings = Settings()

    async def clean() -> dict[str, object]:
        async with bootstrap.lab(settings) as lab:
            removal = await lab.warden.heal()
        found: dict[str, object] = {
            "removed": removal.count,
            "method": removal.method,
            "proven_clean": removal.proven_clean,
            "strangers": list(removal.strangers),
        }
        if reveal:
            found["faults"] = [f"{fault.edge}: {fault.toxic or 'down'}" for fault in removal.faults]
            found["conditions"] = list(removal.conditions)
        return found

    found = run_async(clean)
    if as_json:
        print_json(found)
    else:
        things = "nothing to remove" if found["removed"] == 0 else f"{found['removed']} removed"
        console.print(f"{things}; the shop is {'clean' if found['proven_clean'] else 'NOT clean'}")
        for name in ("strangers", "faults", "conditions"):
            for thing in found.get(name, ()):  # type: ignore[attr-defined]
                console.print(f"  {thing}")
    if not found["proven_clean"]:
        raise typer.Exit(2)


def load(
    context: typer.Context,
    any_number: Annotated[
        bool, typer.Option("--yes-really", help="Take more users than this machine bears.")
    ] = False,
) -> None:
    """Load the shop by hand with Locust's own web page (--users 20, --headless, --master …)."""
    from lab.adapters.free_play import free_play_command

    command, environment = free_play_command(Settings(), context.args, any_number=any_number)
    os.execvpe(command[0], command, environment)  # noqa: S606 — Locust takes this terminal over


def clean(
    force: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    cases: Annotated[bool, typer.Option("--cases", help="The cases too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Stop everything and delete what the lab made here: run, log and data; cases stay.

    Only folders that bear the lab's own mark are removed, and what lies beside them stays.
    """
    settings = Settings()
    parts = [settings.run_dir, settings.log_dir, settings.data_dir]
    parts += [settings.cases_dir] if cases else []
    there = [folder for folder in parts if folder.exists()]
    reasons = {folder: own_folders.why_not(folder) for folder in there}
    mine = [folder for folder in there if reasons[folder] is None]
    sizes = {folder: own_folders.size_bytes(folder) for folder in mine}
    notes.print(f"{settings.state_dir}: {'to be removed' if mine else 'nothing to clean'}")
    for folder, taken in sizes.items():
        notes.print(f"  {folder.name}/  {taken / 2**20:.1f} MiB")
    for reason in filter(None, reasons.values()):
        notes.print(f"  stays: {reason}", soft_wrap=True)
    if mine:
        consent("Remove them?", force=force)
        down()
        if settings.stack == "compose":
            run_async(bootstrap.compose_stack(settings).clear)
    # Stopping may have made one of them anew.
    for folder in parts if mine else ():
        if folder.exists() and own_folders.why_not(folder) is None:
            own_folders.remove(folder)
    is_gone = mine and own_folders.leave(settings.state_dir)
    if as_json:
        kept = [reason for reason in reasons.values() if reason]
        print_json({"removed": [str(each) for each in mine], "kept": kept})
    elif mine:
        stay = "" if is_gone or cases else f"; cases stay in {settings.cases_dir} (--cases)"
        notes.print(f"removed{stay}; built tools stay in {settings.cache_dir}", soft_wrap=True)
    if len(mine) < len(there):
        raise typer.Exit(PART_REFUSED_EXIT)
