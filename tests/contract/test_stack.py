"""What every stack does; the real one where real parts can run."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from lab.adapters.memory.stack import MemoryStack
from lab.adapters.stack.external import ExternalStack
from lab.adapters.stack.local import LocalStack
from lab.adapters.stack.postgres import can_start_servers
from lab.domain.instrumentation import Instrumentation
from lab.errors import StackNotReady, UsageError
from lab.ports.stack import PartStatus, Stack
from lab.settings import Settings
from lab.shop.topology import SERVICES
from tests.support.lab_under_test import LabUnderTest, free_offset

T = TypeVar("T")
PARTS = {"postgres", "toxiproxy", "door", "tempo", "otelcol", "warden", "shop", "desk", *SERVICES}
REAL = pytest.param("local", marks=pytest.mark.e2e)


@pytest.fixture(params=["memory", REAL])
def stack(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stack]:
    if request.param == "memory":
        yield MemoryStack()
        return
    if (reason := can_start_servers()) is not None:
        pytest.skip(f"skipped: {reason}")
    local = LocalStack(Settings(state_dir=tmp_path / ".lab", port_offset=free_offset()))
    yield local
    do(local.down())


def do(call: Coroutine[Any, Any, T]) -> T:
    """Let one call happen."""
    return asyncio.run(call)


async def up(stack: Stack) -> list[PartStatus]:
    """Every part that a start yields."""
    return [part async for part in stack.up()]


def test_the_life_of_a_stack(stack: Stack) -> None:
    """Down, up, up again, down: at each step every part is what it should be."""
    assert not any(part.is_ready for part in do(stack.status()))
    with pytest.raises(StackNotReady):
        do(stack.counters())

    first = do(up(stack))
    assert all(part.is_ready for part in first)
    assert sorted(part.name for part in first) == sorted(PARTS)
    assert all(part.port for part in first)

    assert sorted(part.name for part in do(up(stack))) == sorted(PARTS)
    assert {part.name for part in do(stack.status()) if part.is_ready} == PARTS

    counters = do(stack.counters())
    assert counters.restarts == dict.fromkeys(PARTS - {"desk"}, 0)
    assert set(counters.spans_ended) == set(SERVICES)
    assert counters.collector_dropped == 0

    for level in (Instrumentation.AUTO, Instrumentation.AUTO, Instrumentation.FULL):
        do(stack.instrument(level))
        assert {part.name for part in do(stack.status()) if part.is_ready} == PARTS
    assert do(stack.counters()).restarts == dict.fromkeys(PARTS - {"desk"}, 0)

    assert {"toxiproxy", "tempo", "otelcol"} <= set(stack.versions())

    do(stack.down())
    do(stack.down())
    assert not any(part.is_ready for part in do(stack.status()))
    with pytest.raises(StackNotReady):
        do(stack.instrument(Instrumentation.AUTO))


@pytest.mark.e2e
def test_a_stack_that_somebody_else_runs_is_seen_and_left_alone(
    lab: LabUnderTest, tmp_path: Path
) -> None:
    """It does what every stack does, but start and stop."""
    url = lab.settings.url
    stack: Stack = ExternalStack(
        Settings(
            state_dir=tmp_path / ".lab",
            stack="external",
            gateway_url=url("gateway"),
            warden_url=url("warden"),
            tempo_url=url("tempo_http"),
            collector_url=url("otelcol_otlp_http"),
            collector_metrics_url=url("otelcol_metrics"),
            control_secret_file=lab.settings.secret_file,
        )
    )

    first = do(up(stack))
    assert {part.name for part in first} == PARTS - {"postgres", "shop", "desk", "door"}
    assert all(part.is_ready for part in first)
    counters = do(stack.counters())
    assert set(counters.spans_ended) == set(counters.restarts) == set(SERVICES)
    assert counters.collector_dropped == 0
    assert "deadspan" in stack.versions()
    do(stack.instrument(Instrumentation.FULL))
    with pytest.raises(UsageError, match="expected a stack of this machine"):
        do(stack.instrument(Instrumentation.NONE))
    do(stack.down())
    assert all(part.is_ready for part in do(stack.status()))


def test_a_part_that_is_not_ready_ends_the_start_by_name() -> None:
    """What came before it was yielded, and stays up to be looked at."""
    stack = MemoryStack(failing={"tempo": "no room on the disk"})

    with pytest.raises(StackNotReady, match="tempo is not ready: no room on the disk"):
        do(up(stack))

    ready = {part.name for part in do(stack.status()) if part.is_ready}
    assert ready == {"postgres", "toxiproxy", "door"}


def test_what_happens_to_a_stack_is_counted() -> None:
    """Crashes, spans and losses; `down` starts the counting anew."""
    stack = MemoryStack()
    do(up(stack))
    stack.crash("tempo")
    stack.end_spans("auth", 7)
    stack.lose_spans(2)

    counters = do(stack.counters())

    assert counters.restarts["tempo"] == 1
    assert counters.spans_ended["auth"] == 7
    assert counters.collector_dropped == 2
    do(stack.down())
    do(up(stack))
    assert do(stack.counters()).collector_dropped == 0
