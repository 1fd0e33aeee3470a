"""The local stack: real parts as processes of this machine, under one supervisord."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from lab.adapters import loopback, own_folders
from lab.adapters.cases.own_versions import own_versions
from lab.adapters.stack import (
    collector_config,
    collector_metrics,
    collector_variant,
    local_parts,
    local_programs,
    processes,
)
from lab.adapters.stack.local_parts import Part
from lab.adapters.stack.postgres import LocalPostgres
from lab.adapters.stack.readiness import port_is_free, until_ready
from lab.adapters.stack.shop_control import ShopControl
from lab.adapters.stack.startup import STARTING_S, Startup
from lab.adapters.stack.supervisor import ProcessState, Supervisor
from lab.adapters.tools import toolbox
from lab.domain.instrumentation import Instrumentation
from lab.errors import LabError, StackNotReady, ToolMissing, WaitTimeout
from lab.ports.services import ServiceState
from lab.ports.stack import PartStatus, StackCounters
from lab.settings import CHECKOUT, Settings
from lab.shop.keeper import secret
from lab.shop.topology import HOST

_LOCK_WAIT_S: Final = 120.0
_SUPERVISOR_DEADLINE_S: Final = 10.0
_DOWN_DEADLINE_S: Final = 15.0
_LOOK_DEADLINE_S: Final = 0.8
_LEFTOVER_GRACE_S: Final = 1.0


class LocalStack:
    """Everything of one checkout; two of them live side by side on different port offsets."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._supervisor = Supervisor(
            settings.run_dir, settings.log_dir, settings.port("supervisor")
        )

    async def up(self) -> AsyncIterator[PartStatus]:
        """Start what is not running; yields each part as it becomes ready.

        What runs and is ready is left alone; what runs and lost its readiness is
        started anew, and its ``detail`` says what it had been seen to say. StackNotReady
        names the part that died or did not get ready, with the last lines of its log; the
        others stay up, to be looked at. A second `up` waits for the first.
        """
        async with self._exclusively(), loopback.client() as client:
            parts = local_parts.local_parts(
                self._settings,
                client,
                first_start=not LocalPostgres(self._settings).is_prepared,
            )
            running = await self._supervisor.states()
            await self._end_leftovers(running or {})
            supervised = [name for name, state in (running or {}).items() if state.is_up]
            parts = await local_parts.left_to_others(parts, supervised)
            self._check_ports(parts, running)
            if running is None:
                await self._launch()
            startup = Startup(parts, self._supervisor)
            async for part in startup.run():
                ready = await self._just_ready(part)
                yield replace(ready, detail=startup.revived.get(part.name, ""))

    async def down(self) -> None:
        """Stop everything of this checkout, and see to it that nothing of it is left."""
        async with self._exclusively():
            if await self._supervisor.shutdown():
                with contextlib.suppress(WaitTimeout):  # Then it is ended like its programs.
                    await until_ready("the stack to stop", self._gone, deadline_s=_DOWN_DEADLINE_S)
            await self._end_leftovers({})

    async def status(self) -> tuple[PartStatus, ...]:
        """Ask every part for its readiness, all at once; takes less than a second."""
        async with loopback.client() as client:
            parts = local_parts.local_parts(self._settings, client)
            (running, services), seen = await asyncio.gather(
                asyncio.gather(self._supervisor.states(), self._service_states()),
                asyncio.gather(*(_look(part) for part in parts)),
            )
        return tuple(
            self._status(part, saw, running or {}, services)
            for part, saw in zip(parts, seen, strict=True)
        )

    async def stop_part(self, name: str) -> None:
        """Stop one part; it stays down until the next `up`."""
        await self._supervisor.stop(await self._process(name))

    async def pid_of(self, name: str) -> int | None:
        """The process of a part; None where none runs."""
        return (await self._process(name)).pid

    async def restart_part(self, name: str) -> None:
        """Kill one part, be it hung; supervisord starts it anew. Does not wait for that."""
        process = await self._process(name)
        if process.pid is not None:
            with contextlib.suppress(ProcessLookupError):  # It died on its own meanwhile.
                os.kill(process.pid, signal.SIGKILL)

    async def _process(self, name: str) -> ProcessState:
        states = await self._supervisor.states() or {}
        if name not in states:
            raise StackNotReady(f"expected {name} to be supervised, found {', '.join(states)}")
        return states[name]

    async def counters(self) -> StackCounters:
        """Read every process's counters; StackNotReady if one cannot be read."""
        services = await self._keeper().states()
        running = await self._supervisor.states() or {}
        async with loopback.client() as client:
            dropped = await collector_metrics.spans_dropped(
                client, self._settings.url("otelcol_metrics")
            )
        deaths = self._supervisor.deaths()
        return StackCounters(
            spans_ended={name: state.spans_ended for name, state in services.items()},
            # The desk only reads; no case depends on it.
            restarts={name: deaths.get(name, 0) for name in running if name != "desk"}
            | {name: state.restarts for name, state in services.items()},
            collector_dropped=dropped,
        )

    async def instrument(self, level: Instrumentation) -> None:
        """Let the shop write down so much; its services restart where that is a change."""
        await self._keeper().instrument(level)

    def versions(self) -> Mapping[str, str]:
        """What runs, for a case's manifest: the lab, its tools, and what makes the spans."""
        tool_versions = {tool.part: tool.version for tool in toolbox.wanted(self._settings)}
        return {**own_versions(), **tool_versions}

    async def _gone(self) -> str | None:
        # Asking also wakes supervisord, which else looks up once a second.
        if await self._supervisor.answers():
            return "still stopping"
        births = self._supervisor.births()
        lives = any(birth.lives for birth in births if birth.name == "supervisord")
        return "still ending" if lives else None

    async def _launch(self) -> None:
        """Write every generated file, then start supervisord and wait for its answer."""
        settings = self._settings
        data = [settings.data_dir / name for name in ("tempo", "prometheus", "loki")]
        own_folders.make_parts(settings)
        for folder in data:
            folder.mkdir(mode=0o700, exist_ok=True)
        assert settings.secret_file is not None
        secret.make(settings.secret_file)
        collector_config.check_backend(settings, os.environ)
        programs = local_programs.programs(settings, _binaries(settings))
        if settings.postgres_dsn is None:
            await asyncio.to_thread(LocalPostgres(settings).prepare)
        collector_variant.reset(settings)
        collector_config.make_copies(settings)
        for file, content in (
            (local_programs.proxies_file(settings), local_programs.proxies(settings)),
            (local_programs.doors_file(settings), local_programs.doors(settings)),
        ):
            file.write_text(json.dumps(content, indent=2), encoding="utf-8")
        self._supervisor.configure(programs, directory=CHECKOUT)
        daemon = self._supervisor.launch(local_programs.environment(settings))

        async def answering() -> str | None:
            if daemon.poll() is not None:
                raise StackNotReady(
                    f"expected supervisord to run, it ended with {daemon.returncode}:\n"
                    f"{self._supervisor.last_lines('supervisord')}"
                )
            return "no answer" if await self._supervisor.states() is None else None

        await until_ready(
            f"supervisord on port {settings.port('supervisor')}",
            answering,
            deadline_s=_SUPERVISOR_DEADLINE_S,
        )

    async def _end_leftovers(self, running: Mapping[str, ProcessState]) -> None:
        """End what belongs to no running program: what a killed supervisord left behind."""
        births = self._supervisor.births()
        if running:
            pids = {state.pid for state in running.values()}
            births = tuple(b for b in births if b.pid not in pids and b.name != "supervisord")
        left = processes.survivors(births)
        await asyncio.to_thread(processes.end, left, grace_s=_LEFTOVER_GRACE_S)

    def _check_ports(
        self, parts: tuple[Part, ...], running: Mapping[str, ProcessState] | None
    ) -> None:
        needed = [] if running is not None else ["supervisor"]
        for part in parts:
            state = (running or {}).get(part.program or "")
            if part.starts and part.program and not (state and state.is_up):
                needed += part.ports
        taken = {
            name: self._settings.port(name)
            for name in needed
            if not port_is_free(HOST, self._settings.port(name))
        }
        processes.expect_free(taken, f"LAB_PORT_OFFSET={self._settings.port_offset + 100} make up")

    async def _just_ready(self, part: Part) -> PartStatus:
        running = await self._supervisor.states() or {}
        # The keeper asks every service before it answers, and some are still starting.
        return self._status(part, None, running, services={})

    def _status(
        self,
        part: Part,
        saw: str | None,
        running: Mapping[str, ProcessState],
        services: Mapping[str, ServiceState],
    ) -> PartStatus:
        process = running.get(part.program or "")
        service = services.get(part.name)
        pid = service.pid if service else process.pid if process and part.starts else None
        return PartStatus(
            name=part.name,
            state=_word(part, saw, process),
            pid=pid,
            port=self._settings.port(part.shown_port) if part.shown_port else None,
            detail=saw or "",
        )

    async def _service_states(self) -> Mapping[str, ServiceState]:
        try:
            async with asyncio.timeout(_LOOK_DEADLINE_S):
                return await self._keeper().states()
        except (LabError, TimeoutError):
            return {}

    def _keeper(self) -> ShopControl:
        url = self._settings.url("shop_control")
        headers = secret.headers(self._settings.secret_file)
        return ShopControl(url, transport=loopback.transport(), headers=headers)

    @contextlib.asynccontextmanager
    async def _exclusively(self) -> AsyncIterator[None]:
        """Hold this checkout's stack; whoever else starts or stops it waits."""
        own_folders.make(self._settings.run_dir)
        with (self._settings.run_dir / "stack.lock").open("w") as lock:

            async def obtained() -> str | None:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    return "still at work"
                return None

            await until_ready(
                "another `lab up` or `lab down` of this checkout to end",
                obtained,
                deadline_s=_LOCK_WAIT_S,
            )
            yield


def _binaries(settings: Settings) -> dict[str, Path]:
    found = {tool.part: toolbox.find(tool, settings) for tool in toolbox.wanted(settings)}
    missing = [name for name, located in found.items() if located is None]
    if missing:
        raise ToolMissing(
            f"expected the tools of the local stack, found no {', '.join(missing)}; "
            "`lab tools --build` builds them"
        )
    return {name: located.path for name, located in found.items() if located is not None}


async def _look(part: Part) -> str | None:
    try:
        async with asyncio.timeout(_LOOK_DEADLINE_S):
            return await part.probe()
    except TimeoutError:
        return f"no answer within {_LOOK_DEADLINE_S} s"


def _word(part: Part, saw: str | None, process: ProcessState | None) -> str:
    """One word for a part: ready, starting, unwell (it should be ready), failed or down."""
    if saw is None:
        return "ready"
    if process is not None and process.is_up:
        return "starting" if process.uptime_s < STARTING_S else "unwell"
    if process is not None and process.state in {"FATAL", "BACKOFF", "EXITED"}:
        return "failed"
    return "failed" if part.program is None else "down"
