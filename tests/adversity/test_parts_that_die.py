"""What a run needs dies under it: no false verdict, and the run says what was missing."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest

from lab import bootstrap
from lab.adapters.cases.archive import FolderArchive
from lab.adapters.clock import SystemClock
from lab.domain.case import Case
from lab.domain.journal import Ending, Step
from lab.domain.load import LoadProgress
from lab.domain.proof import Outcome, ProofVerdict
from lab.investigation.running.run_case import CaseRun
from tests.adversity.scene import QUICK, Scene
from tests.support.lab_under_test import lab_up
from tests.support.warden_parts import wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

full = pytest.mark.adversity_full


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


# --- parts of the stack ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("postgres", "crime"),
        pytest.param("tempo", "crime", marks=full),
        ("tempo", "evidence"),
        pytest.param("warden", "crime", marks=full),
    ],
)
def test_a_part_that_dies_in_a_run_is_named(scene: Scene, name: str, phase: str) -> None:
    """It comes back by itself, and the run without a verdict says which it was."""
    run = scene.start_until(phase)
    kill(scene.pid(name))
    restarted = scene.incomplete(run, "parts restarted")
    # A part may be down still when the counters are read: then nobody knows.
    assert name in restarted.measured or restarted.outcome is Outcome.UNKNOWN
    scene.assert_as_before(Ending.COMPLETED)


def test_a_part_that_hangs_is_named_by_doctor_and_started_anew_by_up(scene: Scene) -> None:
    """Its process lives, so nobody else brings it back; the others are left alone."""
    hung = scene.pid("tempo")
    before = {name: scene.pid(name) for name in ("otelcol", "warden", "toxiproxy", "door")}
    os.kill(hung, signal.SIGSTOP)

    def state() -> str:
        parts = json.loads(scene.lab.run("status", "--json").stdout)["parts"]
        return next(str(part["state"]) for part in parts if part["name"] == "tempo")

    # Just after its start it might still be reading what it had written.
    wait_until(lambda: state() == "unwell", "it to be called unwell", within_s=60, every_s=1)
    findings = json.loads(scene.lab.run("doctor", "--json").stdout)
    readiness = next(each for each in findings if each["name"] == "readiness")
    assert readiness["level"] == "warn"
    assert "tempo (" in readiness["found"]
    started = scene.lab.run("up")
    assert started.returncode == 0, started.stderr
    assert "tempo ran and was not ready, so it was started anew" in started.stderr
    assert scene.pid("tempo") != hung
    assert {name: scene.pid(name) for name in before} == before


def test_spans_that_a_collector_took_with_it_are_counted(scene: Scene) -> None:
    """What it had taken in and not passed on is lost: so many are missing."""
    run = scene.start()
    for phase in ("reference", "crime", "recovery"):
        run.reach(phase)
        collector = scene.pid("otelcol")
        # Between two batches it holds nothing, and then nothing is lost with it.
        wait_until(lambda: scene.spans_held() > 0, "the Collector to hold spans", every_s=0)
        kill(collector)
        scene.await_ready("otelcol")
    received = scene.incomplete(run, "spans received")
    assert received.outcome is Outcome.FAILS
    assert re.search(r"\(-\d+\)", received.measured), received.measured
    scene.assert_as_before(Ending.COMPLETED)


def test_without_shoppers_there_is_no_run(scene: Scene) -> None:
    """The load generator dies: the run deviates at once, and says why."""
    run = scene.start_until("crime")
    run.shoppers().kill()
    assert run.finish() == 2
    assert "load generator" in "".join(run.said)
    scene.assert_as_before(Ending.DEVIATED)


# --- the disk ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("largest_file", "missing"),
    [
        (100_000, "a case that does not fit"),
        pytest.param(12_000, "requests that do not fit", marks=full),
    ],
)
def test_a_disk_that_is_full_is_told_of(scene: Scene, largest_file: int, missing: str) -> None:
    """No verdict, no half case, and what to do about it; the harm is gone all the same.

    A limit on the size of files refuses a write just as a full disk does, and needs no
    right to mount one.
    """

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    cases_before = scene.archive.cases()
    run = scene.start(preexec_fn=limit)
    assert run.finish() == 2, missing
    assert "free some space" in "".join(run.said), run.said
    assert scene.archive.cases() == cases_before
    scene.assert_as_before(Ending.DEVIATED)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk that is large enough for a stack, and small enough to be filled."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", str(disk)]
    try:
        mounted = subprocess.run(mount, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("skipped: no mount here")
    if mounted.returncode != 0:
        pytest.skip(f"skipped: may not mount a disk: {mounted.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


@full
@pytest.mark.parametrize("phase", ["preflight", "crime"])
def test_a_whole_stack_on_a_full_disk(small_disk: Path, phase: str) -> None:
    """Everybody's writes fail: nothing is proven, and with space all is well again."""
    with lab_up(small_disk / ".lab") as lab:
        scene = Scene(lab)
        run = scene.start_until(phase)
        _fill(filler := small_disk / "filler")
        ending = scene.without_verdict(run)
        assert ending is not Ending.COMPLETED
        assert "Traceback" not in "".join(run.said)
        filler.unlink()
        scene.up()
        assert scene.lab.run("heal").returncode == 0
        # Where not even the journal could be written, it tells of a run that broke off.
        scene.assert_as_before(ending)
        scene.prove()


def _fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (2**20, 2**10, 1):
            while True:
                try:
                    file.write(b"\0" * size)
                except OSError:
                    break


# --- the clock ---------------------------------------------------------------------------


class JumpingClock(SystemClock):
    """The machine's clock, until somebody sets it."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def unix(self) -> float:
        return super().unix() + self.ahead_s


class Setter:
    """An observer that sets the clock when the crime begins."""

    def __init__(self, clock: JumpingClock, ahead_s: float) -> None:
        self._clock = clock
        self._ahead_s = ahead_s

    def phase(self, step: Step, detail: str, seconds_left: float | None = None) -> None:
        if step is Step.CRIME:
            self._clock.ahead_s = self._ahead_s

    def progress(self, progress: LoadProgress) -> None: ...

    def note(self, text: str) -> None: ...


@full
@pytest.mark.parametrize("ahead_s", [-3600.0, 3600.0])
def test_a_clock_that_is_set_in_a_run_leaves_no_verdict(scene: Scene, ahead_s: float) -> None:
    """Spans take their times from it; the lease does not, and ends with its window."""
    clock = JumpingClock()

    async def run() -> Case:
        async with bootstrap.lab(scene.settings) as lab:
            archive = FolderArchive(scene.settings.cases_dir, clock=clock)
            return await CaseRun(
                replace(lab, clock=clock, archive=archive),
                bootstrap.scenarios(scene.settings)[QUICK],
                case_id=archive.next_case_id(QUICK),
                seed=1,
                observer=Setter(clock, ahead_s),
            ).run()

    case = anyio.run(run)
    assert case.proof.verdict is ProofVerdict.INCOMPLETE
    outcomes = {finding.check: finding.outcome for finding in case.proof.findings}
    assert outcomes["clocks agree"] is Outcome.FAILS
    assert outcomes["edges as leased"] is Outcome.HOLDS
    assert scene.archive.run_record(case.case_id).ending is Ending.COMPLETED


def test_afterwards_a_run_is_proven(scene: Scene) -> None:
    """Nothing that died stands in the way of the next run."""
    scene.prove()
