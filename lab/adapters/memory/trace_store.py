"""A trace store in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from lab.adapters.otlp.traces import assemble
from lab.domain.trace import Span, Trace
from lab.errors import TraceStoreError

Answers = Callable[[Trace, str], bool]
"""Whether a trace answers a TraceQL query."""


def _always(_trace: Trace, _traceql: str) -> bool:
    return True


class MemoryTraceStore:
    """`TraceStore` for tests: `receive` puts spans in, `break_off` takes it down.

    It finds at once what it took in, and may say other (``searchable_after_s``). It speaks no
    TraceQL; ``answers`` decides which traces a query finds, and finds all
    of them where it is not given.
    """

    def __init__(self, answers: Answers = _always, *, searchable_after_s: float = 0.0) -> None:
        self._answers = answers
        self.searchable_after_s = searchable_after_s
        self._spans: dict[str, list[Span]] = {}
        self._received = 0
        self._broken = False

    def receive(self, spans: Iterable[Span]) -> None:
        """Take spans in, as an exporter would send them."""
        for span in spans:
            self._spans.setdefault(span.trace_id, []).append(span)
            self._received += 1

    def break_off(self, broken: bool = True) -> None:
        """Answer nothing any more, or again."""
        self._broken = broken

    async def trace(self, trace_id: str) -> Trace | None:
        """The trace as received so far; None while none of it is there."""
        self._answer_or_fail()
        spans = self._spans.get(trace_id.lower())
        return assemble(trace_id.lower(), spans) if spans else None

    async def search(self, traceql: str, *, start_s: float, end_s: float) -> frozenset[str]:
        """Ids of the traces that overlap the interval and that ``answers`` accepts."""
        self._answer_or_fail()
        found = (assemble(trace_id, spans) for trace_id, spans in self._spans.items())
        return frozenset(
            trace.trace_id
            for trace in found
            if any(span.start_ns < end_s * 1e9 and span.end_ns >= start_s * 1e9 for span in trace)
            and self._answers(trace, traceql)
        )

    async def spans_received(self) -> int:
        """How many spans were taken in, duplicates counted again."""
        self._answer_or_fail()
        return self._received

    def _answer_or_fail(self) -> None:
        if self._broken:
            raise TraceStoreError("expected the trace store in memory to answer, it was broken off")
