"""The parts of the stack: started, stopped, counted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Protocol

from lab.domain.instrumentation import Instrumentation
from lab.frozen import dataclass


@dataclass(frozen=True, slots=True)
class PartStatus:
    """One process of the stack."""

    name: str
    state: str
    pid: int | None
    port: int | None
    detail: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether it answered its readiness check just now."""
        return self.state == "ready"


@dataclass(frozen=True, slots=True)
class StackCounters:
    """What must not change, or must add up, over a run.

    ``spans_ended`` counts per process; ``restarts``, per part that a case depends on
    (so not of the desk, which only reads), starts that nobody asked for;
    ``collector_dropped`` spans the Collector refused or failed to send.
    """

    spans_ended: Mapping[str, int]
    restarts: Mapping[str, int]
    collector_dropped: int


class Stack(Protocol):
    """The victims and what watches them."""

    def up(self) -> AsyncIterator[PartStatus]:
        """Start what is not running or not well; yields each part as it becomes ready.

        The ``detail`` of a part that had to be started anew says what was seen before.
        """
        ...

    async def down(self) -> None:
        """Stop everything that belongs to this checkout."""
        ...

    async def status(self) -> tuple[PartStatus, ...]:
        """Ask every part for its readiness."""
        ...

    async def counters(self) -> StackCounters:
        """Read every process's counters."""
        ...

    async def instrument(self, level: Instrumentation) -> None:
        """Let the shop write down so much of what it does; a stack starts at *full*.

        Its services restart where that is a change. UsageError where it cannot be changed.
        """
        ...

    def versions(self) -> Mapping[str, str]:
        """Part → version of what runs, for the case's manifest."""
        ...
