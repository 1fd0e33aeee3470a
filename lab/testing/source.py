"""Where spans come from, and what was there when one looked."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import field
from itertools import chain
from pathlib import Path
from typing import Protocol

from lab.adapters.otlp.traces import assemble, write_traces
from lab.domain.reference import ReferenceStats
from lab.domain.trace import Span, Trace
from lab.frozen import dataclass


@dataclass(frozen=True)
class TraceSet:
    """Traces as they were at one moment; iterates over their spans.

    ``unfinished`` maps the id of each trace of which something is known to be missing to what
    that is. While ``may_grow``, an empty set says nothing: spans may be on their way.
    ``is_running`` while what is missing is known not to have ended. ``callers`` are the ids of
    parents that are in another process, whose spans never come here.
    """

    traces: tuple[Trace, ...]
    unfinished: Mapping[str, str] = field(default_factory=dict)
    may_grow: bool = False
    is_running: bool = False
    callers: frozenset[str] = frozenset()

    @classmethod
    def received(cls, traces: Iterable[Trace], *, may_grow: bool = False) -> TraceSet:
        """Traces that came over a wire or out of a store: whole is one whose parents all came."""
        ordered = tuple(sorted(traces, key=_start_ns))
        missing = {trace.trace_id: _missing(trace) for trace in ordered if not trace.is_whole}
        return cls(with_linked(ordered), missing, may_grow)

    @classmethod
    def of_spans(cls, spans: Iterable[Span], *, may_grow: bool = False) -> TraceSet:
        """The same of spans in any order."""
        return cls.received(by_trace(spans), may_grow=may_grow)

    def __iter__(self) -> Iterator[Span]:
        """Every span, trace by trace."""
        return chain.from_iterable(self.traces)

    def __len__(self) -> int:
        """How many spans there are."""
        return sum(len(trace.by_id) for trace in self.traces)

    def look(self) -> TraceSet:
        """Itself: what is known will not change."""
        return self

    def reference(self) -> ReferenceStats:
        """What each operation took: the baseline that ``2x reference`` means."""
        return ReferenceStats.of(self.traces)

    def save(self, path: Path | str) -> None:
        """Keep it as OTLP/JSON, for `from_file` and ``lab import --otlp``."""
        text = json.dumps(write_traces(self.traces), ensure_ascii=False)
        Path(path).write_text(text + "\n", encoding="utf-8")


class Source(Protocol):
    """Where one may look again and again.

    ``patience_s`` is how long an expectation waits here unless it says so itself, ``poll_s``
    how long between two looks.
    """

    patience_s: float
    poll_s: float

    def look(self) -> TraceSet:
        """What is there now."""


Spans = Source | TraceSet | Iterable[Trace]
"""What an expectation is about."""


def look_at(spans: Spans) -> TraceSet:
    """What ``spans`` are now."""
    look = getattr(spans, "look", None)
    if look is not None:
        found: TraceSet = look()
        return found
    return TraceSet.received(spans)  # type: ignore[arg-type]


def by_trace(spans: Iterable[Span]) -> tuple[Trace, ...]:
    """The traces that ``spans`` are of."""
    grouped: dict[str, list[Span]] = {}
    for span in spans:
        grouped.setdefault(span.trace_id, []).append(span)
    return tuple(assemble(trace_id, found) for trace_id, found in grouped.items())


def with_linked(traces: tuple[Trace, ...]) -> tuple[Trace, ...]:
    """Each trace, and as joined to it those that its spans' links lead to."""
    known = {trace.trace_id: trace for trace in traces}
    return tuple(_and_linked(trace, known) for trace in traces)


def _and_linked(trace: Trace, known: Mapping[str, Trace]) -> Trace:
    ids = {link.trace_id for span in trace.spans for link in span.links} - {trace.trace_id}
    linked = tuple(known[trace_id] for trace_id in sorted(ids) if trace_id in known)
    return Trace(trace.trace_id, trace.spans, linked) if linked else trace


def _start_ns(trace: Trace) -> int:
    return min((span.start_ns for span in trace.spans), default=0)


def _missing(trace: Trace) -> str:
    if trace.is_cyclic:
        return "a span is its own ancestor"
    if trace.missing_parents:
        return f"parent {min(trace.missing_parents)} never came"
    return f"{len(trace.roots)} spans have no parent, instead of one"
