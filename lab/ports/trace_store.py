"""Where traces are kept: by id, and by search."""

from __future__ import annotations

from typing import Protocol

from lab.domain.trace import Trace


class TraceSearch(Protocol):
    """Ids of traces by search."""

    async def search(self, traceql: str, *, start_s: float, end_s: float) -> frozenset[str]:
        """Ids of the traces that answer the query inside the interval (Unix seconds)."""
        ...


class TraceStore(TraceSearch, Protocol):
    """Traces by id and by search."""

    @property
    def searchable_after_s(self) -> float:
        """How long after its last span a trace may still be missing from a search."""
        ...

    async def trace(self, trace_id: str) -> Trace | None:
        """The trace as received so far; None while none of it is there."""
        ...

    async def spans_received(self) -> int:
        """How many spans the store has taken in since it started."""
        ...
