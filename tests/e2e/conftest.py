"""One real stack for all end-to-end tests: own ports, own state folder, gone afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import psutil
import pytest

from lab import bootstrap
from lab.domain.case import Case
from lab.settings import Settings
from lab.shop.topology import PORTS

PROOF_WITHIN_S = 400
"""A run takes some 45 s, and a machine that stands still may need three of them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests that need no shared stack before the first that brings it up.

    The shared stack stays up to the end of the session, and the tests of the stack itself
    start two more: three at once would starve each other. What decides is the fixture and
    not a file's name, so that a new file falls into its place by itself.
    """
    here = Path(__file__).parent
    places = [place for place, item in enumerate(items) if here in item.path.parents]
    ours = sorted((items[place] for place in places), key=_shares_the_stack)
    for place, item in zip(places, ours, strict=True):
        items[place] = item


def _shares_the_stack(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and "lab" in item.fixturenames


def free_offset() -> int:
    """The lowest offset whose hundred ports nobody listens on."""
    taken = {
        connection.laddr.port
        for process in psutil.process_iter()
        for connection in _listening(process)
    }
    for offset in range(700, 20000, 100):
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
    """The lab as a user calls it, in a state folder of its own."""

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

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start ``lab WORDS`` and let it run."""
        return subprocess.Popen(
            self.command(*words),
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *words: str) -> Any:
        """What ``lab WORDS --json`` prints."""
        return json.loads(self.run(*words, "--json").stdout)

    def processes(self) -> set[int]:
        """The stack's pids, as `lab status` tells them."""
        return {part["pid"] for part in self.json("status")["parts"] if part["pid"]}


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabUnderTest]:
    """The whole local stack, up."""
    state_dir: Path = tmp_path_factory.mktemp("lab") / ".lab"
    offset = free_offset()
    environment = {
        **os.environ,
        "LAB_STATE_DIR": str(state_dir),
        "LAB_PORT_OFFSET": str(offset),
        "COLUMNS": "120",
        # Of the user's own, and for the outside world: nothing of the lab may go through it.
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    under_test = LabUnderTest(Settings(state_dir=state_dir, port_offset=offset), environment)
    started = under_test.run("up")
    try:
        assert started.returncode == 0, started.stderr
        yield under_test
    finally:
        under_test.run("down")


@dataclass(frozen=True)
class HeldRun:
    """A run with a hold that `lab heal` ended, and what was seen of it."""

    printed: str
    returncode: int
    hurt_while_held: set[str]
    healed: subprocess.CompletedProcess[str]
    lease_after_heal: Any
    hurt_after_heal: set[str]


@pytest.fixture(scope="session")
def held_run(lab: LabUnderTest) -> HeldRun:
    """`lab run slow-shelves --hold`, healed while it holds; it also proves that case."""
    run = lab.start("run", "slow-shelves", "--hold", "60s")
    try:
        _wait_until_held(lab, run)
        hurt_while_held = anyio.run(hurt_edges, lab)
        healed = lab.run("heal")
        lease = lab.json("status")["lease"]
        hurt_after_heal = anyio.run(hurt_edges, lab)
        printed, _ = run.communicate(timeout=20)
    finally:
        run.kill()
    return HeldRun(printed, run.returncode, hurt_while_held, healed, lease, hurt_after_heal)


async def hurt_edges(lab: LabUnderTest) -> set[str]:
    """The edges that traffic does not pass unharmed right now."""
    async with bootstrap.lab(lab.settings) as parts:
        return {name for name, edge in (await parts.warden.edges()).items() if not edge.is_clean}


def _wait_until_held(lab: LabUnderTest, run: subprocess.Popen[str]) -> None:
    assert run.stderr is not None
    # Only then ask, and not often: it would slow a shop that has to prove its case once more.
    assert any("the case is open" in line for line in run.stderr)
    deadline = time.monotonic() + PROOF_WITHIN_S
    while True:
        lease = lab.json("status")["lease"]
        if lease is not None and lease["holder"] == "hold" and lease["state"] == "held":
            return
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline, f"no hold, but {lease}"
        time.sleep(2)


@pytest.fixture(scope="session")
def proven(lab: LabUnderTest, request: pytest.FixtureRequest) -> Callable[[str], Case]:
    """Prove a scenario once a session, each by another command a user would type.

    What each printed is kept beside its case, as ``<scenario>.txt``.
    """
    done: dict[str, Case] = {}

    def prove(name: str) -> Case:
        if name not in done:
            if name == "slow-shelves":
                run: HeldRun = request.getfixturevalue("held_run")
                printed, code = run.printed, run.returncode
            else:
                command = "verify" if name == "card-declined" else "run"
                finished = lab.run(command, name, timeout_s=PROOF_WITHIN_S)
                printed, code = finished.stdout, finished.returncode
            done[name] = bootstrap.archive(lab.settings).load(None)
            findings = "\n".join(map(str, done[name].proof.findings))
            assert code == 0, f"{name} exited with {code}\n{printed}\n{findings}"
            (lab.settings.state_dir / f"{name}.txt").write_text(printed)
        return done[name]

    return prove
