"""`supervisord`: writes its configuration, starts it, and asks it over XML-RPC.

It listens on a loopback port behind a random password, not on a Unix socket:
the path of a socket may have some 100 bytes, and a checkout lies where it lies.
"""

from __future__ import annotations

import configparser
import contextlib
import os
import re
import secrets
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx

from lab.adapters import loopback
from lab.adapters.stack.processes import Birth
from lab.errors import PartFailed
from lab.frozen import dataclass
from lab.shop.topology import HOST

_USER: Final = "lab"
_PID_FILE: Final = "supervisord.pid"
_CALL_TIMEOUT_S: Final = 2.0
_ALREADY_STARTED: Final = 60
_ENDED_AT_ONCE: Final = 50
"""`SPAWN_ERROR`, which it also says of a process that ended before it had looked again."""

_NOT_RUNNING: Final = 70
# A line of its log reads: 2026-11-22 16:31:05,118 INFO spawned: (name in quotes) with pid 4711
_SPAWNED: Final = re.compile(r"^(\S+ \S+),(\d{3}) \w+ spawned: '(\S+)' with pid (\d+)")
_DAEMON: Final = re.compile(r"^(\S+ \S+),(\d{3}) \w+ supervisord started with pid (\d+)")
_SPECIAL: Final = re.compile(r"[(;#]|(?<=\s)$")
_NO_CHARACTER: Final = "%(here).0s"
"""What it expands to nothing. After a blank, ``;`` and ``#`` begin a comment; a blank at the end
is dropped; and ``%(here)s`` is put in even where the ``%`` is doubled."""

_DIED: Final = re.compile(r"^\S+ \S+ \w+ exited: (\S+) \(")


@dataclass(frozen=True, slots=True)
class Program:
    """One process under supervision.

    Programs of a higher ``stop_order`` are stopped first, together; the next
    lower order follows when they are gone. ``grace_s`` is what a process has
    between its stop signal and SIGKILL, in whole seconds.
    """

    name: str
    command: tuple[str, ...]
    stop_order: int
    stop_signal: str = "TERM"
    grace_s: int = 5
    environment: tuple[tuple[str, str], ...] = ()
    directory: Path | None = None
    """Where it runs, if not where all do."""

    @property
    def group(self) -> str:
        """Supervisord stops a group at once, and group after group."""
        return f"stop{self.stop_order}"


@dataclass(frozen=True, slots=True)
class ProcessState:
    """What supervisord knows of a program: its own word for the state, and the pid.

    ``uptime_s`` is since its last start, and means nothing of one that does not run.
    """

    name: str
    group: str
    state: str
    pid: int | None
    detail: str
    uptime_s: float = 0.0

    @property
    def is_up(self) -> bool:
        """Whether a process exists that has not been given up."""
        return self.state in {"STARTING", "RUNNING"}


