"""A warden on fakes whose moods tests set: stuck, refusing, full."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.adapters.memory.clock import FakeClock
from lab.adapters.memory.injector import MemoryInjector
from lab.adapters.memory.services import MemoryServices
from lab.adapters.memory.warden import MemoryHarmMark
from lab.domain.fault import Fault
from lab.errors import InjectorError, LeaseError, StackNotReady
from lab.ports.injector import EdgeState, Injector
from lab.shop.topology import EDGES, SERVICES
from lab.warden.applying import Applier
from lab.warden.lease import Lease
from lab.warden.leases import Leases
from lab.warden.removing import Remover


class MoodyInjector(MemoryInjector):
    """Fails in the calls named in ``stuck``; writes what it did into ``diary``.

    With ``answers`` stuck it does what it is told, and its caller never learns of it.
    """

    def __init__(self, diary: list[str]) -> None:
        super().__init__(edge.name for edge in EDGES)
        self.diary = diary
        self.stuck: set[str] = set()
        self.is_listening = True

    def _do(self, call: str) -> None:
        if not self.is_listening:
            raise StackNotReady("nobody listens")
        if call in self.stuck:
            raise InjectorError(f"{call} hung")

    async def edges(self) -> Mapping[str, EdgeState]:
        self._do("edges")
        return await super().edges()

    async def apply(self, fault: Fault) -> None:
        self._do("apply")
        await super().apply(fault)
        self.diary.append(f"apply {fault.edge}")
        self._do("answers")

    async def remove(self, fault: Fault) -> None:
        self._do("remove")
        await super().remove(fault)
        self.diary.append(f"remove {fault.edge}")
        self._do("answers")

    async def reset(self) -> None:
        self._do("reset")
        await super().reset()
        self.diary.append("reset")
        self._do("answers")


class DiaryServices(MemoryServices):
    """Writes every configuration into ``diary``; refuses those named in ``broken``."""

    def __init__(self, diary: list[str]) -> None:
        super().__init__(SERVICES)
        self.diary = diary
        self.broken: set[str] = set()

    async def configure(self, service: str, overlay: Mapping[str, str]) -> None:
        if service in self.broken:
            raise LeaseError(f"{service} does not become ready")
        await super().configure(service, overlay)
        self.diary.append(f"configure {service} {dict(overlay)}")


class MemoryStorage:
    """A lease file that outlives its warden; ``full`` names the states it cannot write."""

    def __init__(self, diary: list[str]) -> None:
        self.diary = diary
        self.lease: Lease | None = None
        self.full: set[str] = set()
        self.is_readable = True

    def load(self) -> Lease | None:
        if not self.is_readable:
            raise LeaseError("half a lease")
        return self.lease

    def save(self, lease: Lease) -> None:
        if lease.state in self.full:
            raise OSError(28, "No space left on device")
        self.lease = lease
        self.diary.append(f"write {lease.state}")

    def clear(self) -> None:
        if "clear" in self.full:
            raise OSError(30, "Read-only file system")
        self.lease = None
        self.is_readable = True
        self.diary.append("forget")


class ListJournal:
    """The warden's diary as a list."""

    def __init__(self) -> None:
        self.entries: list[tuple[str, dict[str, object]]] = []

    def record(self, event: str, **facts: object) -> None:
        self.entries.append((event, facts))


@dataclass
class World:
    """Everything that survives a warden's death, and the way to a new one."""

    diary: list[str] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)
    journal: ListJournal = field(default_factory=ListJournal)
    refusals: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.injector = MoodyInjector(self.diary)
        self.services = DiaryServices(self.diary)
        self.storage = MemoryStorage(self.diary)
        self.mark = MemoryHarmMark()

    async def probe(self, edge: str) -> str | None:
        return self.refusals.get(edge)

    async def restart(self) -> None:
        """A new Toxiproxy is clean and unstuck."""
        self.injector.stuck.clear()
        await MemoryInjector.reset(self.injector)
        self.diary.append("restart")

    def warden(
        self, injector: Injector | None = None, through: Callable[[Any], Any] = lambda part: part
    ) -> Leases:
        """A new process, started; before another Toxiproxy if one is given.

        ``through`` is put before everything it calls.
        """
        injector = through(injector or self.injector)
        services, clock = through(self.services), through(self.clock)
        leases = Leases(
            applier=Applier(injector, services, clock, self.journal),
            remover=Remover(
                injector=injector,
                services=services,
                probe=through(self.probe),
                restart=through(self.restart),
                clock=clock,
                journal=self.journal,
            ),
            storage=through(self.storage),
            mark=through(self.mark),
            clock=clock,
            journal=self.journal,
        )
        leases.start()
        return leases

    def hang_after_applying(self) -> asyncio.Event:
        """Let no call that puts harm on ever answer; the event tells that one was carried out."""
        reached = asyncio.Event()

        async def hang(fault: Fault) -> None:
            await MemoryInjector.apply(self.injector, fault)
            reached.set()
            await asyncio.Event().wait()

        self.injector.apply = hang  # type: ignore[method-assign]
        return reached

    async def hurt(self) -> list[str]:
        """Edges that are not clean, whatever mood the injector is in."""
        edges = await MemoryInjector.edges(self.injector)
        return [name for name, edge in edges.items() if not edge.is_clean]

    async def changed(self) -> list[str]:
        """Services that run with other than default settings."""
        return [name for name, state in (await self.services.states()).items() if state.overlay]
