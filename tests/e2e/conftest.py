"""What end-to-end tests share: each case proven once, and a run that was held."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import anyio
import pytest

from lab import bootstrap
from lab.domain.case import Case
from lab.domain.twin import Tier
from lab.settings import Settings
from tests.support.lab_under_test import PROOF_WITHIN_S, LabUnderTest


def core_scenarios(settings: Settings) -> tuple[str, ...]:
    """The scenarios that every change of the lab has to prove; `make verify` proves all."""
    known = bootstrap.scenarios(settings)
    return tuple(sorted(name for name, each in known.items() if each.tier is Tier.CORE))


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
            case = bootstrap.archive(lab.settings).load(None)
            findings = "\n".join(map(str, case.proof.findings))
            assert code == 0, f"{name} exited with {code}\n{printed}\n{findings}"
            done[name] = case  # A run that failed is not kept: the next test tries again.
            (lab.settings.state_dir / f"{name}.txt").write_text(printed)
        return done[name]

    return prove