class Supervisor:
    """One supervisord, known by its configuration file in ``run_dir``."""

    def __init__(self, run_dir: Path, log_dir: Path, port: int) -> None:
        self._config = run_dir / "supervisord.conf"
        self._log = log_dir / "supervisord.log"
        self._log_dir = log_dir
        self._port = port

    def configure(self, programs: Iterable[Program], *, directory: Path) -> None:
        """Write the configuration, with a new password, for the owner's eyes only."""
        parser = configparser.RawConfigParser()
        parser.read_dict(self._sections(tuple(programs), directory))
        # Whole or not at all: a full disk must not leave a file that nobody can log in with.
        draft = self._config.with_suffix(".draft")
        descriptor = os.open(draft, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            parser.write(file)
        draft.replace(self._config)

    def launch(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start supervisord in a session of its own; its programs inherit ``environment``.

        Each session has a log of its own, because the log is also the record of
        what was started: `births` and `deaths` read it.
        """
        if self._log.exists():
            self._log.replace(self._log.with_suffix(".log.1"))
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._config)]
        with self._log.with_suffix(".out").open("wb") as output:
            return subprocess.Popen(
                command,
                env=dict(environment),
                cwd=self._log_dir,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in the terminal is not meant for the stack.
                umask=0o077,  # Logs and data are their owner's alone, file by file.
            )

    async def answers(self) -> bool:
        """Whether a supervisord of ours is there, be it on its way out."""
        try:
            return await self._call("getState") is not None
        except xmlrpc.client.Fault:
            return True  # It answers nothing else once it is shutting down.

    async def states(self) -> Mapping[str, ProcessState] | None:
        """Every program by name; None when no supervisord of ours answers."""
        try:
            answer = await self._call("getAllProcessInfo")
        except xmlrpc.client.Fault as fault:
            raise PartFailed(
                f"expected supervisord to list its programs, it said {fault.faultString}; if it "
                "is shutting down, wait a moment"
            ) from fault
        if not isinstance(answer, list):
            return None
        return {
            entry["name"]: ProcessState(
                name=entry["name"],
                group=entry["group"],
                state=entry["statename"],
                pid=entry["pid"] or None,
                detail=entry["spawnerr"] or entry["description"],
                uptime_s=entry["now"] - entry["start"],
            )
            for entry in answer
        }

    async def start(self, process: ProcessState) -> None:
        """Start one program without waiting for it; nothing happens if it runs.

        Of one that ends at once, or cannot be run, `states` tells.
        """
        await self._tell("startProcess", process, harmless=(_ALREADY_STARTED, _ENDED_AT_ONCE))

    async def stop(self, process: ProcessState) -> None:
        """Stop one program for good without waiting; nothing happens if it does not run."""
        await self._tell("stopProcess", process, harmless=(_NOT_RUNNING,))

    async def shutdown(self) -> bool:
        """Ask supervisord to stop everything and itself; False if none answers."""
        try:
            return await self._call("shutdown") is not None
        except xmlrpc.client.Fault:
            return True  # It is shutting down already.

    def births(self) -> tuple[Birth, ...]:
        """Every process of this session, restarts and supervisord itself included."""
        births = []
        for line in self._session():
            if match := _SPAWNED.match(line):
                births.append(Birth(match[3], int(match[4]), _unix(match[1], match[2])))
            elif match := _DAEMON.match(line):
                births.append(Birth("supervisord", int(match[3]), _unix(match[1], match[2])))
        return tuple(births)

    def deaths(self) -> Mapping[str, int]:
        """How often each program of this session ended although nobody had asked."""
        return Counter(match[1] for line in self._session() if (match := _DIED.match(line)))

    def log_of(self, name: str) -> Path:
        """The file that holds what a program wrote to its standard output and error."""
        return self._log_dir / f"{name}.log"

    def last_lines(self, name: str, count: int = 12) -> str:
        """The end of a program's log, indented for an error message.

        What keeps supervisord itself from starting is in its output and not in its log.
        """
        lines: list[str] = []
        for path in (self.log_of(name), self.log_of(name).with_suffix(".out")):
            with contextlib.suppress(OSError):
                lines += path.read_text(encoding="utf-8", errors="replace").splitlines()[-count:]
        lines = lines or ["(its log is empty)"]
        return "\n".join(f"    {line[:300]}" for line in lines)

    def _session(self) -> list[str]:
        try:
            return self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []

    def _sections(
        self, programs: tuple[Program, ...], directory: Path
    ) -> dict[str, dict[str, str]]:
        sections = {
            "supervisord": {
                "nodaemon": "true",
                "silent": "true",
                "logfile": _literal(str(self._log)),
                "logfile_maxbytes": "0",
                "pidfile": _literal(str(self._config.with_name(_PID_FILE))),
                "childlogdir": _literal(str(self._log_dir)),
            },
            "inet_http_server": {
                "port": f"{HOST}:{self._port}",
                "username": _USER,
                "password": secrets.token_hex(16),
            },
            "rpcinterface:supervisor": {
                "supervisor.rpcinterface_factory": "supervisor.rpcinterface:make_main_rpcinterface"
            },
        }
        for program in programs:
            sections[f"program:{program.name}"] = {
                "command": _literal(shlex.join(program.command)),
                "directory": _literal(str(program.directory or directory)),
                "autostart": "false",  # `up` starts each when what it needs is ready.
                "autorestart": "true",
                "environment": ",".join(f'{name}="{text}"' for name, text in program.environment),
                "stopsignal": program.stop_signal,
                "stopwaitsecs": str(program.grace_s),
                "killasgroup": "true",
                "redirect_stderr": "true",
                # From where supervisord stands: this value, alone of all, it expands twice.
                "stdout_logfile": self.log_of(program.name).name,
                "stdout_logfile_maxbytes": "5MB",
                "stdout_logfile_backups": "2",
            }
            group = sections.setdefault(
                f"group:{program.group}", {"programs": "", "priority": str(program.stop_order)}
            )
            group["programs"] = ",".join(filter(None, (group["programs"], program.name)))
        return sections

    async def _tell(self, method: str, process: ProcessState, *, harmless: Sequence[int]) -> None:
        try:
            answer = await self._call(method, f"{process.group}:{process.name}", False)
        except xmlrpc.client.Fault as fault:
            if fault.faultCode in harmless:
                return
            raise PartFailed(
                f"expected supervisord to do {method} for {process.name}, it said "
                f"{fault.faultString}"
            ) from fault
        if answer is None:
            raise PartFailed(
                f"expected supervisord to do {method} for {process.name}, it does not answer; "
                f"see {self._log}"
            )

    async def _call(self, method: str, *arguments: str | bool) -> object:
        credentials = self._credentials()
        if credentials is None:
            return None
        body = xmlrpc.client.dumps(arguments, f"supervisor.{method}")
        try:
            async with loopback.client(_CALL_TIMEOUT_S) as client:
                response = await client.post(
                    f"http://{HOST}:{self._port}/RPC2",
                    content=body,
                    auth=credentials,
                    headers={"Content-Type": "text/xml"},
                )
                response.raise_for_status()
        except httpx.HTTPError:
            return None
        (answer,), _ = xmlrpc.client.loads(response.text)
        return answer

    def _credentials(self) -> tuple[str, str] | None:
        parser = configparser.RawConfigParser()
        try:
            parser.read(self._config, encoding="utf-8")
        except configparser.Error:
            return None
        password = parser.get("inet_http_server", "password", fallback=None)
        return None if password is None else (_USER, password)


def daemon_pid(run_dir: Path) -> int | None:
    """The process id of the supervisord that ``run_dir`` belongs to; None where none says."""
    try:
        return int((run_dir / _PID_FILE).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _literal(value: str) -> str:
    """``value`` as supervisord reads it back: what it would take for more is set apart."""
    return _SPECIAL.sub(lambda found: _NO_CHARACTER + found[0], value.replace("%", "%%"))


def _unix(local_time: str, milliseconds: str) -> float:
    return time.mktime(time.strptime(local_time, "%Y-%m-%d %H:%M:%S")) + int(milliseconds) / 1000
