"""The stack as containers of this machine: official images, the same configuration files."""

from __future__ import annotations

import asyncio
import math
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

import psutil

from lab.adapters import own_folders
from lab.adapters.cases.own_versions import own_versions
from lab.adapters.stack import compose_file, container_engine, processes
from lab.adapters.stack.container_engine import Container, Engine
from lab.adapters.stack.external import ExternalStack
from lab.adapters.stack.readiness import port_is_free
from lab.domain.instrumentation import Instrumentation
from lab.errors import StackNotReady, UsageError
from lab.ports.stack import PartStatus, StackCounters
from lab.settings import Settings
from lab.shop.keeper import secret
from lab.shop.topology import HOST

_MIB: Final = 2**20
NEEDS_BYTES: Final = 2048 * _MIB
"""Less than the sum of all limits: no part is at its limit while others are at theirs."""

_READY_WITHIN_S: Final = 180.0
_LOOK_EVERY_S: Final = 1.0
_LAST_LINES: Final = 15


class ComposeStack:
    """`Stack` by ``docker compose`` or ``podman-compose``.

    What has a port on this machine is asked there, services are seen through the
    warden, and of the rest the engine's own health checks tell.
    """

    def __init__(self, settings: Settings, engine: Engine | None = None) -> None:
        self._settings = settings
        self._found = engine
        self._outside = ExternalStack(settings)
        self._project = compose_file.project(settings)

    async def up(self) -> AsyncIterator[PartStatus]:
        """Start what is not running, its image made where it is missing; yields each part, ready.

        StackNotReady, before anything is started, where a port is taken or memory is
        short; later, with the last lines the engine said, where a part will not start.
        """
        parts = await self.status()
        if all(part.is_ready for part in parts):
            for part in parts:
                yield part
            return
        if all(part.state == "down" for part in parts):
            _expect_memory()
            self._expect_ports()
        for folder in compose_file.folders(self._settings):
            own_folders.make(folder)
        assert self._settings.secret_file is not None
        secret.make(self._settings.secret_file)
        starting = await self._compose("up", "--detach", "--build")
        try:
            async for part in self._as_they_become_ready(starting):
                yield part
        finally:
            await _end(starting)

    async def _as_they_become_ready(
        self, starting: asyncio.subprocess.Process
    ) -> AsyncIterator[PartStatus]:
        """Each part once. What pulls and builds may take its time; what then starts may not."""
        told: set[str] = set()
        give_up_s = math.inf
        while True:
            if starting.returncode not in {None, 0}:
                raise StackNotReady(self._explain("the containers to start", told))
            if starting.returncode == 0:
                give_up_s = min(give_up_s, time.monotonic() + _READY_WITHIN_S)
            parts = await self.status()
            for part in parts:
                if part.is_ready and part.name not in told:
                    told.add(part.name)
                    yield part
            if starting.returncode == 0 and len(told) == len(parts):
                return
            if time.monotonic() > give_up_s:
                missing = ", ".join(part.name for part in parts if not part.is_ready)
                late = f"{missing} to be ready within {_READY_WITHIN_S:.0f} s"
                raise StackNotReady(self._explain(late, told))
            await asyncio.sleep(_LOOK_EVERY_S)

    async def down(self) -> None:
        """Stop and remove every container; volumes keep their data."""
        await self._finished("down")

    async def clear(self) -> None:
        """The same, and remove the volumes with all data."""
        await self._finished("down", "--volumes")

    async def status(self) -> tuple[PartStatus, ...]:
        """Ask the engine, and every part that can be asked, all at once."""
        known = {each.service: each for each in await self._engine.containers(self._project)}
        outside: dict[str, PartStatus] = {}
        if known:
            outside = {part.name: part for part in await self._outside.status()}
        return tuple(
            self._part(service, known.get(service), outside.get(compose_file.part_of(service)))
            for service in self._services()
        )

    async def counters(self) -> StackCounters:
        """Spans and losses as any stack tells them; restarts as the engine counts them."""
        told = await self._outside.counters()
        containers = await self._engine.containers(self._project)
        lasting = set(self._services())
        restarts = {
            compose_file.part_of(each.service): each.restarts
            for each in containers
            if each.service in lasting
        }
        for name, count in told.restarts.items():
            restarts[name] = restarts.get(name, 0) + count
        return StackCounters(told.spans_ended, restarts, told.collector_dropped)

    async def instrument(self, level: Instrumentation) -> None:
        """Refuse every level but *full*: a container's keeper starts its service with all of it."""
        if level is not Instrumentation.FULL:
            raise UsageError(
                f"expected STACK=local for --instrumentation {level}, found STACK=compose"
            )

    def versions(self) -> Mapping[str, str]:
        """The engine, the pinned images, and the lab's own packages, which the image has too."""
        return {**own_versions(), **compose_file.tags(), self._engine.name: self._engine.version}

    @property
    def _engine(self) -> Engine:
        if self._found is None:
            self._found = container_engine.find()
        return self._found

    def _services(self) -> tuple[str, ...]:
        return compose_file.lasting(compose_file.read(), compose_file.profiles(self._settings))

    def _part(
        self, service: str, container: Container | None, outside: PartStatus | None
    ) -> PartStatus:
        port_name = compose_file.PUBLISHED.get(service)
        return PartStatus(
            name=compose_file.part_of(service),
            state=_word(container, outside),
            pid=container.pid if container else None,
            port=self._settings.port(port_name) if port_name else None,
            detail=(outside.detail if outside else "") or (container.state if container else ""),
        )

    def _expect_ports(self) -> None:
        offset = self._settings.port_offset + 100
        processes.expect_free(
            taken_ports(self._settings), f"LAB_PORT_OFFSET={offset} STACK=compose make up"
        )

    @property
    def _log(self) -> Path:
        return self._settings.log_dir / "compose.log"

    async def _compose(self, *words: str) -> asyncio.subprocess.Process:
        """Start one compose command; what it says goes to a log of its own."""
        command = container_engine.compose_command(self._engine, self._project, [compose_file.FILE])
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *command,
                *words,
                cwd=compose_file.FOLDER,
                env=compose_file.variables(
                    self._settings, root_is_user=self._engine.maps_root_to_user
                ),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=asyncio.subprocess.STDOUT,
                start_new_session=True,
            )

    async def _finished(self, *words: str) -> None:
        process = await self._compose(*words)
        if await process.wait() != 0:
            raise StackNotReady(self._explain(f"compose {words[0]} to succeed", set()))

    def _explain(self, expected: str, told: set[str]) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        end = "\n".join(f"    {line[:300]}" for line in lines[-_LAST_LINES:])
        ready = f"; ready were {', '.join(sorted(told))}" if told else ""
        return f"expected {expected}{ready}. The end of {self._log}:\n{end}"


def taken_ports(settings: Settings) -> dict[str, int]:
    """The ports that containers are to publish and somebody listens on: name → port."""
    named = {name: settings.port(name) for name in compose_file.published_ports()}
    return {name: port for name, port in named.items() if not port_is_free(HOST, port)}


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        await process.wait()


def _expect_memory() -> None:
    free = psutil.virtual_memory().available
    if free < NEEDS_BYTES:
        raise StackNotReady(
            f"expected {NEEDS_BYTES // _MIB} MiB of memory for the containers, found "
            f"{free // _MIB} MiB available; close something, or use STACK=local, which takes half"
        )


def _word(container: Container | None, outside: PartStatus | None) -> str:
    """One word for a part: ready, starting, failed or down."""
    if container is None:
        return "down"
    if container.state in {"exited", "dead"} or container.health == "unhealthy":
        return "failed"
    answers = outside is None or outside.is_ready
    return "ready" if container.health == "healthy" and answers else "starting"
