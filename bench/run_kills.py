"""Whole runs in which something is killed at a seeded moment, on a stack of real parts."""

from __future__ import annotations

import os
import random
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from lab import bootstrap
from lab.domain.load import Window
from lab.domain.proof import ProofVerdict
from lab.errors import CaseError, LabError
from lab.investigation.running.lease import TTL_S
from tests.adversity.scene import Run, Scene
from tests.support.lab_under_test import lab_up
from tests.support.warden_parts import wait_until

VICTIMS: Final = (
    "the run", "warden", "toxiproxy", "postgres", "tempo", "otelcol", "auth", "the load"
)  # fmt: skip
LATEST_S: Final = 12.0
"""After the first load; the quick case's windows last as long together."""

_GIVE_UP_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class RunKill:
    """One kill in a run: what was left of its harm, and what the run made of it.

    ``gone_after_s`` counts from the last moment at which a lease of the run could
    have ended: its time to live after the kill, or the end of a run that went on.
    """

    victim: str
    gone_after_s: float
    falsely_proven: bool
    corrupt_cases: int


def kill_in_runs(count: int, seed: int) -> Iterator[RunKill]:
    """The kills, each as it is over."""
    dice = random.Random(seed)  # noqa: S311 -- to be dealt again, not to be secret
    with tempfile.TemporaryDirectory() as folder, lab_up(Path(folder) / ".lab") as lab:
        for number in range(count):
            scene = Scene(lab)
            try:
                yield _kill(scene, VICTIMS[number % len(VICTIMS)], dice)
            finally:
                scene.clear()


def _kill(scene: Scene, victim: str, dice: random.Random) -> RunKill:
    run = scene.start_until("settle")
    time.sleep(dice.uniform(0.0, LATEST_S))
    killed_unix_s, killed_s = time.time(), time.monotonic()
    os.kill(_pid(scene, run, victim), signal.SIGKILL)
    run.finish()
    ends_s = killed_s + TTL_S if victim == "the run" else time.monotonic()
    wait_until(lambda: _is_clean(scene), "the harm to be gone", within_s=_GIVE_UP_S)
    gone_after_s = time.monotonic() - ends_s
    falsely_proven, corrupt = _weigh_cases(scene, killed_unix_s)
    scene.up()
    return RunKill(victim, gone_after_s, falsely_proven, corrupt)


def _is_clean(scene: Scene) -> bool:
    try:
        return scene.is_clean()
    except (LabError, httpx.HTTPError):
        return False  # Toxiproxy or the warden was the victim, and is not back yet.


def _pid(scene: Scene, run: Run, victim: str) -> int:
    if victim == "the run":
        return run.process.pid
    if victim == "the load":
        return run.shoppers().pid
    return scene.pid(victim)


def _weigh_cases(scene: Scene, killed_unix_s: float) -> tuple[bool, int]:
    """Whether a run proved anything in spite of the kill, and how many folders do not read."""
    archive, falsely_proven, corrupt = bootstrap.archive(scene.settings), False, 0
    for folder in scene.settings.cases_dir.iterdir():
        if folder.name.startswith("."):
            continue
        try:
            case = archive.load(folder.name)
        except CaseError:
            corrupt += 1
            continue
        started_s = case.journal[0].time_unix_s
        hit = started_s <= killed_unix_s <= case.evidence.windows[Window.RECOVERY].end_s
        falsely_proven |= hit and case.proof.verdict is ProofVerdict.PROVEN
    return falsely_proven, corrupt
