"""Spans and traces as they were received, and the questions one asks of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import field
from enum import StrEnum
from functools import cached_property
from typing import Final

from lab.frozen import dataclass

AttributeValue = str | bool | int | float | tuple["AttributeValue", ...]
"""What an OTLP attribute may hold here; nested maps are kept as their JSON text."""


class Kind(StrEnum):
    """OpenTelemetry's span kinds."""

    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


class Status(StrEnum):
    """OpenTelemetry's span status codes."""

    UNSET = "unset"
    OK = "ok"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at one instant inside a span."""

    name: str
    time_ns: int
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Link:
    """A pointer from a span to one of another trace."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    trace_state: str = ""
    flags: int = 0


@dataclass(frozen=True, slots=True)
class Scope:
    """The instrumentation that made a span: a library's name and version, and what it says.

    ``schema_url`` says by which conventions its spans are to be read.
    """

    name: str = ""
    version: str = ""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    schema_url: str = ""


NO_SCOPE: Final = Scope()
"""Of a span that does not say what made it."""


@dataclass(frozen=True, slots=True)
class Span:
    """One span; ids are lower-case hex (32 and 16 digits), times Unix nanoseconds.

    A time of 0 was never written down: the span is *unfinished*, or *undated*. ``trace_state``
    and ``flags`` are of its context (W3C Trace Context, and OTLP's own bits above those).
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    kind: Kind
    service: str
    start_ns: int
    end_ns: int
    status: Status = Status.UNSET
    status_message: str = ""
    attributes: Mapping[str, AttributeValue] = field(default_factory=dict)
    events: tuple[Event, ...] = ()
    links: tuple[Link, ...] = ()
    resource: Mapping[str, AttributeValue] = field(default_factory=dict)
    scope: Scope = NO_SCOPE
    trace_state: str = ""
    flags: int = 0
    resource_schema_url: str = ""

    @property
    def is_unfinished(self) -> bool:
        """Whether nobody wrote down when it ended."""
        return self.end_ns == 0

    @property
    def is_undated(self) -> bool:
        """Whether nobody wrote down when it started."""
        return self.start_ns == 0

    @property
    def is_timed(self) -> bool:
        """Whether both its times were written down, so that it has a duration."""
        return self.start_ns != 0 and self.end_ns != 0

    @property
    def duration_ms(self) -> float:
        """How long it took by its own clock, in ms; 0 where that went back or a time is missing."""
        return max(0, self.end_ns - self.start_ns) / 1e6 if self.is_timed else 0.0

    @property
    def peer(self) -> str | None:
        """The callee by the topology's name, where the span calls somebody."""
        value = self.attributes.get("service.peer.name")
        return value if isinstance(value, str) else None

    @property
    def exceptions(self) -> tuple[str, ...]:
        """The types of the exceptions recorded on it, as written (``module.Type``)."""
        recorded = (event for event in self.events if event.name == "exception")
        return tuple(str(event.attributes.get("exception.type", "")) for event in recorded)

    @property
    def messages(self) -> tuple[str, ...]:
        """What its status says, and the exceptions recorded on it; any may be empty."""
        recorded = (event for event in self.events if event.name == "exception")
        told = (str(event.attributes.get("exception.message", "")) for event in recorded)
        return (self.status_message, *told)

    def overlaps(self, other: Span) -> bool:
        """Whether both were running at one instant."""
        return self.start_ns < other.end_ns and other.start_ns < self.end_ns


