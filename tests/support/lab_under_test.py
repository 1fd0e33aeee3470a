"""The lab as a user calls it, on real parts, ports of its own and a state folder of its own."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from lab import bootstrap
from lab.domain.journal import Ending
from lab.errors import LabError
from lab.settings import Settings
from lab.shop.topology import PORTS
from tests.support.seen import ENDING, PROVED, SEEN, Level

PROOF_WITHIN_S = 400
"""A run takes some 45 s, and a machine that stands still may need three of them."""


def free_offset() -> int:
    """An offset whose hundred ports nobody listens on, below those that clients are given.

    Any of them, so that of two who look at once, as two test runs may, each finds its own.
    """
    taken = {
        connection.laddr.port
        for process in psutil.process_iter()
        for connection in _listening(process)
    }
    offsets = range(700, 14000, 100)
    for offset in random.sample(offsets, len(offsets)):
        if not taken & {port + offset for port in PORTS.values()}:
            return offset
    raise AssertionError("no hundred free ports in a row")


def _listening(process: psutil.Process) -> list[Any]:
    try:
        return [each for each in process.net_connections("tcp") if each.status == "LISTEN"]
    except psutil.Error:
        return []


@dataclass(frozen=True)
class LabUnderTest:
    """One checkout's worth of lab: its settings, and the environment that makes them."""

    settings: Settings
    environment: dict[str, str]

    def command(self, *words: str) -> list[str]:
        """The command line of ``lab WORDS``."""
        return [sys.executable, "-m", "lab", *words]

    def run(self, *words: str, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
        """Run ``lab WORDS`` to its end."""
        return subprocess.run(
            self.command(*words),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        """Start ``lab WORDS`` and let it run; ``options`` are those of `subprocess.Popen`."""
        return subprocess.Popen(
            self.command(*words),
            **{
                "env": self.environment,
                "stdout": subprocess.PIPE,
                "stderr": subprocess.PIPE,
                "text": True,
                **options,
            },
        )

    def json(self, *words: str) -> Any:
        """What ``lab WORDS --json`` prints."""
        return json.loads(self.run(*words, "--json").stdout)

    def processes(self) -> set[int]:
        """The stack's pids, as `lab status` tells them."""
        return {part["pid"] for part in self.json("status")["parts"] if part["pid"]}


def harvest(settings: Settings) -> None:
    """Note what the runs and the warden of a lab of real parts wrote down.

    Journals of runs without a case are kept for a while only, so a test that makes them asks.
    """
    SEEN.harvest_diary(settings.log_dir / "warden.jsonl")
    archive = bootstrap.archive(settings)
    with suppress(LabError):  # A folder that a test has spoiled is not this one's business.
        for case in archive.cases():
            if case.verdict is not None:
                SEEN.note(PROVED, case.verdict, Level.LIVE)
                SEEN.note(ENDING, Ending.COMPLETED, Level.LIVE)
        for case_id in archive.leftovers():
            if (ending := archive.run_record(case_id).ending) is not None:
                SEEN.note(ENDING, ending, Level.LIVE)


POISON = {
    **{f"PG{name}": "/nowhere" for name in ("DATA", "PASSFILE", "SERVICEFILE", "SYSCONFDIR")},
    **{f"PG{name}": "nobody" for name in ("DATABASE", "PASSWORD", "SERVICE", "USER")},
    "PGHOST": "elsewhere.example",
    "PGPORT": "none",
    "PGOPTIONS": "-c nonsense=1",
    "PGSSLMODE": "verify-full",
    "PGSSLROOTCERT": "/nowhere",
    "PGSSLMINPROTOCOLVERSION": "none",
    "PGGSSLIB": "none",
    "PGTZ": "Mars",
    "PGCLIENTENCODING": "KLINGON",
}
"""A user's own way to some other PostgreSQL, wrong in every variable."""


@contextmanager
def lab_up(state_dir: Path, **variables: str) -> Iterator[LabUnderTest]:
    """The whole local stack on free ports, up for as long as the context lasts.

    ``variables`` are the user's own, in the environment of every command.
    """
    offset = free_offset()
    environment = {
        **os.environ,
        "LAB_STATE_DIR": str(state_dir),
        "LAB_PORT_OFFSET": str(offset),
        "COLUMNS": "120",
        # Of the user's own, and for the outside world: nothing of the lab may go through it.
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        **POISON,
        **variables,
    }
    names = {each: f"LAB_{each.upper()}" for each in ("signals", "jaeger_otlp_grpc")}
    names |= {"backend": "BACKEND", "store": "STORE"}
    wishes = {each: variables[name] for each, name in names.items() if name in variables}
    settings = Settings(state_dir=state_dir, port_offset=offset, **wishes)
    under_test = LabUnderTest(settings, environment)
    started = under_test.run("up")
    try:
        assert started.returncode == 0, started.stderr
        yield under_test
    finally:
        harvest(settings)
        ended = under_test.run("down", "--force")
    assert ended.returncode == 0, f"the stack is left running:\n{ended.stderr}"
