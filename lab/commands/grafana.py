"""The command that gives the local stack a Grafana, and what shades a case in it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from lab import bootstrap
from lab.adapters.stack.grafana import Launch, inherited, launch
from lab.commands.common import notes, run_async
from lab.errors import LabError, PartFailed, StackNotReady
from lab.settings import Settings
from lab.shop.topology import HOST

if TYPE_CHECKING:
    from lab.domain.evidence import Interval
    from lab.domain.load import Window

_END_WITHIN_S: Final = 5.0
_READY_WITHIN_S: Final = 300.0
"""A few seconds; an image that has to be fetched first takes minutes."""


def grafana() -> None:
    """Look at the local stack in Grafana, until Ctrl-C.

    Takes LAB_GRAFANA_HOME (an unpacked official archive), else the `grafana` on
    PATH or of Debian's package, else a container by docker or podman.
    """
    from lab.adapters.stack.readiness import port_is_free

    settings = Settings()
    launched = launch(settings)
    port = settings.port("grafana")
    if not port_is_free(HOST, port):
        raise StackNotReady(
            f"expected port {port} to be free for Grafana, found that something listens there; "
            "end it, or move the lab by LAB_PORT_OFFSET"
        )
    if settings.signals != "full":
        notes.print("only traces: `LAB_SIGNALS=full lab up` adds metrics and logs to look at")
    run_async(lambda: _serve(settings, launched))


async def show_case(settings: Settings, windows: Mapping[Window, Interval]) -> None:
    """Shade a case's stretches on the dashboards, where a Grafana runs; never fails a run."""
    async with bootstrap.grafana_annotations(settings) as annotations:
        if await annotations.is_there():
            try:
                await annotations.show(windows)
            except PartFailed as error:
                notes.print(str(error))


async def _serve(settings: Settings, launched: Launch) -> None:
    (settings.data_dir / "grafana").mkdir(parents=True, exist_ok=True)
    notes.print(f"starting {launched.found}")
    environment = {**inherited(), **launched.environment}
    process = await asyncio.create_subprocess_exec(*launched.command, env=environment)
    try:
        with notes.status("waiting for Grafana"):
            await _until_healthy(settings, process)
        notes.print(f"Grafana is at {settings.url('grafana')}; Ctrl-C ends it")
        await _show_open_case(settings)
        await process.wait()
    finally:
        await _end(process)
    if process.returncode:
        raise PartFailed(f"expected Grafana to run, found that it ended with {process.returncode}")


async def _until_healthy(settings: Settings, process: asyncio.subprocess.Process) -> None:
    from lab.adapters.stack.readiness import until_ready

    async with bootstrap.grafana_annotations(settings) as annotations:

        async def healthy() -> str | None:
            if (code := process.returncode) is not None:
                words = f"expected Grafana to start, it ended with {code}; see its last words above"
                raise PartFailed(words)
            return None if await annotations.is_there() else "no answer"

        await until_ready("Grafana to answer", healthy, deadline_s=_READY_WITHIN_S)


async def _show_open_case(settings: Settings) -> None:
    with contextlib.suppress(LabError):  # Nothing is open yet, or cannot be read.
        case = await asyncio.to_thread(bootstrap.archive(settings).load, None)
        await show_case(settings, case.evidence.windows)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _END_WITHIN_S)
    except TimeoutError:
        process.kill()
        await process.wait()