@dataclass(frozen=True)
class Trace:
    """All spans received under one trace id, in order of their start.

    ``joined`` holds the other traces that count as part of the same request's story.

    Hostile input is tolerated: duplicates of a span id keep the first, a cycle of
    parent links makes its spans parentless, children may start before parents.
    """

    trace_id: str
    spans: tuple[Span, ...] = field(repr=False)
    joined: tuple[Trace, ...] = field(default=(), repr=False)

    def __iter__(self) -> Iterator[Span]:
        """Its spans, earliest first, each id once."""
        return iter(self.by_id.values())

    @property
    def story(self) -> tuple[Trace, ...]:
        """Itself and what is joined to it."""
        return (self, *self.joined)

    @cached_property
    def by_id(self) -> Mapping[str, Span]:
        """Span id → span."""
        index: dict[str, Span] = {}
        for span in self.spans:
            index.setdefault(span.span_id, span)
        return index

    def span(self, span_id: str) -> Span | None:
        """The span of that id, if it was received."""
        return self.by_id.get(span_id)

    def parent(self, span: Span) -> Span | None:
        """The parent of ``span``, if it was received."""
        parent_id = self._parent_ids.get(span.span_id)
        return self.by_id.get(parent_id) if parent_id else None

    @cached_property
    def _parent_ids(self) -> Mapping[str, str]:
        """Span id → parent id, without the links that lie on a cycle."""
        return _without_cycles({span.span_id: span.parent_id for span in self if span.parent_id})

    @cached_property
    def _children(self) -> Mapping[str, tuple[Span, ...]]:
        children: dict[str, list[Span]] = {}
        for span_id, parent_id in self._parent_ids.items():
            children.setdefault(parent_id, []).append(self.by_id[span_id])
        return {parent: tuple(sorted(spans, key=in_time)) for parent, spans in children.items()}

    def children(self, span: Span) -> tuple[Span, ...]:
        """The spans that ``span`` caused, earliest first."""
        return self._children.get(span.span_id, ())

    def ancestors(self, span: Span) -> tuple[Span, ...]:
        """Parent, grandparent … up to the root, or to where a parent is missing."""
        found: list[Span] = []
        current = self.parent(span)
        while current is not None:
            found.append(current)
            current = self.parent(current)
        return tuple(found)

    @cached_property
    def roots(self) -> tuple[Span, ...]:
        """The spans that name no parent, or that stand on a cycle of parents."""
        return tuple(span for span in self if span.span_id not in self._parent_ids)

    @property
    def tops(self) -> tuple[Span, ...]:
        """The spans below none that came: roots, and those whose parents are missing."""
        return tuple(span for span in self if self.parent(span) is None)

    @cached_property
    def missing_parents(self) -> frozenset[str]:
        """Ids that received spans name as parent and that never came."""
        return frozenset(
            parent_id for parent_id in self._parent_ids.values() if parent_id not in self.by_id
        )

    @cached_property
    def is_cyclic(self) -> bool:
        """Whether spans name each other, or themselves, as parents."""
        return any(span.parent_id for span in self.roots)

    @property
    def is_whole(self) -> bool:
        """Whether it has its one root, no missing parents and no cycle of them."""
        return len(self.roots) == 1 and not self.missing_parents and not self.is_cyclic

    @property
    def depth(self) -> int:
        """How many spans stand below each other where it is deepest."""
        level = list(self.tops)
        found = 0
        while level:
            found += 1
            level = [child for span in level for child in self.children(span)]
        return found

    def self_time_ms(self, span: Span) -> float:
        """The span's duration minus the union of its children's, clipped to it, in ms.

        Children that overlap are counted once; what a child does after its parent
        ended is not the parent's.
        """
        covered_ns, reached = 0, span.start_ns
        if not span.is_timed:
            return 0.0
        for child in self.children(span):
            start, end = max(child.start_ns, reached), min(child.end_ns, span.end_ns)
            if end > start and not child.is_undated:
                covered_ns += end - start
                reached = end
        return max(0, span.end_ns - span.start_ns - covered_ns) / 1e6

    def wire_time_ms(self, span: Span) -> float | None:
        """A client span's duration minus its server half's, in ms; None without that half."""
        if span.kind is not Kind.CLIENT:
            return None
        servers = [child for child in self.children(span) if child.kind is Kind.SERVER]
        if len(servers) != 1 or not (span.is_timed and servers[0].is_timed):
            return None
        return span.duration_ms - servers[0].duration_ms

    def ends_after_parent_ms(self, span: Span) -> float | None:
        """By how much the span outlives its parent, in ms; negative where it ends before it."""
        parent = self.parent(span)
        if parent is None or span.is_unfinished or parent.is_unfinished:
            return None
        return (span.end_ns - parent.end_ns) / 1e6

    def repeats(self, span: Span) -> int:
        """How often the span's operation runs under its parent one after another.

        Spans that overlap with those counted are left out, so that calls made at once
        count as one.
        """
        return self._repeats.get(_operation(span, self._parent_ids), 1)

    @cached_property
    def _repeats(self) -> Mapping[tuple[object, ...], int]:
        ends_ns: dict[tuple[object, ...], int] = {}
        counts: dict[tuple[object, ...], int] = {}
        # The one that ends first leaves the most room for others.
        for span in sorted(self, key=lambda span: span.end_ns):
            operation = _operation(span, self._parent_ids)
            if span.start_ns >= ends_ns.get(operation, 0):
                ends_ns[operation] = span.end_ns
                counts[operation] = counts.get(operation, 0) + 1
        return counts

    def is_deepest_error(self, span: Span) -> bool:
        """Whether ``span`` is an error under which no other span is one."""
        return span.status is Status.ERROR and not any(
            child.status is Status.ERROR for child in self.children(span)
        )

    def deepest_errors(self) -> tuple[Span, ...]:
        """The error spans under which no other span is an error."""
        return tuple(span for span in self if self.is_deepest_error(span))


def in_time(span: Span) -> tuple[bool, int]:
    """What spans are put in order of time by: their start, those without one last."""
    return span.is_undated, span.start_ns


def _operation(span: Span, parent_ids: Mapping[str, str]) -> tuple[object, ...]:
    return parent_ids.get(span.span_id), span.service, span.name, span.kind, span.peer


def _without_cycles(links: Mapping[str, str]) -> Mapping[str, str]:
    """The links from child to parent, less those one can follow back to where they start."""
    kept, settled = dict(links), set[str]()
    for start in links:
        path: dict[str, None] = {}
        current = start
        while current in links and current not in settled and current not in path:
            path[current] = None
            current = links[current]
        settled.update(path)
        if current in path:
            walked = tuple(path)
            for member in walked[walked.index(current) :]:
                del kept[member]
    return kept
