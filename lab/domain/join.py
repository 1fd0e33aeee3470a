"""Traces that belong to a request although they are not its own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from lab.domain.trace import Trace


@dataclass(frozen=True, slots=True)
class Join:
    """Which traces are looked for, and to whose request each of them belongs.

    ``search`` is TraceQL, asked over all windows of a run. What it finds belongs to the
    traces that have a span with the same value of the attribute ``on``; without ``on``,
    to those that one of its spans links to.
    """

    search: str
    on: str | None = None

    def partners(
        self, traces: Iterable[Trace], found: Iterable[Trace]
    ) -> Mapping[str, tuple[Trace, ...]]:
        """Of each trace id, those of ``found`` that belong to it, in their given order."""
        owners: dict[object, list[str]] = {}
        for trace in traces:
            for key in self._keys(trace):
                owners.setdefault(key, []).append(trace.trace_id)
        partners: dict[str, dict[str, Trace]] = {}
        for other in found:
            for key in self._references(other):
                for owner in owners.get(key, ()):
                    if owner != other.trace_id:
                        partners.setdefault(owner, {})[other.trace_id] = other
        return {owner: tuple(others.values()) for owner, others in partners.items()}

    def _keys(self, trace: Trace) -> set[object]:
        return {trace.trace_id} if self.on is None else _values(trace, self.on)

    def _references(self, other: Trace) -> set[object]:
        if self.on is None:
            return {link.trace_id for span in other for link in span.links}
        return _values(other, self.on)


def _values(trace: Trace, attribute: str) -> set[object]:
    return {span.attributes[attribute] for span in trace if attribute in span.attributes}
