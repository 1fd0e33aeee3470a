"""Traces that belong to a request although they are not its own."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from lab.domain.trace import Span, Trace
from lab.frozen import dataclass

Partners = Mapping[str, tuple[str, ...]]
"""Trace id → the ids of what belongs to it, for each trace to which others belong."""


@dataclass(frozen=True, slots=True)
class Join:
    """Which traces are looked for, and to whose request each of them belongs.

    ``search`` is TraceQL, asked over all windows of a run. What it finds belongs to the
    traces that have a span with the same value of the attribute ``on``; without ``on``,
    to those that one of its spans links to. With ``overlap`` two such spans must have been
    running at one instant, for a value that many share over time, such as a key: side by
    side for ``at_least_ms``, and ending at most ``ends_within_ms`` apart, whichever ends
    first, as those do of which one waited for the other.
    """

    search: str
    on: str | None = None
    overlap: bool = False
    at_least_ms: float = 0.0
    ends_within_ms: float | None = None

    def partners(
        self, traces: Iterable[Trace], found: Iterable[Trace]
    ) -> Mapping[str, tuple[Trace, ...]]:
        """Of each trace id, those of ``found`` that belong to it, in their given order."""
        owners: dict[object, list[Trace]] = {}
        for trace in traces:
            for key in self._keys(trace):
                owners.setdefault(key, []).append(trace)
        partners: dict[str, dict[str, Trace]] = {}
        for other in found:
            for key in self._references(other):
                for owner in owners.get(key, ()):
                    if owner.trace_id != other.trace_id and self._meet(owner, other, key):
                        partners.setdefault(owner.trace_id, {})[other.trace_id] = other
        return {owner: tuple(others.values()) for owner, others in partners.items()}

    def _meet(self, one: Trace, other: Trace, value: object) -> bool:
        """Whether they are joined at a time as well, where that is asked."""
        if not self.overlap or self.on is None:
            return True
        theirs = _bearers(other, self.on, value)
        return any(
            self._is_beside(mine, each) for mine in _bearers(one, self.on, value) for each in theirs
        )

    def _is_beside(self, mine: Span, theirs: Span) -> bool:
        side_by_side_ns = min(mine.end_ns, theirs.end_ns) - max(mine.start_ns, theirs.start_ns)
        apart_ns = abs(mine.end_ns - theirs.end_ns)
        return (
            mine.overlaps(theirs)
            and side_by_side_ns >= self.at_least_ms * 1e6
            and (self.ends_within_ms is None or apart_ns <= self.ends_within_ms * 1e6)
        )

    def _keys(self, trace: Trace) -> set[object]:
        return {trace.trace_id} if self.on is None else _values(trace, self.on)

    def _references(self, other: Trace) -> set[object]:
        if self.on is None:
            return {link.trace_id for span in other for link in span.links}
        return _values(other, self.on)


def partner_ids(
    joins: Iterable[Join], traces: Collection[Trace], found: Collection[Trace]
) -> Partners:
    """Those of ``found`` that belong to each of the traces by one join or another."""
    partners: dict[str, tuple[str, ...]] = {}
    for join in joins:
        for owner, others in join.partners(traces, found).items():
            partners[owner] = (*partners.get(owner, ()), *(each.trace_id for each in others))
    return partners


def _bearers(trace: Trace, attribute: str, value: object) -> tuple[Span, ...]:
    return tuple(span for span in trace if span.attributes.get(attribute) == value)


def _values(trace: Trace, attribute: str) -> set[object]:
    return {span.attributes[attribute] for span in trace if attribute in span.attributes}
