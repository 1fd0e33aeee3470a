"""A Toxiproxy that exists only in this process."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from lab.domain.fault import Fault
from lab.errors import InjectorError
from lab.ports.injector import EdgeState


class MemoryInjector:
    """`Injector` that keeps what it is given, and refuses what the real one does."""

    def __init__(self, edges: Iterable[str]) -> None:
        self._edges = {name: EdgeState(name, enabled=True, toxics=()) for name in edges}
        self._strangers: dict[str, EdgeState] = {}

    async def edges(self) -> Mapping[str, EdgeState]:
        """Every edge as it is, and strangers."""
        return {**self._edges, **self._strangers}

    async def apply(self, fault: Fault) -> None:
        """Put ``fault`` on its edge."""
        edge = self._edge(fault.edge)
        problems = fault.problems()
        if problems:
            raise InjectorError(f"{fault.edge}: {'; '.join(problems)}")
        if not edge.enabled:
            raise InjectorError(f"{fault.edge}: expected it enabled, found it cut already")
        if edge.shows(fault):
            raise InjectorError(f"{fault.edge}: expected no {fault.toxic_name}, found one already")
        self._edges[fault.edge] = (
            replace(edge, enabled=False)
            if fault.is_down
            else replace(edge, toxics=(*edge.toxics, fault))
        )

    async def remove(self, fault: Fault) -> None:
        """Take ``fault`` off, if it is there."""
        edge = self._edge(fault.edge)
        kept = tuple(toxic for toxic in edge.toxics if toxic.toxic_name != fault.toxic_name)
        less = replace(edge, enabled=True) if fault.is_down else replace(edge, toxics=kept)
        self._edges[fault.edge] = less

    async def reset(self) -> None:
        """Take every toxic off, enable every edge, and forget strangers."""
        self._strangers.clear()
        self._edges = {name: EdgeState(name, enabled=True, toxics=()) for name in self._edges}

    def admit_stranger(self, name: str) -> None:
        """Have a proxy that is no edge, as whoever reaches Toxiproxy can make one."""
        self._strangers[name] = EdgeState(name, enabled=True, toxics=(), strange="a stranger's")

    def _edge(self, name: str) -> EdgeState:
        if name not in self._edges:
            raise InjectorError(f"expected an edge of {sorted(self._edges)}, found {name!r}")
        return self._edges[name]
