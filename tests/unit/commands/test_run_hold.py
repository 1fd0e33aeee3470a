"""A hold: how it ends, and that what it hurt is whole afterwards."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import typer

from lab import bootstrap
from lab.adapters.memory.case_archive import MemoryArchive
from lab.adapters.memory.clock import FakeClock
from lab.adapters.memory.injector import MemoryInjector
from lab.adapters.memory.load import MemoryLoad
from lab.adapters.memory.machine import MemoryMachine
from lab.adapters.memory.records import MemoryRecords
from lab.adapters.memory.stack import MemoryStack
from lab.adapters.memory.trace_store import MemoryTraceStore
from lab.adapters.memory.warden import MemoryWarden
from lab.adapters.warden_client import WardenClient
from lab.commands import failures, run
from lab.domain.case import Case
from lab.domain.fault import Conditions, Fault
from lab.domain.proof import Outcome
from lab.domain.schedule import Schedule
from lab.errors import HarmStopped, LabError, LeaseError, LeaseHeld, StackNotReady
from lab.investigation.running.run_case import Lab
from lab.ports.warden import LeaseStatus
from lab.settings import Settings
from lab.shop.topology import EDGES
from tests.support.sample_case import sample_case

SCENARIO = bootstrap.scenarios(Settings())["slow-shelves"]


class SlowWarden(MemoryWarden):
    """Carries a lease out at once, and is a while in saying so."""

    async def take(
        self,
        *,
        holder: str,
        faults: Sequence[Fault],
        conditions: Conditions,
        ttl_s: float,
        seed: int = 0,
    ) -> LeaseStatus:
        lease = await super().take(
            holder=holder, faults=faults, conditions=conditions, ttl_s=ttl_s, seed=seed
        )
        await anyio.sleep(0.05)
        return lease


@dataclass
class ActingClock(FakeClock):
    """Calls ``act`` at each sleep, with the number of the sleep."""

    act: Callable[[int], None]

    def __post_init__(self) -> None:
        super().__init__()
        self.sleeps = 0

    async def sleep(self, seconds: float) -> None:
        self.sleeps += 1
        self.act(self.sleeps)
        await super().sleep(seconds)


def fakes(folder: Path, act: Callable[[int], None] = lambda _: None) -> Lab:
    """A lab of this process; ``act`` sees each sleep of a hold."""
    clock = ActingClock(act)
    injector = MemoryInjector(edge.name for edge in EDGES)
    return Lab(
        stack=MemoryStack(),
        warden=SlowWarden(injector, clock),
        store=MemoryTraceStore(),
        load=MemoryLoad(clock, {}),
        archive=MemoryArchive(folder, clock),
        clock=clock,
        machine=MemoryMachine(),
        records=MemoryRecords(),
    )


async def is_clean(lab: Lab) -> bool:
    edges = (await lab.warden.edges()).values()
    return await lab.warden.current() is None and all(edge.is_clean for edge in edges)


def test_a_hold_hurts_for_its_length_and_no_longer(tmp_path: Path) -> None:
    """The harm is there at every look until the time is over, and gone then."""
    seen: list[bool] = []
    lab = fakes(tmp_path)

    async def story() -> None:
        clock = lab.clock
        assert isinstance(clock, ActingClock)
        injector = lab.warden._injector  # type: ignore[attr-defined]
        clock.act = lambda _: seen.append(
            all(injector._edges[fault.edge].shows(fault) for fault in SCENARIO.faults)
        )
        await run.hold(lab, SCENARIO, 30.0, 1)
        assert clock.monotonic() == pytest.approx(30.0)
        assert await is_clean(lab)

    anyio.run(story)
    assert len(seen) == 60
    assert all(seen)


def test_a_hold_keeps_the_schedule_of_a_fault(tmp_path: Path) -> None:
    """Watched live, it comes and goes as in the case: with the jitter that the seed gives it."""
    comb = replace(SCENARIO.faults[0], schedule=Schedule(2, on_s=3, every_s=10, jitter_s=5))
    seen: dict[float, bool] = {}
    lab = fakes(tmp_path)

    async def story() -> None:
        clock = lab.clock
        assert isinstance(clock, ActingClock)
        injector = lab.warden._injector  # type: ignore[attr-defined]
        clock.act = lambda _: seen.update(
            {clock.monotonic(): injector._edges[comb.edge].shows(comb)}
        )
        await run.hold(lab, replace(SCENARIO, faults=(comb,)), 30.0, 7)
        assert await is_clean(lab)

    anyio.run(story)
    assert seen == {at_s: comb.is_on(at_s, 7) for at_s in seen}
    assert set(seen.values()) == {True, False}


def test_an_interrupt_while_the_lease_is_taken_leaves_nothing(tmp_path: Path) -> None:
    """Cancelled between the harm and the answer, a hold still knows what to release."""
    lab = fakes(tmp_path)

    async def story() -> None:
        with anyio.move_on_after(0.01) as scope:
            await run.hold(lab, SCENARIO, 3600.0, 1)
        assert scope.cancelled_caught
        assert await is_clean(lab)

    anyio.run(story)


def test_the_safety_lever_ends_a_hold_and_says_so(tmp_path: Path) -> None:
    """At the next look, with its own error; and the next hold does not begin."""

    def pull(sleeps: int) -> None:
        if sleeps == 3:
            lab.warden._mark.set()  # type: ignore[attr-defined]

    lab = fakes(tmp_path, pull)

    async def story() -> None:
        for _ in range(2):
            with pytest.raises(HarmStopped, match="lab allow-harm"):
                await run.hold(lab, SCENARIO, 3600.0, 1)
            assert await is_clean(lab)

    anyio.run(story)
    assert lab.clock.monotonic() < 5


def case_with(outcome: Outcome) -> Case:
    """A case of which every finding holds, but those about the crime itself have ``outcome``."""
    case = sample_case()
    findings = tuple(
        replace(each, outcome=Outcome.HOLDS if each.integrity else outcome)
        for each in case.proof.findings
    )
    return replace(case, proof=replace(case.proof, findings=findings))


@pytest.mark.parametrize(("outcome", "code"), [(Outcome.HOLDS, 0), (Outcome.FAILS, 1)])
def test_ctrl_c_in_a_hold_ends_it_with_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, code: int
) -> None:
    """Ctrl-C is how a hold ends, so the exit code is the case's and the shop is clean."""

    def interrupt(sleeps: int) -> None:
        if sleeps == 3:
            os.kill(os.getpid(), signal.SIGINT)

    lab = fakes(tmp_path, interrupt)
    case = case_with(outcome)

    @contextlib.asynccontextmanager
    async def connected(_: Settings) -> AsyncIterator[Lab]:
        yield lab

    async def run_one(*_: Any, **__: Any) -> Case:
        return case

    monkeypatch.setenv("LAB_STATE_DIR", str(tmp_path))
    monkeypatch.setattr(bootstrap, "lab", connected)
    monkeypatch.setattr(run, "run_one", run_one)
    monkeypatch.setattr(run, "up", lambda: None)
    with pytest.raises(typer.Exit) as ending:
        run.run("slow-shelves", hold_for="1h", as_json=True)
    assert ending.value.exit_code == code
    assert isinstance(lab.clock, ActingClock)
    assert 3 <= lab.clock.sleeps < 10
    assert anyio.run(is_clean, lab)


