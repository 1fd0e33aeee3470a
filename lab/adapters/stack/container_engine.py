"""The container engine of this machine: docker with its compose plugin, or podman."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from lab.errors import PartFailed, ToolMissing
from lab.frozen import dataclass

_ANSWER_S: Final = 20.0
_OLDEST: Final[Mapping[str, tuple[int, int]]] = {
    "docker compose": (2, 20),  # `depends_on` by health and by completion, in one file
    "podman": (4, 3),
    "podman-compose": (1, 3),
}
_PROJECT: Final = "com.docker.compose.project"
_SERVICE: Final = "com.docker.compose.service"


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a project, by the name of its service in the compose file.

    ``health`` is healthy, unhealthy, starting, or empty where none is checked.
    """

    service: str
    identity: str
    state: str
    health: str
    pid: int | None
    restarts: int


@dataclass(frozen=True, slots=True)
class Engine:
    """An engine that answers, and the command that reads compose files for it."""

    name: str
    version: str
    compose: tuple[str, ...]

    @property
    def maps_root_to_user(self) -> bool:
        """Whether root inside a container is this user outside: podman without root."""
        return self.name == "podman" and os.geteuid() != 0

    async def containers(self, project: str) -> tuple[Container, ...]:
        """Every container of ``project``, also those that ended."""
        listed = await self._run("ps", "-aq", "--filter", f"label={_PROJECT}={project}")
        identities = listed.split()
        if not identities:
            return ()
        told = json.loads(await self._run("inspect", *identities))
        return tuple(await asyncio.gather(*(self._container(each) for each in told)))

    async def _container(self, told: Mapping[str, Any]) -> Container:
        state = told["State"]
        health = (state.get("Health") or state.get("Healthcheck") or {}).get("Status") or ""
        identity = told["Id"]
        if self.name == "podman" and health == "starting" and state["Status"] == "running":
            # Its own checks are timers of systemd, and not every machine has one.
            healthy = await self._succeeds("healthcheck", "run", identity)
            health = "healthy" if healthy else health
        return Container(
            service=told["Config"]["Labels"].get(_SERVICE, ""),
            identity=identity,
            state=state["Status"],
            health=health,
            pid=state.get("Pid") or None,
            restarts=told.get("RestartCount") or 0,
        )

    async def _succeeds(self, *words: str) -> bool:
        process = await asyncio.create_subprocess_exec(
            self.name,
            *words,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return await process.wait() == 0

    async def _run(self, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            self.name, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        output, problem = await process.communicate()
        if process.returncode != 0:
            raise PartFailed(
                f"expected {self.name} to do {words[0]}, it ended with {process.returncode}: "
                f"{problem.decode(errors='replace').strip()[-500:]}"
            )
        return output.decode()


def find() -> Engine:
    """The engine that is there; ToolMissing says of each why it will not do."""
    reasons = []
    for look in (_docker, _podman):
        found = look()
        if isinstance(found, Engine):
            return found
        reasons.append(found)
    raise ToolMissing(
        f"expected a container engine, found {' and '.join(reasons)}; install or start one, or "
        "use the stack that needs none: STACK=local"
    )


def _docker() -> Engine | str:
    if shutil.which("docker") is None:
        return "no docker"
    server = _answer("docker", "version", "--format", "{{.Server.Version}}")
    if server is None:
        return "docker, whose daemon does not answer"
    compose = _answer("docker", "compose", "version", "--short")
    if compose is None:
        return f"docker {server} without its compose plugin"
    return _too_old("docker compose", compose) or Engine("docker", server, ("docker", "compose"))


def _podman() -> Engine | str:
    if shutil.which("podman") is None:
        return "no podman"
    version = _answer("podman", "version", "--format", "{{.Client.Version}}")
    if version is None:
        return "podman, which does not answer"
    beside = Path(sys.executable).with_name("podman-compose")
    program = str(beside) if beside.exists() else shutil.which("podman-compose")
    if program is None:
        return f"podman {version} without podman-compose"
    compose = _answer(program, "--version") or "?"
    return (
        _too_old("podman", version)
        or _too_old("podman-compose", compose)
        or Engine("podman", version, (program,))
    )


def _too_old(what: str, version: str) -> str | None:
    numbers = re.search(r"(\d+)\.(\d+)", version)
    oldest = _OLDEST[what]
    if numbers and (int(numbers[1]), int(numbers[2])) >= oldest:
        return None
    return f"{what} {version}, older than {'.'.join(map(str, oldest))}"


def _answer(*command: str) -> str | None:
    """What a command prints, on one line; None where it fails or hangs."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_ANSWER_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip().partition("\n")[0] if done.returncode == 0 else None


def compose_command(engine: Engine, project: str, files: Iterable[Path]) -> Sequence[str]:
    """The command up to its verb."""
    chosen = (word for file in files for word in ("-f", str(file)))
    return (*engine.compose, "-p", project, *chosen)
