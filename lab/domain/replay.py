"""Traces sent once more, as if they happened now: other ids, other times, the same story."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

from lab.domain.trace import Event, Link, Span, Trace
from lab.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Replay:
    """One replay: every time moved by ``shift_ns``, every id made from ``salt`` and the old one.

    So the mapping of all ids is kept by keeping the salt, and a span that is accused by
    its new id can be found. The same trace replayed twice has other ids each time.
    """

    salt: str
    shift_ns: int

    @classmethod
    def ending_at(cls, traces: Iterable[Trace], end_ns: int, salt: str) -> Replay:
        """The replay whose last span ends at ``end_ns`` (Unix nanoseconds)."""
        last_ns = max((span.end_ns for trace in traces for span in trace), default=end_ns)
        return cls(salt, end_ns - last_ns)

    def trace_id(self, trace_id: str) -> str:
        """What the trace of that id is called in the replay."""
        return self._fresh(trace_id, 16)

    def span_id(self, trace_id: str, span_id: str) -> str:
        """What that span of the trace (both by their old ids) is called in the replay."""
        return self._fresh(f"{trace_id}/{span_id}", 8)

    def moved(self, trace: Trace) -> Trace:
        """The trace as the replay tells it; what is joined to it goes on its own."""
        return Trace(self.trace_id(trace.trace_id), tuple(map(self._moved, trace)))

    def trace_ids(self, trace_ids: Iterable[str]) -> Mapping[str, str]:
        """New trace id → old one."""
        return {self.trace_id(each): each for each in trace_ids}

    def span_ids(self, trace: Trace) -> Mapping[str, str]:
        """New span id → old one, of a trace as it was."""
        return {self.span_id(trace.trace_id, each): each for each in trace.by_id}

    def _moved(self, span: Span) -> Span:
        parent = span.parent_id and self.span_id(span.trace_id, span.parent_id)
        return replace(
            span,
            trace_id=self.trace_id(span.trace_id),
            span_id=self.span_id(span.trace_id, span.span_id),
            parent_id=parent,
            start_ns=span.start_ns + self.shift_ns,
            end_ns=span.end_ns + self.shift_ns,
            events=tuple(map(self._moved_event, span.events)),
            links=tuple(map(self._moved_link, span.links)),
        )

    def _moved_event(self, event: Event) -> Event:
        return replace(event, time_ns=event.time_ns + self.shift_ns)

    def _moved_link(self, link: Link) -> Link:
        return replace(
            link,
            trace_id=self.trace_id(link.trace_id),
            span_id=self.span_id(link.trace_id, link.span_id),
        )

    def _fresh(self, old: str, length: int) -> str:
        digest = hashlib.sha256(f"{self.salt}/{old}".encode()).digest()[:length]
        # An id of zeros alone would be none; a leading zero some stores leave out.
        return bytes((digest[0] | 0x10, *digest[1:])).hex()


def batches(traces: Iterable[Trace], most_spans: int) -> Iterable[tuple[Trace, ...]]:
    """The traces in their order, whole, in groups of at most ``most_spans`` spans.

    A trace of more is a group of its own.
    """
    batch: list[Trace] = []
    count = 0
    for trace in traces:
        if batch and count + len(trace.spans) > most_spans:
            yield tuple(batch)
            batch, count = [], 0
        batch.append(trace)
        count += len(trace.spans)
    if batch:
        yield tuple(batch)