def test_a_hold_that_could_not_be_undone_says_so(tmp_path: Path) -> None:
    """Only a lease that is gone is no problem; harm that may be left is one."""
    lab = fakes(tmp_path)

    async def refuse(_: str) -> None:
        raise LeaseError("expected it gone, found it there")

    lab.warden.release = refuse  # type: ignore[method-assign, assignment]
    with pytest.raises(LeaseError, match="found it there"):
        anyio.run(run.hold, lab, SCENARIO, 5.0, 1)


def refusal(status: int, body: Any) -> LabError:
    """What a caller gets when the warden answers a take so."""

    async def take() -> LabError:
        transport = httpx.MockTransport(lambda _: httpx.Response(status, json=body))
        async with WardenClient("http://warden", transport=transport) as warden:
            with pytest.raises(LabError) as raised:
                await warden.take(holder="hold", faults=(), conditions={}, ttl_s=1)
            return raised.value

    return anyio.run(take)


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (422, {"error": "LeaseError", "message": "catalog_db: no latency"}, LeaseError),
        (502, {"error": "InjectorError", "message": "catalog_db: no latency"}, LabError),
        (502, {"error": "StackNotReady", "message": "catalog_db: no latency"}, StackNotReady),
        (422, {"detail": "catalog_db: no latency"}, LeaseError),
        (201, {"odd": "catalog_db: no latency"}, LeaseError),
    ],
)
def test_a_refusal_names_no_edge_unless_asked_to(
    status: int,
    body: dict[str, str],
    kind: type[LabError],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The warden's words give a case away: they are shown with `--reveal` alone."""
    error = refusal(status, body)
    assert isinstance(error, kind)
    monkeypatch.setattr(sys, "argv", ["lab", "run", "slow-shelves", "--hold", "5m"])
    assert failures.report(error) == 2
    said = capsys.readouterr().err
    assert "lab heal" in said
    assert "catalog_db" not in said
    assert "latency" not in said
    monkeypatch.setattr(sys, "argv", ["lab", "run", "slow-shelves", "--reveal"])
    failures.report(error)
    assert "catalog_db: no latency" in capsys.readouterr().err


def test_who_is_in_the_way_is_said() -> None:
    """A lease of somebody else names its holder, which gives nothing away."""
    error = refusal(409, {"error": "LeaseHeld", "message": "found one of db-timeout-3"})
    assert isinstance(error, LeaseHeld)
    assert "db-timeout-3" in str(error)
