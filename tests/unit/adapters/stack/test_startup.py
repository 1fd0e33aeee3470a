"""Parts start as early as they can, and none before its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from lab.adapters.stack.local_parts import Part, left_to_others
from lab.adapters.stack.startup import Startup
from lab.adapters.stack.supervisor import ProcessState, Supervisor
from lab.errors import StackNotReady


class FakeSupervisor(Supervisor):
    """Starts whatever it is told to; ``dies`` are programs that end at once."""

    def __init__(
        self, log_dir: Path, programs: tuple[str, ...], dies: str = "", *, ends: bool = False
    ) -> None:
        super().__init__(log_dir, log_dir, port=1)
        self.all = {name: ProcessState(name, "stop10", "STOPPED", None, "") for name in programs}
        self.dies = dies
        self.ends = ends
        self.calls: list[str] = []

    async def states(self) -> Mapping[str, ProcessState] | None:
        return dict(self.all)

    async def start(self, process: ProcessState) -> None:
        self.calls.append(f"start {process.name}")
        state = "BACKOFF" if process.name == self.dies else "RUNNING"
        self.all[process.name] = ProcessState(
            process.name, "stop10", state, 1, "Exited too quickly"
        )

    async def stop(self, process: ProcessState) -> None:
        self.calls.append(f"stop {process.name}")
        if self.ends:
            self.all[process.name] = replace(process, state="STOPPED", pid=None)


def probe(looks: int = 1) -> Callable[[], Awaitable[str | None]]:
    """A probe that is satisfied at the given look; never, if that is 0."""
    left = [looks]

    async def look() -> str | None:
        left[0] -= 1
        return None if left[0] == 0 else "not yet"

    return look


def run(supervisor: FakeSupervisor, *parts: Part) -> list[str]:
    """Start them all and return their names in the order in which they got ready."""

    async def start() -> list[str]:
        return [part.name async for part in Startup(parts, supervisor).run()]

    return asyncio.run(start())


def test_a_part_starts_after_what_it_needs(tmp_path: Path) -> None:
    """Not before the needed one is ready and finished, however long that takes."""
    supervisor = FakeSupervisor(tmp_path, ("postgres", "shop"))

    async def migrate() -> None:
        supervisor.calls.append("migrate")

    ready = run(
        supervisor,
        Part("shop", probe(), program="shop", needs=("postgres",)),
        Part("auth", probe(), program="shop", starts=False, needs=("shop",)),
        Part("postgres", probe(looks=4), program="postgres", finish=migrate),
    )

    assert ready == ["postgres", "shop", "auth"]
    assert supervisor.calls == ["start postgres", "migrate", "start shop"]


def test_parts_that_need_nothing_start_at_once(tmp_path: Path) -> None:
    """A slow part does not hold the others up."""
    supervisor = FakeSupervisor(tmp_path, ("tempo", "otelcol"))

    ready = run(
        supervisor,
        Part("tempo", probe(looks=6), program="tempo"),
        Part("otelcol", probe(), program="otelcol"),
    )

    assert ready == ["otelcol", "tempo"]


def test_what_runs_is_not_started(tmp_path: Path) -> None:
    """It is only asked whether it is ready."""
    supervisor = FakeSupervisor(tmp_path, ("tempo",))
    supervisor.all["tempo"] = ProcessState("tempo", "stop10", "RUNNING", 7, "")

    assert run(supervisor, Part("tempo", probe(), program="tempo")) == ["tempo"]
    assert supervisor.calls == []


@pytest.mark.parametrize(
    ("uptime_s", "looks", "calls"),
    [
        (3600.0, 9999, ["stop tempo", "start tempo"]),
        (3600.0, 2, []),
        (1.0, 9, []),
    ],
    ids=["lost its readiness", "stalls", "is starting"],
)
def test_what_runs_and_lost_its_readiness_is_started_anew(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    uptime_s: float,
    looks: int,
    calls: list[str],
) -> None:
    """Not what only stalls, nor what runs since a moment; and it is told what was seen."""
    monkeypatch.setattr("lab.adapters.stack.startup._UNWELL_FOR_S", 0.1)
    supervisor = FakeSupervisor(tmp_path, ("tempo",), ends=True)
    running = ProcessState("tempo", "stop10", "RUNNING", 7, "", uptime_s)
    supervisor.all["tempo"] = running

    looked: list[None] = []

    async def look() -> str | None:
        looked.append(None)
        is_well = len(looked) >= looks or "start tempo" in supervisor.calls
        return None if is_well else "not yet"

    async def start() -> dict[str, str]:
        startup = Startup((Part("tempo", look, program="tempo"),), supervisor)
        assert [part.name async for part in startup.run()] == ["tempo"]
        return startup.revived

    revived = asyncio.run(start())
    assert supervisor.calls == calls
    assert revived == ({"tempo": "not yet"} if calls else {})


def test_a_part_that_died_is_named_with_its_last_words_and_not_tried_again(
    tmp_path: Path,
) -> None:
    """Nobody waits for the deadline of a process that is gone."""
    supervisor = FakeSupervisor(tmp_path, ("tempo",), dies="tempo")
    (tmp_path / "tempo.log").write_text("cannot open my folder\n")

    with pytest.raises(StackNotReady, match="tempo is not ready: its process ended") as caught:
        run(supervisor, Part("tempo", probe(looks=0), program="tempo", deadline_s=60))

    assert "cannot open my folder" in str(caught.value)
    assert supervisor.calls == ["start tempo", "stop tempo"]


def test_a_part_that_was_restarted_behind_our_back_has_died_too(tmp_path: Path) -> None:
    """Another pid is another process, even if nobody saw the first one end."""
    supervisor = FakeSupervisor(tmp_path, ("tempo",))

    async def die_and_return() -> str | None:
        supervisor.all["tempo"] = ProcessState("tempo", "stop10", "RUNNING", 99, "pid 99")
        return "not yet"

    with pytest.raises(StackNotReady, match="tempo is not ready: its process ended"):
        run(supervisor, Part("tempo", die_and_return, program="tempo"))


def test_a_part_that_is_still_stopping_is_waited_for(tmp_path: Path) -> None:
    """It cannot be started before it is gone."""
    supervisor = FakeSupervisor(tmp_path, ("tempo",))
    supervisor.all["tempo"] = ProcessState("tempo", "stop10", "STOPPING", 7, "")

    async def start_later() -> list[str]:
        async def stop_soon() -> None:
            await asyncio.sleep(0.3)
            supervisor.all["tempo"] = ProcessState("tempo", "stop10", "STOPPED", None, "")

        task = asyncio.create_task(stop_soon())
        parts = (Part("tempo", probe(), program="tempo"),)
        ready = [part.name async for part in Startup(parts, supervisor).run()]
        await task
        return ready

    assert asyncio.run(start_later()) == ["tempo"]
    assert supervisor.calls == ["start tempo"]


def test_a_part_that_is_not_ready_in_time_is_named_with_what_it_said(tmp_path: Path) -> None:
    """The deadline, what was seen instead, and the log."""
    supervisor = FakeSupervisor(tmp_path, ("shop",))
    (tmp_path / "auth.log").write_text("waiting for users_db\n")
    shop = Part("shop", probe(), program="shop")
    auth = Part("auth", probe(looks=0), program="shop", starts=False, deadline_s=0.1)

    with pytest.raises(StackNotReady, match="auth is not ready: expected auth to be") as caught:
        run(supervisor, shop, auth)

    assert "not yet" in str(caught.value)
    assert "waiting for users_db" in str(caught.value)


def test_a_program_that_the_running_stack_does_not_know_is_an_error(tmp_path: Path) -> None:
    """An older stack that still runs says so, and how to get the new one."""
    supervisor = FakeSupervisor(tmp_path, ())

    with pytest.raises(StackNotReady, match="lab down"):
        run(supervisor, Part("tempo", probe(), program="tempo"))


def test_a_server_of_the_users_own_is_asked_and_never_started(tmp_path: Path) -> None:
    """It is ready, or named without a log that is not ours."""
    supervisor = FakeSupervisor(tmp_path, ())

    assert run(supervisor, Part("postgres", probe(), program=None, starts=False)) == ["postgres"]
    with pytest.raises(StackNotReady, match="postgres is not ready"):
        run(supervisor, Part("postgres", probe(0), program=None, starts=False, deadline_s=0.1))


@pytest.mark.parametrize(
    ("may_be", "supervised", "looks", "starts"),
    [
        (True, (), 1, False),
        (False, (), 1, True),
        (True, ("desk",), 1, True),
        (True, (), 9, True),
    ],
)
def test_a_desk_that_somebody_serves_already_is_not_started(
    may_be: bool, supervised: tuple[str, ...], looks: int, starts: bool
) -> None:
    """Only where it answers, is none of the stack's own, and may be anybody's."""
    part = Part("desk", probe(looks), program="desk", may_be_by_hand=may_be)
    (found,) = asyncio.run(left_to_others((part,), supervised))
    assert found.starts is starts
