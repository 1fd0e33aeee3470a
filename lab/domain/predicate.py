"""Questions about one span of a trace, written in a scenario as data.

A predicate names *clauses*; a span matches when every clause holds. A duration
bound that needs a reference does not hold where the reference never saw the
operation: what cannot be compared is not claimed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import field, replace
from typing import Final

from lab.domain.bound import Bound
from lab.domain.proof import Outcome
from lab.domain.reference import ReferenceStats
from lab.domain.trace import AttributeValue, Kind, Span, Status, Trace
from lab.frozen import dataclass

_EQUALITIES: Final = ("service", "name", "kind", "status", "peer")
_RELATIONS: Final = ("parent", "ancestor", "child", "no_child", "no_joined", "link")
_MOST_NAMED: Final = 5
"""Relatives that a clause names; there may be thousands."""
_IDENTITY: Final = frozenset({"service", "name", "kind", "peer"})


@dataclass(frozen=True, slots=True)
class Like:
    """An attribute whose text has a match of ``pattern`` somewhere in it.

    No word of a scenario file makes one: a stranger's pattern could keep a reader busy for ever.
    """

    pattern: re.Pattern[str]

    def __str__(self) -> str:
        """For people: ``=~ ^/orders``, as TraceQL has it."""
        return f"=~ {self.pattern.pattern}"


@dataclass(frozen=True, slots=True)
class Present:
    """An attribute that is there, whatever its value."""

    def __str__(self) -> str:
        """For people: ``present``."""
        return "present"


PRESENT: Final = Present()

AttributeTest = AttributeValue | Bound | Like | Present


@dataclass(frozen=True, slots=True)
class Clause:
    """One clause of a predicate as it came out for one span."""

    name: str
    expected: str
    found: str
    holds: bool

    def __str__(self) -> str:
        """For people: ``duration: expected >= 350ms, found 3.1ms``."""
        return f"{self.name}: expected {self.expected}, found {self.found}"


@dataclass(frozen=True, slots=True)
class NearMiss:
    """A span that is not what a predicate looks for, and the clauses that say so."""

    span: Span
    failed: tuple[Clause, ...]

    @property
    def distance(self) -> tuple[int, int]:
        """For sorting: another operation is farther off than the right one with wrong numbers."""
        return sum(clause.name in _IDENTITY for clause in self.failed), len(self.failed)


@dataclass(frozen=True, slots=True)
class Predicate:
    """What a span must be; a field that is None (or empty) asks nothing.

    ``root`` asks whether the span begins its trace. ``exception`` is the type of a
    recorded exception, whole or its last dotted part; ``event`` the name of any event, and
    ``message`` stands in the status message or in that of a recorded exception. ``duration`` and
    ``self_time`` may be relative to the median of the same operation in the reference.
    ``wire_time`` is a CLIENT span's duration less its server half's,
    ``ends_after_parent`` by how much a span outlives its parent, ``repeats`` how often
    its operation runs under the same parent one after another. ``at_once`` is how many spans
    like it, itself included, overlap with it, in its trace and in those joined to it; like
    it are those of the same names and attributes, whatever they took. ``parent``,
    ``ancestor`` and ``child`` want one such span there, ``no_child`` none, ``no_joined``
    none in the traces joined to its own. ``links`` is how many links it has, ``link`` wants
    one of them to lead to such a span, in its trace or in one that is joined to it.
    ``deepest_error`` asks whether it is an error under which no other span is one.
    """

    service: str | None = None
    name: str | None = None
    kind: Kind | None = None
    status: Status | None = None
    peer: str | None = None
    exception: str | None = None
    attributes: Mapping[str, AttributeTest] = field(default_factory=dict)
    no_attributes: tuple[str, ...] = ()
    duration: Bound | None = None
    self_time: Bound | None = None
    wire_time: Bound | None = None
    ends_after_parent: Bound | None = None
    repeats: Bound | None = None
    at_once: Bound | None = None
    links: Bound | None = None
    root: bool | None = None
    deepest_error: bool | None = None
    parent: Predicate | None = None
    ancestor: Predicate | None = None
    child: Predicate | None = None
    no_child: Predicate | None = None
    no_joined: Predicate | None = None
    event: str | None = None
    message: str | None = None
    link: Predicate | None = None

    def child_of(self, parent: Predicate) -> Predicate:
        """The same, directly below such a span."""
        return replace(self, parent=parent)

    def descendant_of(self, ancestor: Predicate) -> Predicate:
        """The same, anywhere below such a span."""
        return replace(self, ancestor=ancestor)

    def matches(self, span: Span, trace: Trace, reference: ReferenceStats) -> bool:
        """Whether every clause holds for ``span`` of ``trace``."""
        # Most spans are of another operation; to spell out why would cost ten times as much.
        return self._is_named(span) and all(
            clause.holds for clause in self._measured(span, trace, reference)
        )

    def matching(self, trace: Trace, reference: ReferenceStats) -> tuple[Span, ...]:
        """The spans of ``trace`` and of what is joined to it that match."""
        return tuple(
            span for each in trace.story for span in each if self.matches(span, each, reference)
        )

    def nearest_misses(
        self, trace: Trace, reference: ReferenceStats, limit: int = 3
    ) -> tuple[NearMiss, ...]:
        """The spans that come closest without matching, nearest first."""
        misses = []
        for each in trace.story:
            for span in each:
                clauses = self.clauses(span, each, reference)
                if failed := tuple(clause for clause in clauses if not clause.holds):
                    misses.append(NearMiss(span, failed))
        return tuple(sorted(misses, key=lambda miss: miss.distance)[:limit])

    def clauses(self, span: Span, trace: Trace, reference: ReferenceStats) -> Iterator[Clause]:
        """Each clause with what was expected and found, cheapest first."""
        for name in _EQUALITIES:
            expected, found = getattr(self, name), getattr(span, name)
            if expected is not None:
                yield Clause(
                    name, str(expected), "none" if found is None else str(found), expected == found
                )
        yield from self._measured(span, trace, reference)

    def _is_named(self, span: Span) -> bool:
        """Whether all equalities hold."""
        return (
            (self.service is None or self.service == span.service)
            and (self.name is None or self.name == span.name)
            and (self.kind is None or self.kind is span.kind)
            and (self.status is None or self.status is span.status)
            and (self.peer is None or self.peer == span.peer)
        )

    def _measured(self, span: Span, trace: Trace, reference: ReferenceStats) -> Iterator[Clause]:
        if self.exception is not None:
            found = span.exceptions
            holds = any(_names_type(self.exception, written) for written in found)
            yield Clause("exception", self.exception, ", ".join(found) or "none", holds)
        if self.event is not None:
            names = [event.name for event in span.events]
            shown = ", ".join(names[:_MOST_NAMED]) or "none"
            yield Clause("event", self.event, shown, self.event in names)
        if self.message is not None:
            told = [each for each in span.messages if each]
            shown = "; ".join(told[:_MOST_NAMED]) or "none"
            yield Clause("message", self.message, shown, any(self.message in each for each in told))
        for key, expected in self.attributes.items():
            yield _attribute_clause(key, expected, span.attributes.get(key))
        for key in self.no_attributes:
            found_value = span.attributes.get(key, "none")
            yield Clause(key, "none", str(found_value), key not in span.attributes)
        yield from self._times(span, trace, reference)
        yield from self._positions(span, trace)
        yield from self._relations(span, trace, reference)
        if self.at_once is not None:
            yield _number_clause("at_once", self.at_once, self._beside(span, trace))

    def _beside(self, span: Span, trace: Trace) -> int:
        """How many spans like ``span`` overlap with it, itself included."""
        like_it = Predicate(**{name: getattr(self, name) for name in (*_EQUALITIES, "attributes")})
        alike = like_it.matching(trace, ReferenceStats())
        return sum(each is span or each.overlaps(span) for each in alike)

    def _times(self, span: Span, trace: Trace, reference: ReferenceStats) -> Iterator[Clause]:
        if self.duration is None and self.self_time is None:
            return
        stats = reference.for_span(span)
        if self.duration is not None:
            usual_ms = stats.p50_ms if stats else None
            yield _time_clause("duration", self.duration, span.duration_ms, usual_ms)
        if self.self_time is not None:
            usual_ms = stats.self_p50_ms if stats else None
            yield _time_clause("self_time", self.self_time, trace.self_time_ms(span), usual_ms)

    def _positions(self, span: Span, trace: Trace) -> Iterator[Clause]:
        if self.wire_time is not None:
            yield _number_clause("wire_time", self.wire_time, trace.wire_time_ms(span), "ms")
        if self.ends_after_parent is not None:
            after_ms = trace.ends_after_parent_ms(span)
            yield _number_clause("ends_after_parent", self.ends_after_parent, after_ms, "ms")
        if self.repeats is not None:
            yield _number_clause("repeats", self.repeats, trace.repeats(span))
        if self.links is not None:
            yield _number_clause("links", self.links, len(span.links))
        if self.root is not None:
            begins = span.parent_id is None
            yield Clause("root", str(self.root), str(begins), begins is self.root)
        if self.deepest_error is not None:
            found = trace.is_deepest_error(span)
            holds = found is self.deepest_error
            yield Clause("deepest_error", str(self.deepest_error), str(found), holds)

    def _relations(self, span: Span, trace: Trace, reference: ReferenceStats) -> Iterator[Clause]:
        for name in _RELATIONS:
            predicate: Predicate | None = getattr(self, name)
            if predicate is not None:
                related = _relatives(name, span, trace)
                found = any(predicate.matches(each, place, reference) for each, place in related)
                shown = [f"{each.service} {each.name}" for each, _ in related[:_MOST_NAMED]]
                names = ", ".join(shown)
                holds = found is not name.startswith("no_")
                yield Clause(name, str(predicate), names or "none", holds)

    def __str__(self) -> str:
        """For people: ``auth SELECT error``, then what else is asked."""
        words = [str(word) for word in (self.service, self.kind, self.name, self.status) if word]
        words += [f"→ {self.peer}"] if self.peer else []
        words += [self.exception] if self.exception else []
        words += [each for each in (self.event, self.message) if each]
        words += [f"{key}={value}" for key, value in self.attributes.items()]
        words += [f"{self.duration}"] if self.duration else []
        words += [f"without {', '.join(self.no_attributes)}"] if self.no_attributes else []
        for name in ("self_time", "wire_time", "ends_after_parent", "repeats", "at_once", "links"):
            if (bound := getattr(self, name)) is not None:
                words.append(f"{name.removesuffix('_time').replace('_', ' ')} {bound}")
        words += [] if self.root is None else ["root" if self.root else "no root"]
        if self.deepest_error is not None:
            words.append("deepest error" if self.deepest_error else "no deepest error")
        for relation in _RELATIONS:
            if (predicate := getattr(self, relation)) is not None:
                words.append(f"{relation.replace('_', ' ')} ({predicate})")
        return " ".join(words) or "any span"


def _relatives(relation: str, span: Span, trace: Trace) -> tuple[tuple[Span, Trace], ...]:
    """The spans that a relation is about, each with the trace it stands in."""
    if relation == "no_joined":
        return tuple((each, other) for other in trace.joined for each in other)
    if relation == "link":
        ends = {(link.trace_id, link.span_id) for link in span.links}
        return tuple(
            (each, other)
            for other in trace.story
            for each in other
            if (each.trace_id, each.span_id) in ends
        )
    if relation in {"child", "no_child"}:
        spans = trace.children(span)
    else:
        ancestors = trace.ancestors(span)
        spans = ancestors[:1] if relation == "parent" else ancestors
    return tuple((each, trace) for each in spans)


def _names_type(wanted: str, written: str) -> bool:
    return wanted in {written, written.rpartition(".")[2]}


def _attribute_clause(key: str, expected: AttributeTest, found: AttributeValue | None) -> Clause:
    shown = "none" if found is None else str(found)
    if isinstance(expected, Present):
        return Clause(key, str(expected), shown, found is not None)
    if isinstance(expected, Like):
        is_like = isinstance(found, str) and expected.pattern.search(found) is not None
        return Clause(key, str(expected), shown, is_like)
    if isinstance(expected, Bound):
        number = found if isinstance(found, int | float) and not isinstance(found, bool) else None
        return Clause(key, str(expected), shown, expected.holds(number) is Outcome.HOLDS)
    same = type(found) is type(expected) and found == expected
    return Clause(key, str(expected), shown, same)


def _number_clause(name: str, bound: Bound, found: float | None, unit: str = "") -> Clause:
    shown = "none" if found is None else f"{found:.4g}{unit}"
    return Clause(name, str(bound), shown, bound.holds(found) is Outcome.HOLDS)


def _time_clause(name: str, bound: Bound, found_ms: float, usual_ms: float | None) -> Clause:
    found = f"{found_ms:.1f}ms"
    if bound.needs_reference:
        found += " (reference " + ("none" if usual_ms is None else f"{usual_ms:.1f}ms") + ")"
    holds = bound.holds(found_ms, usual_ms) is Outcome.HOLDS
    return Clause(name, str(bound), found, holds)
