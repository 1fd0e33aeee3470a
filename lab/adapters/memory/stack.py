"""A stack that is up as soon as it is asked to be."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping

from lab.domain.instrumentation import Instrumentation
from lab.errors import StackNotReady
from lab.ports.stack import PartStatus, StackCounters
from lab.shop.topology import PORTS, SERVICES

_PROGRAMS = ("postgres", "toxiproxy", "door", "tempo", "otelcol", "warden", "shop", "desk")
_PORT_OF = {
    "door": "tempo_http",
    "tempo": "tempo_http",
    "otelcol": "otelcol_otlp_http",
    "shop": "shop_control",
}


class MemoryStack:
    """`Stack` for tests. ``failing`` says of a part why it never gets ready.

    `crash` and `lose_spans` let what a run must notice happen.
    """

    def __init__(self, failing: Mapping[str, str] | None = None) -> None:
        self._failing = dict(failing or {})
        self._running: set[str] = set()
        self._restarts = dict.fromkeys({*_PROGRAMS, *SERVICES} - {"desk"}, 0)
        self._spans_ended = dict.fromkeys(SERVICES, 0)
        self._dropped = 0
        self.level = Instrumentation.FULL

    async def up(self) -> AsyncIterator[PartStatus]:
        """Every part, ready; StackNotReady at the first of ``failing``."""
        for name in (*_PROGRAMS, *SERVICES):
            if name in self._failing:
                raise StackNotReady(f"{name} is not ready: {self._failing[name]}")
            self._running.add(name)
            yield self._status(name)

    async def down(self) -> None:
        """Nothing runs afterwards, and every count starts anew."""
        self._running.clear()
        self._restarts = dict.fromkeys(self._restarts, 0)
        self._spans_ended = dict.fromkeys(self._spans_ended, 0)
        self._dropped = 0
        self.level = Instrumentation.FULL

    async def status(self) -> tuple[PartStatus, ...]:
        """Every part as it is."""
        return tuple(self._status(name) for name in (*_PROGRAMS, *SERVICES))

    async def counters(self) -> StackCounters:
        """The counts so far; StackNotReady while the stack is down."""
        if not self._running:
            raise StackNotReady("expected the stack to be up, found it down; `lab up`")
        return StackCounters(
            spans_ended=dict(self._spans_ended),
            restarts=dict(self._restarts),
            collector_dropped=self._dropped,
        )

    async def instrument(self, level: Instrumentation) -> None:
        """Keep the level; StackNotReady while there is no shop to write anything down."""
        if "shop" not in self._running:
            raise StackNotReady("expected the shop to be up, found it down; `lab up`")
        self.level = level

    def versions(self) -> Mapping[str, str]:
        """Part → version: there is but one."""
        return dict.fromkeys(_PROGRAMS, "0")

    def crash(self, part: str) -> None:
        """Let ``part`` die; it is back at once, and that it was gone is counted."""
        self._restarts[part] += 1

    def end_spans(self, service: str, count: int) -> None:
        """Let ``service`` end that many spans."""
        self._spans_ended[service] += count

    def lose_spans(self, count: int) -> None:
        """Let the Collector drop that many spans."""
        self._dropped += count

    def _status(self, name: str) -> PartStatus:
        running = name in self._running
        return PartStatus(
            name=name,
            state="ready" if running else "down",
            pid=None,
            port=PORTS[_PORT_OF.get(name, name)],
            detail="" if running else "not started",
        )
